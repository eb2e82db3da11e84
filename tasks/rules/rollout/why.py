"""Why a run ended, or stands, as it does: the decision and its evidence in at most ten lines, from its record alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from blocks.outside_text import OutsideText, outside
from tasks.rules.record.axis import duration
from tasks.rules.record.durations import durations
from tasks.rules.record.entries import Entry, outcome_of, select
from tasks.rules.record.gates import decides, is_answer, tells_of_a_script
from tasks.rules.record.view import CHECKS, result_of, summary_of
from tasks.rules.rollout.progress import progress_in_words
from tasks.rules.rollout.waiting import holds_in_words, says_it_waits, wait_in_words

MOST_EVIDENCE, MOST_NAMED, LONGEST = 2, 3, 600
BAD = {"failed", "error", "mismatch", "no data", "rejected"}
SAID = {"passed", "failed", "error", "no data", "mismatch", "watching"}
DECIDES = {"choice", "bad version"}  # the entries of a rollback on demand that say what it did, and why


class Line(NamedTuple):
    """One line: what it is about, and what the record says of it."""

    name: str
    text: OutsideText


def why_lines(run: str, entries: Sequence[Entry], *, problems: Sequence[str] = (), unchecked: str = "") -> list[Line]:
    """Say in at most ten lines why a run ended, or stands, as it does.

    Args:
        run: The run.
        entries: What can be read of its record, in order.
        problems: What is wrong with the record, a sentence each.
        unchecked: Why its seals were not checked; "" if they were.

    Returns:
        First who and how it ended, last whether the record can be relied on.
    """
    whole = list(entries)
    told = _told(whole) if whole else []
    found = [_title(run, whole), *told, ("record", _state(run, whole, problems, unchecked))]
    return [Line(name, outside(text, limit=LONGEST)) for name, text in found if text]


def _told(entries: list[Entry]) -> list[tuple[str, str]]:
    decision = _decision(entries)
    return [
        ("asked for", _asked(entries)),
        ("decision" if _is_closed(entries) else "now", decision),
        *(("evidence", said) for said in _evidence(entries, decision)),
        ("checks", _checks(entries)),
        ("approval", _approval(entries)),
        ("traffic", "; ".join(_traffic(entries))),
        ("took", _took(entries)),
    ]


def _title(run: str, entries: list[Entry]) -> tuple[str, str]:
    found = summary_of(entries)
    flow = str(entries[0].evidence.get("flow", "run")) if entries else "run"
    what = " ".join(part for part in (found.service, found.version) if part) or "what its record does not name"
    before = f" after {found.baseline}" if found.baseline else ""
    return f"{flow} {run[:8]}", f"{what}{before}: {found.outcome_words}"


def _asked(entries: list[Entry]) -> str:
    opened = entries[0]
    because = opened.evidence.get("because_of")
    kind = f", as a fix{f' of what {because} brought' if because else ''}" if opened.evidence.get("kind") == "fix" else ""
    return f"by {opened.who} on {opened.at[:10]} {opened.at[11:16]} UTC{kind}: {opened.why or 'no reason given'}"


def _is_closed(entries: list[Entry]) -> bool:
    return outcome_of(entries) != "open"


def _decision(entries: list[Entry]) -> str:
    """Give the words of the end; of a run that goes on, what it waits for, what it is at, or what it did last."""
    if _is_closed(entries):
        closed = select(entries, kind="closed")[-1]
        return closed.why or closed.what
    last = entries[-1]
    waits = wait_in_words(entries) or holds_in_words(entries)
    asks = f"it waits: {last.what}, {last.why}" if says_it_waits(entries) else ""
    back = next((f"{one.what}: {one.why}" for one in select(entries, kind="rollback", name="decision")), "")
    return waits or asks or back or progress_in_words(entries) or f"{last.what}. {last.why}"


def _evidence(entries: list[Entry], decision: str) -> Iterable[str]:
    """Choose the entries that the decision rests on: what failed last, else what a rollback chose, else the last verdicts."""
    kinds = {*CHECKS, "verdict", "refused", "approval"}
    scripts = [one for one in entries if tells_of_a_script(one) and outcome_of(entries) != "deployed"]  # else it was run again
    last = {(one.kind, one.environment, one.step, one.name): one for one in entries if one.kind in kinds}
    failed = [one for one in last.values() if result_of(one) in BAD or (one.kind == "refused" and not is_answer(one))] + scripts
    chosen = [one for one in select(entries, kind="rollback") if one.name in DECIDES]
    passed = {one.environment: one for one in last.values() if one.kind == "verdict"}
    first = failed or (chosen if entries[0].evidence.get("flow") == "rollback" else []) or list(passed.values())
    for entry in sorted(first, key=lambda one: one.seq)[-MOST_EVIDENCE:]:
        why = "" if not entry.why or entry.why in decision else f": {entry.why}"
        result = result_of(entry)
        yield f"{entry.what}{f', {result}' if result in SAID and result not in entry.what else ''}{why} (entry {entry.seq})"


def _checks(entries: list[Entry]) -> str:
    """Count the checks by their last result, and name the others than passed."""
    last = {(one.kind, one.environment, one.step, one.name): one for one in entries if one.kind in CHECKS and result_of(one) in SAID}
    others = [f"{result_of(one)}: {one.what}" for one in last.values() if result_of(one) != "passed"]
    more = [f"{len(others) - MOST_NAMED} more"] if len(others) > MOST_NAMED else []
    return "; ".join([f"{len(last) - len(others)} of {len(last)} passed", *others[:MOST_NAMED], *more]) if last else ""


def _approval(entries: list[Entry]) -> str:
    answers = summary_of(entries).answers
    if answers:
        waited = durations(entries).people_seconds
        return "; ".join(answers) + (f"; waited {duration(waited)} for people" if waited else "")
    return next(
        (f"{one.what}: {one.why}".rstrip(": ") for one in reversed(entries) if decides(one)),
        "",
    )


def _traffic(entries: list[Entry]) -> Iterable[str]:
    """Say for each environment what it got, in order."""
    for place in dict.fromkeys(one.environment for one in entries if one.environment):
        did = [word for one in entries if one.environment == place and (word := _move(one))]
        if did:
            yield f"{place}: {', '.join(did)}"


def _move(entry: Entry) -> str:
    if entry.kind == "effect":
        return {"shift": f"{entry.step} %", "promote": "baseline", "stop": "stopped"}.get(entry.name, "")
    if entry.kind == "rollback" and entry.name == "done":
        return "rolled back" if result_of(entry) == "passed" else f"ROLLBACK {(result_of(entry) or 'not verified').upper()}"
    return ""


def _took(entries: list[Entry]) -> str:
    took = durations(entries)
    waits = (("people", took.people_seconds), ("windows", took.window_seconds), ("the lock", took.lock_seconds))
    said = "".join(f", waited {duration(seconds)} for {whom}" for whom, seconds in waits if seconds)
    return f"{duration(took.total_seconds)}: worked {duration(took.work_seconds)}{said}" if len(entries) > 1 else ""


def _state(run: str, entries: list[Entry], problems: Sequence[str], unchecked: str) -> str:
    """Say whether the record can be relied on; a whole chain without seals can be written by anyone."""
    whole = (
        f"a whole chain of {len(entries)} entries, but seals NOT checked: {unchecked}" if unchecked else f"intact, {len(entries)} entries"
    )
    state = f"BROKEN, do not rely on the lines above: {problems[0]}" if problems else whole
    return f"{state}; all of it: shipway report {run[:8]}, shipway logs {run[:8]}"
