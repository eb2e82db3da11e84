"""Differences: what of a release's inputs is not as it was approved, a line each, for the people who are asked again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.rules.evidence.change_log import ChangeLog, Commit
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.record.canonical import canonical

MOST_LINES = 60
MOST_VALUE_CHARACTERS = 80
NAMES = ("name", "environment", "percent", "path")  # by one of which the members of a list are told apart
ABSENT = "nothing"
PARTS = ("plan", "current", "change_log", "platforms", "policies", "edits", "files")


def changed_parts(then: Inputs, now: Inputs) -> list[str]:
    """Name the parts of the inputs that changed."""
    return [name for name in PARTS if canonical(getattr(then, name)) != canonical(getattr(now, name))]


def differences(then: Inputs, now: Inputs) -> list[str]:
    """List what changed of the inputs.

    Args:
        then: What people were asked about.
        now: What there is.

    Returns:
        At most 60 lines: `plan: production.steps[50].watch_seconds: 60 → 10`. Of a platform's settings, which may hold secrets, only
        which one's changed.
    """
    lines = [
        *_changed("plan", then.plan, now.plan),
        *_changed("runs now", then.current, now.current),
        *_commits(then.change_log, now.change_log),
        *(f"platforms: the settings of {name} changed" for name in _unlike(then.platforms, now.platforms)),
        *_changed("policies", _plain(then.policies), _plain(now.policies)),
        *_changed("edits in Git", _plain(then.edits), _plain(now.edits)),
        *_files(then.files, now.files),
    ]
    rest = len(lines) - MOST_LINES
    return lines if rest <= 0 else [*lines[: MOST_LINES - 1], f"and {rest + 1} more"]


def _changed(what: str, then: Any, now: Any) -> Iterator[str]:
    before, after = dict(_leaves(then, "")), dict(_leaves(now, ""))
    for path in _unlike(before, after):
        yield f"{what}: {path}: {_written(before, path)} → {_written(after, path)}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Take a value apart into its fields; a list without members of its own is one value."""
    if isinstance(value, Mapping) and value:
        for name, member in value.items():
            yield from _leaves(member, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value and all(isinstance(member, Mapping) for member in value):
        for name, member in zip(_names_of(value), value, strict=True):
            yield from _leaves(member, f"{path}[{name}]")
    else:
        yield path, value


def _names_of(members: Sequence[Mapping[str, Any]]) -> Sequence[object]:
    for name in NAMES:
        found = [member.get(name) for member in members]
        if None not in found and len({str(one) for one in found}) == len(members):
            return found
    return range(len(members))


def _unlike(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys((*then, *now)) if (name in then) != (name in now) or then.get(name) != now.get(name)]


def _written(values: Mapping[str, Any], path: str) -> str:
    if path not in values or values[path] is None:
        return ABSENT
    text = values[path] if isinstance(values[path], str) else json.dumps(values[path], ensure_ascii=False)
    return text if len(text) <= MOST_VALUE_CHARACTERS else f"{text[: MOST_VALUE_CHARACTERS - 1]}…"


def _files(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in _unlike(then, now):
        yield f"files: {name} {'changed' if name in then and name in now else 'is new' if name in now else 'is gone'}"


def _plain(value: Any) -> Any:
    return json.loads(canonical(value))


def _commits(then: ChangeLog, now: ChangeLog) -> Iterator[str]:
    for what, before, after in (("brings", then.commits, now.commits), ("takes away", then.taken_back, now.taken_back)):
        yield from (f"now {what} {one_line(commit)}" for commit in after if commit not in before)
        yield from (f"no longer {what} {one_line(commit)}" for commit in before if commit not in after)
    if then.direction != now.direction:
        yield f"change log: it is {now.direction}, and was {then.direction}"


def one_line(commit: Commit) -> str:
    """Write a commit for a list."""
    return f"{commit.hash[:10]} {commit.author}: {commit.subject}"
