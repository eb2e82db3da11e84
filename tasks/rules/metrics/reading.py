"""Read the facts that metrics need from a record: each by the fields of its entries, nothing from its sentences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tasks.rules.metrics.facts import Change, Facts, Place
from tasks.rules.notify.facts import Fact, in_order
from tasks.rules.notify.facts import facts_of as told_by
from tasks.rules.record.durations import durations
from tasks.rules.record.entries import Entry, moment, outcome_of, select
from tasks.rules.record.gates import asks_first
from tasks.rules.record.view import POST_DEPLOY

HASH_CHARACTERS = 12
BRINGS = {"shift", "promote"}
LEAVES = {"abort", "redeploy"}  # the choices of a rollback that take a version away
UNTOLD = {"open", "skipped"}
BAD_VERSION = "bad version"  # the entry of a rollback on demand that says which version it leaves


def facts_of(run: str, entries: Sequence[Entry]) -> Facts | None:
    """Gather the facts of a record.

    Args:
        run: The flow run id.
        entries: The whole record in order, without a fault.

    Returns:
        The facts; None if its first entry does not open a record of one of our flows.
    """
    whole = list(entries)
    opened = whole[0] if whole else None
    flow = _text(opened.evidence, "flow") if opened and opened.kind == "opened" else ""
    if opened is None or flow not in {"release", "production", "staging", "rollback"}:
        return None
    closed, took = select(whole, kind="closed"), durations(whole)
    decided = next(iter(select(whole, kind="rollback", name="decision")), None)
    log = next(iter(reversed(select(whole, kind="change_log"))), None)
    first = log is not None and log.evidence.get("direction") == "first"
    return Facts(
        run=run, flow=flow, service=_service(whole), version=_version(opened, whole), requester=opened.who, outcome=outcome_of(whole),
        why=closed[-1].why if closed else "", opened=moment(opened), ended=moment(closed[0]) if closed else None,
        work_seconds=took.work_seconds, people_seconds=took.people_seconds, window_seconds=took.window_seconds,
        lock_seconds=took.lock_seconds, kind="fix" if opened.evidence.get("kind") == "fix" else "planned",
        because_of=_text(opened.evidence, "because_of"), failed=moment(decided) if decided else None, places=_places(whole),
        changes=() if log is None or first else _changes(log), first=first, cut=log is not None and log.evidence.get("more") is True,
        alerts=_alerts(whole, flow=flow),
    )  # fmt: skip


def _alerts(entries: Sequence[Entry], *, flow: str) -> tuple[Fact, ...]:
    """Name what people were told: that it waits for them, and its end with its causes."""
    asked: list[Fact] = ["approval_waiting"] if any(map(asks_first, entries)) else []
    outcome = outcome_of(list(entries))
    ended = () if outcome in UNTOLD else told_by(outcome, entries, is_rollback=flow == "rollback")
    return in_order([*asked, *ended])


def _service(entries: Sequence[Entry]) -> str:
    """Name the service: what the review, a promotion or the choice of a rollback says."""
    said = (_text(entry.evidence, "service") for entry in entries if entry.kind in {"review", "effect", "rollback"})
    return next((name for name in said if name), "")


def _version(opened: Entry, entries: Sequence[Entry]) -> str:
    """Name the version: what was asked for, else what a rollback returned to."""
    chosen = (_member(entry.evidence, "choice") for entry in select(entries, kind="rollback", name="choice"))
    return _text(opened.evidence, "version") or next((name for one in chosen if (name := _text(one, "version"))), "")


def _places(entries: Sequence[Entry]) -> tuple[Place, ...]:
    names = dict.fromkeys(entry.environment for entry in entries if entry.environment and entry.kind in {"effect", "rollback"})
    bad = next((_text(entry.evidence, "bad") for entry in select(entries, kind="rollback", name=BAD_VERSION)), "")
    return tuple(_place(name, select(entries, environment=name), bad=bad) for name in names)


def _place(name: str, entries: Sequence[Entry], *, bad: str) -> Place:
    brought = [entry for entry in entries if entry.kind == "effect" and entry.name in BRINGS]
    promoted = next((entry for entry in brought if entry.name == "promote"), None)
    ends = [entry for entry in select(entries, kind="rollback", name="done") if entry.evidence.get("stays") is not True]
    done = ends[-1] if ends else None
    choice = next(iter(select(entries, kind="rollback", name="choice")), None)
    chosen, position = (_member(choice.evidence if choice else {}, name) for name in ("choice", "position"))
    left = bad or _text(position, "canary") or _text(position, "baseline")
    health = next(iter(reversed(select(entries, kind="health", name=POST_DEPLOY))), None)
    counts = next(iter(reversed(select(entries, kind="metrics", name=POST_DEPLOY))), None)
    requests, errors = (_number(counts.evidence, field) if counts else None for field in ("requests", "errors"))
    return Place(
        name=name,
        begun=moment(brought[0]) if brought else None,
        promoted=moment(promoted) if promoted else None,
        rolled_back=moment(done) if done else None,
        is_back=done is not None and done.evidence.get("outcome") == "passed",
        bad=left if chosen.get("kind") in LEAVES else "",
        to=_text(chosen, "version"),
        health=_text(health.evidence, "outcome") if health else "",
        requests=requests,
        errors=min(errors or 0, requests or 0),
    )


def _changes(log: Entry) -> tuple[Change, ...]:
    found = log.evidence.get("commits")
    named = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    dated = ((_text(one, "hash")[:HASH_CHARACTERS], _moment(one.get("at"))) for one in named)
    return tuple(Change(hash=digest, at=at) for digest, at in dated if digest and at is not None)


def _moment(seconds: object) -> datetime | None:
    """Read a time that Git gave, which anyone can set: one that is not a moment counts as none."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int) and not isinstance(seconds, bool) else None
    except (ValueError, OverflowError, OSError):
        return None


def _number(evidence: dict[str, Any], name: str) -> int | None:
    value = evidence.get(name)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def _member(evidence: dict[str, Any], name: str) -> dict[str, Any]:
    value = evidence.get(name)
    return value if isinstance(value, dict) else {}


def _text(evidence: dict[str, Any], name: str) -> str:
    value = evidence.get(name)
    return value if isinstance(value, str) else ""
