"""What a run changed and still has in place, by environment, and the commands that roll that back: from its record alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator
from typing import Any, Literal

from blocks.outside_text import outside
from tasks.rules.plan.targets import PRODUCTION, within
from tasks.rules.record.entries import Entry, outcome_of, select
from tasks.rules.record.markdown import plain

State = Literal["deployed", "begun", "rolled_back", "rollback_failed", "stays"]

DEPLOYS = {"deployed", "partly_deployed"}
BAD_VERSION = "bad version"  # the entry of a rollback on demand that says which version it leaves
PATH_LIMIT = 500


def states_of(entries: list[Entry]) -> dict[str, State]:
    """Say what a run did last to each environment that it changed; one that it left as it was is not in it.

    Args:
        entries: The record in order.
    """
    states: dict[str, State] = {}
    for entry in entries:
        if entry.environment and (state := _state_after(entry, states.get(entry.environment))) is not None:
            states[entry.environment] = state
    return states


def has_changed_anything(entries: list[Entry]) -> bool:
    """Say if a run deployed or rolled something back, or may have: what a rollback was decided about and not recorded is not known."""
    return bool(states_of(entries)) or outcome_of(entries) in {*DEPLOYS, "rolled_back"} or _is_unknown(entries)


def rollback_lines(entries: list[Entry]) -> list[str]:
    """Say of each environment what is in place, and how it is rolled back.

    Args:
        entries: The record in order.

    Returns:
        Paragraphs of Markdown; a command only for an environment where the run may still have its version in place.
    """
    states = states_of(entries)
    if not states:
        if _is_unknown(entries):
            return ["A rollback was decided, and the record does not say how it ended. Look at what runs."]
        return ["Nothing was changed." if not has_changed_anything(entries) else "The record names no environment that was changed."]
    groups: dict[State, list[str]] = {}
    for name, state in states.items():
        groups.setdefault(state, []).append(name)
    said = {state: _sentence(state, _together(entries, names), entries) for state, names in groups.items()}
    lines = [said[state] for state in ("rollback_failed", "begun", "deployed", "stays", "rolled_back") if state in said]
    return [*lines, "Nothing is left to undo."] if set(groups) == {"rolled_back"} else lines


def _state_after(entry: Entry, before: State | None) -> State | None:
    """Give the state of an environment after an entry about it; None if it says nothing of that."""
    if entry.kind == "effect":
        return "deployed" if entry.name == "promote" else "begun" if entry.name != "stop" else before
    if entry.kind == "migration":
        return before or ("begun" if entry.evidence.get("state") == "begun" else None)
    if entry.kind != "rollback":
        return None
    if entry.name == "choice":
        choice: Any = entry.evidence.get("choice")
        return before if isinstance(choice, dict) and choice.get("kind") == "nothing" else "rollback_failed"
    if entry.name == "stays":
        return "stays"
    return _state_at_end(entry, before) if entry.name == "done" else None


def _state_at_end(entry: Entry, before: State | None) -> State | None:
    if entry.evidence.get("stays") is True:
        return "stays"
    if entry.evidence.get("outcome") != "passed":
        return "rollback_failed"
    return "rolled_back" if before else None  # nothing was there to be rolled back


def _is_unknown(entries: list[Entry]) -> bool:
    return not states_of(entries) and bool(select(entries, kind="rollback", name="decision"))


def _together(entries: list[Entry], names: list[str]) -> list[str]:
    """Name production once if all of its targets are among the environments."""
    review = next(iter(select(entries, kind="review")), None)
    current: Any = review.evidence.get("current") if review else None
    targets = {name for name in current if within(name)} if isinstance(current, dict) else set()
    if not targets or not targets <= set(names):
        return names
    return [*(name for name in names if name not in targets), PRODUCTION]


def _sentence(state: State, names: list[str], entries: list[Entry]) -> str:
    places, is_good = plain(", ".join(names)), outcome_of(entries) in DEPLOYS
    if state == "rolled_back":
        return f"Rolled back: {places}."
    if state == "stays":
        return f"It stays in {places}; the course says why."
    command = _commands(entries, names)
    if state == "rollback_failed":
        return f"The rollback did not succeed: {places}. Look at what runs there. To try it again, where the plan is:\n\n{command}"
    if state == "deployed" and is_good:
        return f"It is deployed in {places}. To roll back, where the plan is:\n\n{command}"
    begun = "It was deployed" if state == "deployed" else "Its deployment began"
    return f"{begun} in {places}, and this run did not roll it back. Look at what runs there. If need be, where the plan is:\n\n{command}"


def _commands(entries: list[Entry], names: Collection[str]) -> str:
    """Write the commands as code, in a fence that no quoted text can close."""
    opened = next(iter(select(entries, kind="opened")), None)
    given = opened.evidence if opened else {}
    plan = shlex.quote(outside(given.get("plan") or "shipway.yaml", limit=PATH_LIMIT))
    versions = "".join(f" {option} {shlex.quote(outside(version, limit=PATH_LIMIT))}" for option, version in _versions(entries, given))
    lines = [f'shipway rollback {plan} --environment {name}{versions} --reason "…"' for name in names]
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", "\n".join(lines))), default=0))
    return "\n".join([ticks, *lines, ticks])


def _versions(entries: list[Entry], given: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name the bad version, so that no other one is rolled back, and the one to return to if a rollback was asked to."""
    if given.get("flow") != "rollback":
        bad = given.get("version")
    else:
        decided = (entry.evidence.get("bad") for entry in select(entries, kind="rollback", name=BAD_VERSION))
        bad = given.get("bad") or next((one for one in decided if one), "")
        if given.get("version"):
            yield "--to", given["version"]
    if bad:
        yield "--bad", bad
