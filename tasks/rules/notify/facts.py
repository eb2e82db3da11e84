"""Facts: what people are told of a release, how urgent it is, and what they have to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from blocks.outside_text import OutsideText, said
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.plan.receivers import Severity
from tasks.rules.record.entries import Entry, select

Fact = Literal[
    "rollback_failed", "deployment_failed", "partly_deployed", "late_failure", "unobserved", "health_check_failed", "error_rate_high",
    "performance_degraded", "rolled_back", "refused", "cancelled", "overridden", "deployed", "approval_waiting", "announced",
]  # fmt: skip
SEVERITIES: dict[Fact, Severity] = {
    "rollback_failed": "critical",
    "deployment_failed": "error",
    "partly_deployed": "error",
    "late_failure": "error",
    "unobserved": "error",
    "health_check_failed": "error",
    "error_rate_high": "error",
    "performance_degraded": "error",
    "rolled_back": "warning",
    "refused": "warning",
    "cancelled": "warning",
    "overridden": "warning",
    "deployed": "info",
    "approval_waiting": "warning",
    "announced": "info",
}
TO_DO: dict[Fact, str] = {
    "rollback_failed": "Look at the service now, it may run a bad version: `shipway status`, then `shipway rollback`.",
    "deployment_failed": "Read why; fix it, and release a new version.",
    "partly_deployed": "Decide about the targets that are left: release again, or `shipway rollback`.",
    "late_failure": "Look at the service; if the version is the cause: `shipway rollback`.",
    "unobserved": "Look at the service; find out who changed it, and fix what the reason names.",
    "refused": "Fix what is named, and ask again.",
    "cancelled": "Nothing, if it was meant.",
    "overridden": "Nothing, if it was meant; else cancel the release.",
    "deployed": "Nothing.",
    "approval_waiting": "Read the form, and approve or reject it.",
}
_OF_OUTCOME: dict[str, Fact] = {
    "deployed": "deployed",
    "rolled_back": "deployment_failed",
    "failed": "deployment_failed",
    "partly_deployed": "partly_deployed",
    "refused": "refused",
    "cancelled": "cancelled",
}
_BAD = frozenset({Outcome.FAILED, Outcome.ERROR})


@dataclass(frozen=True, slots=True)
class Content:
    """What a message tells.

    Fields:
        facts: The facts, the most urgent first.
        subject: One line.
        body: In lines: why, what to do, where to read on.
    """

    facts: tuple[Fact, ...]
    subject: OutsideText
    body: OutsideText

    @property
    def severity(self) -> Severity:
        """How urgent it is: as urgent as its most urgent fact."""
        return SEVERITIES[self.facts[0]]


def in_order(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Put facts in order, each once, the most urgent first."""
    order = get_args(Fact)
    return tuple(sorted(set(facts), key=order.index))


def facts_of(outcome: str, entries: Sequence[Entry], *, is_rollback: bool = False) -> tuple[Fact, ...]:
    """Name what the end of a release, or of a rollback on demand, tells people.

    Args:
        outcome: Its outcome, see `final_outcome`; one that is not known counts as failed.
        entries: Its record, as far as it can be read.
        is_rollback: Whether it was a rollback on demand: that it rolled back is what was asked for.

    Returns:
        The facts, the most urgent first; never empty.
    """
    own = _OF_OUTCOME.get(outcome, "deployment_failed")
    facts: list[Fact] = ["rolled_back"] if outcome == "rolled_back" else []
    if is_rollback:
        facts += [] if facts else ["rollback_failed" if own == "deployment_failed" else own]
        return in_order(facts)
    facts.append(own)
    if own in {"deployment_failed", "partly_deployed", "cancelled"}:
        facts += causes_of(entries)
        facts += ["rollback_failed"] if has_failed_rollback(entries) else []
    return in_order(facts)


def late_facts(checks: Iterable[str]) -> tuple[Fact, ...]:
    """Name what a confirmed failure of a version tells people that had been deployed.

    Args:
        checks: Which checks failed: `health`, `requests`, `logs`.

    Returns:
        The facts, the most urgent first.
    """
    causes: dict[str, Fact] = {"health": "health_check_failed", "requests": "error_rate_high"}
    return in_order(["late_failure", *(causes[name] for name in checks if name in causes)])


def causes_of(entries: Sequence[Entry]) -> tuple[Fact, ...]:
    """Name which checks of a release failed, by the last entry of each check: one that was repeated and passed does not count.

    An error rate is high if an SLI of errors failed in the watch; performance is degraded if one of latency did, or a smoke test of
    performance; every other failed check of health or smoke is a failed health check.
    """
    last = {(entry.kind, entry.environment, entry.step, entry.name): entry for entry in entries}
    found: set[Fact] = set()
    for entry in last.values():
        if entry.kind == "samples":
            found.update(_of_watch(entry))
        elif entry.kind in {"health", "smoke"} and entry.evidence.get("outcome") in _BAD:
            found.add("performance_degraded" if entry.evidence.get("kind") == "performance" else "health_check_failed")
    return in_order(found)


def has_failed_rollback(entries: Sequence[Entry]) -> bool:
    """Say if the rollback of an environment did not end verified, by its last entry."""
    last = {entry.environment: entry for entry in select(entries, kind="rollback", name="done")}
    return any(entry.evidence.get("outcome") != Outcome.PASSED for entry in last.values())


def message_of(
    facts: Sequence[Fact], *, about: str, reason: OutsideText, requester: str = "", link: str = "", record: str = "", to_do: str = ""
) -> Content:
    """Write a message.

    Args:
        facts: What it tells; at least one.
        about: The service, and the version or environment.
        reason: Why, with the numbers.
        requester: Who asked for the release.
        link: The page of the run.
        record: The command that shows the record.
        to_do: What the reader has to do; that of the most urgent fact if "".
    """
    ordered = in_order(facts)
    first, *more = ordered
    loud = _words(first).upper() if SEVERITIES[first] == "critical" else _words(first)
    subject = f"{about}: {loud} ({', '.join(_words(fact) for fact in more)})" if more else f"{about}: {loud}"
    todo = to_do or TO_DO.get(first, "")
    lines = [
        str(reason),
        f"To do: {todo}" if todo else "",
        f"Asked for by {requester}." if requester else "",
        f"Run: {link}" if link else "",
        f"Record: {record}" if record else "",
    ]
    return Content(ordered, said(subject, limit=200), as_lines(lines))


def as_lines(lines: Iterable[str]) -> OutsideText:
    """Join the lines that say something."""
    return said("\n".join(line for line in lines if line), limit=4_000, lines=True)


def _words(fact: Fact) -> str:
    return fact.replace("_", " ")


def _of_watch(entry: Entry) -> Iterable[Fact]:
    """Name what failed in a watch, by the verdicts of its last reading and the plan's SLIs."""
    points = entry.evidence.get("points")
    slis = entry.evidence.get("slis")
    if entry.evidence.get("outcome") not in _BAD or not isinstance(points, list) or not points or not isinstance(slis, list):
        return
    latency = {str(sli.get("name")) for sli in slis if isinstance(sli, dict) and sli.get("indicator") == "latency"}
    verdicts = points[-1].get("verdicts") if isinstance(points[-1], dict) else None
    for verdict in verdicts if isinstance(verdicts, list) else []:
        if isinstance(verdict, dict) and verdict.get("outcome") in _BAD:
            yield "performance_degraded" if str(verdict.get("sli")) in latency else "error_rate_high"
