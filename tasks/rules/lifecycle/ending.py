"""How a release ends, in the words of its record and of its final state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from blocks.outside_text import ENDING_LIMIT, OutsideText, as_ending, outside
from tasks.rules.approval.closing import end_in_words, last_progress, still_open
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.plan.targets import is_production, target_of
from tasks.rules.record.entries import Entry

PARTLY = "partly_deployed"
WHY_LIMIT = ENDING_LIMIT // 2  # of the reason where a rollback follows it: a long one must not push that out of the sentence
Name = Literal["deployed", "rolled_back", "refused", "failed", "cancelled", "stopped", "skipped"]
LEAVES_DEPLOYED = {"refused", "failed", "skipped"}  # while people tick what is done after the deployment
QUIET = {"deployed", "skipped", "rehearsed"}  # without an alert
STATE_NAMES = {
    "deployed": "Deployed",
    "rolled_back": "RolledBack",
    "refused": "Refused",
    "failed": "Failed",
    "cancelled": "CancelledAndBack",
    "skipped": "Skipped",
    "rehearsed": "Rehearsed",
    PARTLY: "PartlyDeployed",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a release ends.

    Fields:
        name: `deployed`; `rolled_back`, if that was asked for; `refused` by a policy or bad input; `failed`; `cancelled` by a
            person; `stopped` by a rollback; `skipped`, as the time that it was scheduled for has passed.
        reason: In words, with the numbers.
    """

    name: Name
    reason: OutsideText

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """Read the ending back that was decided before a process died."""
        return cls(entry.evidence["ending"], as_ending(entry.why))


def while_closing(ending: Ending, entries: Sequence[Entry]) -> Ending:
    """Let a release that was deployed and verified, and waited for ticks alone, end as deployed, whatever keeps it from asking on.

    Args:
        ending: Why it ends; a cancellation and a rollback are what they are.
        entries: Its record, whole.
    """
    progress = last_progress(entries)
    if progress is None or ending.name not in LEAVES_DEPLOYED:
        return ending
    why = f"still open: {still_open(progress)}; people could not be asked any more: {ending.reason}"
    return Ending("deployed", as_ending(end_in_words(progress, why)))


def taken_over(ending: Ending) -> Ending:
    """Let a release that would end as deployed end as stopped, as another run took over what it had promoted."""
    why = f"a rollback took over what this release had promoted before it ended; what it found: {ending.reason}"
    return Ending("stopped", as_ending(why))


def final_outcome(
    ending: Ending, *, rolled_back: Sequence[RollbackResult], stays: Sequence[str] = (), left: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Name a release's outcome.

    Args:
        ending: Why it ends.
        rolled_back: The results of the rollbacks that it needed; empty if nothing had moved.
        stays: The targets that keep the new version, as the plan says.
        left: Of several targets, by environment, what each ended on that was not rolled back; said if any was moved.

    Returns:
        `deployed`, `rolled_back`, `refused`, `cancelled`, `skipped` or `failed`, and a sentence; `partly_deployed` if targets keep the new
        version, whatever stopped the others. A rollback that did not succeed is always `failed`: people must look.
    """
    if ending.name in {"deployed", "rolled_back"}:
        return ending.name, ending.reason
    lost = [one.reason for one in rolled_back if not one.passed]
    if lost:
        also = "".join(f"; {said}" for said in (left or {}).values())
        return "failed", f"{outside(ending.reason, limit=WHY_LIMIT)}. ROLLBACK FAILED, look at the service now: {'; '.join(lost)}{also}"
    others = list((left or {}).values()) if rolled_back or stays else []
    if any(one.stays for one in rolled_back) and not any(is_production(one.environment) for one in rolled_back):
        others.append("production was not touched")
    back = "; ".join([*(one.reason for one in rolled_back), *others])
    names_target = bool(left) or any(target_of(one.environment) for one in rolled_back)  # a target's name stays as it is
    begin = f"Afterwards: {back}" if names_target else f"{back[:1].upper()}{back[1:]}"
    sentence = f"{outside(ending.reason, limit=WHY_LIMIT)}. {begin}" if back else ending.reason
    if stays:
        return PARTLY, sentence
    if ending.name in {"refused", "cancelled", "skipped"}:
        return ending.name, sentence
    in_production = [one for one in rolled_back if is_production(one.environment)]
    moved = (any(in_production) and not any(one.stays for one in in_production)) or ending.name == "stopped"
    return ("rolled_back" if moved else "failed"), sentence
