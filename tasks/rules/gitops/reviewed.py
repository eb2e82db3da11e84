"""What Git says where a release would edit it, compared with what the release needs there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.rules.gitops.edit import Edit, apply_edit, diff
from tasks.rules.gitops.places import read_file
from tasks.rules.gitops.targets import find

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Place:
    """One value: its file, its line from 1, and what stands there."""

    file: str
    line: int
    value: str


@dataclass(frozen=True)
class Reviewed:
    """What a change would change.

    Fields:
        head: The commit that was read.
        places: Where each edit's value stands.
        diff: The change, as a unified diff.
    """

    head: str
    places: tuple[Place, ...]
    diff: str


def review(head: str, files: Files, edits: Sequence[Edit]) -> Reviewed:
    """Look at the values of some edits, and make the edits.

    Args:
        head: The commit of the files.
        files: By path, as Git has them.
        edits: What would be set, whatever stands there.

    Raises:
        BadInput: A value cannot be edited safely; names file, line and fix.
    """
    places, after = [], dict(files)
    for edit in edits:
        node = find(read_file(edit.file, files[edit.file]), edit.target)
        places.append(Place(edit.file, node.line, node.value))
        after[edit.file] = apply_edit(after[edit.file], replace(edit, expected=None)).content
    return Reviewed(head, tuple(places), "".join(diff(name, files[name], after[name]) for name in sorted(files)))


def differing(places: Sequence[Place], edits: Sequence[Edit]) -> list[str]:
    """Say which values are not those of these edits, with file and line."""
    pairs = zip(places, edits, strict=True)
    return [f"{one.file}:{one.line} says `{one.value}`, not `{edit.value}`" for one, edit in pairs if one.value != str(edit.value)]


def steps_of(places: Sequence[Place], edits: Sequence[Edit]) -> list[str]:
    """Write each value that would change, without the lines around it, which others may edit meanwhile."""
    pairs = zip(places, edits, strict=True)
    return [f"{edit.file} {edit.target}: {one.value} → {edit.value}" for one, edit in pairs if one.value != str(edit.value)]
