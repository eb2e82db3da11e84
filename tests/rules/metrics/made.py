"""A made history: records as releases write them, from a few words each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.reading import facts_of
from tasks.rules.record.entries import Entry, chain

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
HOUR = 60.0


def at(minutes: float) -> datetime:
    """Give a moment of the history, in minutes since it begins."""
    return MONDAY + timedelta(minutes=minutes)


class Writer:
    """Write one record, entry by entry.

    Args:
        run: The run.
        flow: Its flow.
        minutes: When it is opened, since the history begins.
        evidence: What else it was opened with.
    """

    def __init__(self, run: str, flow: str, minutes: float, **evidence: Any) -> None:
        """Open the record."""
        self.run, self.entries = run, list[Entry]()
        self.say(minutes, "opened", flow=flow, **evidence)

    def say(self, minutes: float, kind: Any, name: str = "", /, *, where: str = "", **evidence: Any) -> Writer:
        """Append an entry."""
        last = self.entries[-1] if self.entries else None
        step = evidence.pop("step", None)
        self.entries.append(
            chain(last, at=at(minutes), kind=kind, name=name, environment=where, step=step, who="rita", what=kind, evidence=evidence)
        )
        return self

    def facts(self) -> Facts:
        """Read its facts."""
        found = facts_of(self.run, self.entries)
        assert found is not None
        return found


def released(
    run: str, minutes: float, *, version: str = "1.0", service: str = "shop", outcome: str = "deployed",
    where: tuple[str, ...] = ("production",),
    commits: tuple[tuple[str, float], ...] = (), direction: str = "upgrade", counts: tuple[int, int] | None = (1_000, 1), **opened: Any,
) -> Facts:  # fmt: skip
    """Make a release that took 60 minutes: approved after 10, given traffic after 30, promoted after 50 or rolled back from 40 to 45.

    Args:
        run: The run.
        minutes: When it was asked for.
        version: The version.
        service: The service.
        outcome: How it ended; `refused` and `skipped` change nothing, `open` has not ended.
        where: The environments of production; of one that was partly deployed all but the last keep the version.
        commits: Hash and minutes of each commit.
        direction: The change log's.
        counts: Requests and errors by the look afterwards, in each environment.
        opened: What else it was opened with.
    """
    record = Writer(run, "release", minutes, version=version, **opened)
    record.say(minutes, "review", service=service, version=version)
    changes = [{"hash": digest, "at": int(at(when).timestamp())} for digest, when in commits]
    record.say(minutes + 1, "change_log", commits=changes, direction=direction, more=False)
    if outcome in {"refused", "skipped"}:
        return record.say(minutes + 2, "closed", outcome=outcome).facts()
    record.say(minutes + 10, "gate", "question 1", question=1, suspends_until=at(minutes + 600).isoformat())
    record.say(minutes + 20, "gate", "decision")
    for name in where:
        record.say(minutes + 30, "effect", "prepare", where=name).say(minutes + 30, "effect", "shift", where=name, step=5)
    if outcome == "open":
        return record.facts()
    kept = where if outcome == "deployed" else where[:-1] if outcome == "partly_deployed" else ()
    if len(kept) < len(where):
        record.say(minutes + 40, "rollback", "decision", ending="failed")
    for name in where:
        if name in kept:
            record.say(minutes + 50, "effect", "promote", where=name, service=service)
        elif outcome != "failed":
            record.say(minutes + 45, "rollback", "done", where=name, outcome="passed")
        if name in kept:
            seen = dict(zip(("requests", "errors"), counts, strict=True)) if counts else {}
            record.say(minutes + 55, "health", "post_deploy", where=name, outcome="passed")
            record.say(minutes + 55, "metrics", "post_deploy", where=name, **seen)
    return record.say(minutes + 60, "closed", outcome=outcome).facts()


def rolled_back(
    run: str, minutes: float, *, bad: str, service: str = "shop", where: str = "production", passed: bool = True, took: float = 5
) -> Facts:
    """Make a rollback on demand of one environment."""
    record = Writer(run, "rollback", minutes, version="", environment=where)
    record.say(minutes, "rollback", "bad version", bad=bad)
    choice = {"kind": "redeploy", "version": "0.9"}
    record.say(minutes, "rollback", "choice", where=where, service=service, choice=choice, position={"canary": None, "baseline": bad})
    record.say(minutes + took, "rollback", "done", where=where, outcome="passed" if passed else "failed", stays=False)
    return record.say(minutes + took, "closed", outcome="rolled_back" if passed else "failed").facts()
