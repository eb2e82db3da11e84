"""How a release ends, in the words of its record and of its final state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from tasks.rules.record import Entry

Name = Literal["deployed", "rolled_back", "refused", "failed", "cancelled", "stopped"]
STATE_NAMES = {
    "deployed": "Deployed",
    "rolled_back": "RolledBack",
    "refused": "Refused",
    "failed": "Failed",
    "cancelled": "CancelledAndBack",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a release ends.

    Fields:
        name: `deployed`; `rolled_back`, where that was asked for; `refused` by a policy or bad input; `failed`; `cancelled` by a
            person; `stopped` by a rollback.
        reason: In words, with the numbers.
    """

    name: Name
    reason: str

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """Read the ending back that was decided before a process died."""
        return cls(entry.evidence["ending"], entry.why)


def final_outcome(ending: Ending, *, moved_back: list[dict[str, Any]]) -> tuple[str, str]:
    """Name a release's outcome.

    Args:
        ending: Why it ends.
        moved_back: The results of the rollbacks that it needed; empty where nothing had moved.

    Returns:
        `deployed`, `rolled_back`, `refused`, `cancelled` or `failed`, and a sentence. A way back that did not succeed
        is always `failed`: somebody must look.
    """
    if ending.name in {"deployed", "rolled_back"}:
        return ending.name, ending.reason
    lost = [str(one["reason"]) for one in moved_back if one["outcome"] != "passed"]
    if lost:
        return "failed", f"{ending.reason}. THE WAY BACK FAILED, look at the service now: {'; '.join(lost)}"
    back = "; ".join(str(one["reason"]) for one in moved_back)
    sentence = f"{ending.reason}. {back[:1].upper()}{back[1:]}" if back else ending.reason
    if ending.name in {"refused", "cancelled"}:
        return ending.name, sentence
    moved = any(one.get("environment") == "production" for one in moved_back) or ending.name == "stopped"
    return ("rolled_back" if moved else "failed"), sentence
