"""The edit of one value in a YAML file; every other byte stays as it is.

The scalar's characters are replaced in the text, in the quotes that it has. Then the file is read again: its events must be those from
before, but for this one scalar. What cannot be edited so is refused with file, line and fix.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any

import yaml

from blocks.errors import BadInput, WorldMoved
from tasks.rules.gitops.places import BOM, File, Node, read_file, refused
from tasks.rules.gitops.targets import KustomizeImage, Target, find

VALUE = re.compile(r"[ -~]{1,500}")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]*(:[A-Za-z0-9._/@+-]+)*")
# Other readers of YAML are more generous with numbers than PyYAML: `1e3`, `12e4567` (a short commit), `0o17`, `1_000`, `0x1F`, `1:20`.
NUMBER = re.compile(r"[-+]?(0[xob][0-9a-f_]+|([\d_:]+(\.[\d_]*)?|\.[\d_]+)(e[-+]?\d+)?|\.inf)|\.nan", re.IGNORECASE)
WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"}
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
STR, INT = "tag:yaml.org,2002:str", "tag:yaml.org,2002:int"


@dataclass(frozen=True)
class Edit:
    """One value that a release sets.

    Fields:
        file: Path in the repository, with slashes.
        target: Which value of it.
        value: What it becomes: text, or a whole number such as a weight.
        expected: What it was when the change was reviewed; None lets it be anything.
    """

    file: str
    target: Target
    value: str | int
    expected: str | int | None = None


@dataclass(frozen=True)
class Edited:
    """What came of an edit.

    Fields:
        content: The file's bytes afterwards.
        line: Where the value stands, from 1.
        before: The value's characters before, with their quotes.
        after: The same afterwards; equal if the value was there already.
    """

    content: bytes
    line: int
    before: str
    after: str


def apply_edit(content: bytes, edit: Edit) -> Edited:
    """Set the value.

    Args:
        content: The file's bytes.
        edit: What to set.

    Raises:
        BadInput: The value cannot be set safely; names file, line and fix.
        WorldMoved: The value is neither the expected one nor the new one already.
    """
    if isinstance(edit.target, KustomizeImage) and edit.target.field == "digest" and not DIGEST.fullmatch(str(edit.value)):
        raise BadInput(f"`{edit.value}` is not a digest", field="digest", fix="Write `sha256:` and 64 hexadecimal digits.")
    file = read_file(edit.file, content)
    node = find(file, edit.target)
    before = file.text[node.start : node.end]
    if node.value == str(edit.value):
        _check_kind(file, node, edit.value)
        return Edited(content, node.line, before, before)
    if edit.expected is not None and node.value != str(edit.expected):
        raise WorldMoved(f"{edit.file}:{node.line} says `{node.value}`, not `{edit.expected}` as reviewed; another commit changed it")
    _check_kind(file, node, edit.value)
    return _replace(file, node, _written(file, node, edit.value), value=str(edit.value))


def restore(content: bytes, edit: Edit, *, before: bytes, after: bytes) -> Edited:
    """Undo an edit on top of whatever was committed since.

    Args:
        content: The file as it is now.
        edit: The edit that was made.
        before: The file just before the edit.
        after: The file just after it.

    Raises:
        BadInput: As in `apply_edit`.
        WorldMoved: The value is no longer the one that the edit set.
    """
    file = read_file(edit.file, content)
    node = find(file, edit.target)
    was, made = (read_file(edit.file, one) for one in (before, after))
    old, new = find(was, edit.target), find(made, edit.target)
    raw = was.text[old.start : old.end]
    if old.value in {node.value, new.value}:
        return Edited(content, node.line, file.text[node.start : node.end], file.text[node.start : node.end])
    if node.value != new.value:
        raise WorldMoved(
            f"{edit.file}:{node.line} says `{node.value}`, not `{new.value}` as this release set it; another commit changed it"
        )
    return _replace(file, node, raw, value=old.value)


def diff(file: str, before: bytes, after: bytes) -> str:
    """Write the difference for people, as a unified diff; control characters are not shown as such."""
    old, new = (one.decode(errors="replace").splitlines() for one in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{file}", f"b/{file}", lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _check_kind(file: File, node: Node, value: str | int) -> None:
    """Refuse to make a text of a number, or a number of a text: the file's author has decided that."""
    kind = _kind(node)
    if isinstance(value, int):
        if isinstance(value, bool) or kind != INT:
            raise refused(
                file.name, node.line, f"`{node.value}` is not a whole number, `{value}` is", fix="Write a whole number there first."
            )
    elif kind != STR or (node.style is None and _is_taken_for_other(node.value)):
        fix = f'Write it as text first: "{node.value}".'
        raise refused(file.name, node.line, f"`{node.value}` is read as a number, a date or a word of YAML, not as text", fix=fix)


def _written(file: File, node: Node, value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    if not VALUE.fullmatch(value):
        fix = "Write up to 500 printable ASCII characters."
        raise refused(file.name, node.line, f"the value {value[:50]!r} is empty, too long or has unusual characters", fix=fix)
    if "{{" in value:
        raise refused(file.name, node.line, "the new value is a template (`{{ }}`)", fix="Write the value itself.")
    if node.style == "'":
        return "'" + value.replace("'", "''") + "'"
    if node.style == '"' or not PLAIN.fullmatch(value) or _is_taken_for_other(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value


def _is_taken_for_other(value: str) -> bool:
    return bool(NUMBER.fullmatch(value)) or value.lower() in WORDS or _plain_kind(value) != STR


def _kind(node: Node) -> str:
    return STR if node.style is not None else _plain_kind(node.value)


def _plain_kind(value: str) -> str:
    resolver: Any = yaml.SafeLoader("")
    return str(resolver.resolve(yaml.ScalarNode, value, (True, False)))


def _replace(file: File, node: Node, raw: str, *, value: str) -> Edited:
    text = file.text[: node.start] + raw + file.text[node.end :]
    content = ((BOM if file.has_bom else "") + text).encode()
    again = read_file(file.name, content)
    place = node.event
    same = len(again.events) == len(file.events) and all(
        one == other for number, (one, other) in enumerate(zip(file.events, again.events, strict=True)) if number != place
    )
    name, anchor, tag, _, found, *_ = again.events[place] if same else (None,) * 9
    if not same or (name, anchor, tag, found) != ("ScalarEvent", None, None, value):
        raise refused(
            file.name, node.line, "the edit would change more than this value", fix="Put the value in double quotes, in a line of its own."
        )
    return Edited(content, node.line, file.text[node.start : node.end], raw)
