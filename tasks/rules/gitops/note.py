"""The note of a change that is under way: kept on the workload before the first push, so that any process can undo it. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from blocks.errors import WorldMoved
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.targets import ApplicationRevision, KustomizeImage, Target, YamlPath
from tasks.rules.gitops.weights import Shift

LONGEST_KEY, MOST_HOLDER = 180, 150
TARGETS: dict[str, type[YamlPath | KustomizeImage | ApplicationRevision]] = {
    "path": YamlPath,
    "image": KustomizeImage,
    "revision": ApplicationRevision,
}
Due = Literal["", "revert", "commit"]


@dataclass(frozen=True)
class Note:
    """What is under way.

    Fields:
        change: The commit that is wanted.
        head: The head that was reviewed.
        baseline: The version that served then.
        due: What Git has still to be told, since it was not reached when the cluster was changed: the change's revert, or the change.
        why: Why it was not, for people.
        holder: The name under which the engine was held already before this change; "" if it was not.
        rolls_back: Whether the change is itself a rollback, which goes on without Git.
        via: The page of the pull request by which it goes in; "" if there is none.
        deployed: Whether the workload ran the version: from then on the baseline is another's change, too.
        promotion: By weights, the change is that of a canary beside the workload, and this one is the workload's own; else None.
        promoting: Whether the promotion was begun.
        shift: The newest commit of weights that was not undone; None if the canary was not given a share.
    """

    change: Change
    head: str
    baseline: str
    due: Due = ""
    why: str = ""
    holder: str = ""
    rolls_back: bool = False
    via: str = ""
    deployed: bool = False
    promotion: Change | None = None
    promoting: bool = False
    shift: Shift | None = None

    @property
    def by_weights(self) -> bool:
        """Whether weights in Git send requests to a canary beside the workload."""
        return self.promotion is not None

    @property
    def under_way(self) -> Literal["", "in place", "promotion"]:
        """What is under way, as the position of a platform says it; "" while shares can be set, or it is being undone."""
        if self.due == "revert":
            return ""
        if not self.by_weights:
            return "in place"
        return "promotion" if self.promoting and self.shift is not None else ""

    @property
    def share(self) -> int:
        """The canary's share by the newest commit of weights, in percent."""
        return self.shift.after if self.shift is not None else 0

    @property
    def holds(self) -> str:
        """Name the hold, which is the same for whoever undoes the change."""
        return self.holder or self.change.release[:MOST_HOLDER]

    def owed(self, due: Due, *, why: str) -> Note:
        """Return the note of something that is due."""
        return replace(self, due=due, why=why)

    def of_baseline(self, edits: tuple[Edit, ...], nonce: str) -> Note:
        """Return the note by which Git is told that the baseline runs."""
        return replace(self.again(nonce), change=replace(self.again(nonce).change, edits=edits, version=self.baseline))

    def again(self, nonce: str) -> Note:
        """Return the note of the same change under another key: the first one was reverted."""
        return replace(self, change=replace(self.change, key=f"{self.change.key.rpartition('/')[0]}/{nonce}"), via="", deployed=False)


def key_of(*parts: str, nonce: str) -> str:
    """Make the key of a change, which no other one has.

    Args:
        parts: What it is about: release, environment, version.
        nonce: Letters and digits that were never used before.
    """
    plain = re.sub(r"[^A-Za-z0-9._/-]+", "-", "/".join(parts)).lstrip("._/-")
    return f"{plain[:LONGEST_KEY]}/{nonce}"


def write_note(note: Note) -> str:
    """Write a note as text."""
    shift = note.shift and {**asdict(note.shift), "change": _change(note.shift.change)}
    promotion = note.promotion and _change(note.promotion)
    return json.dumps({**asdict(note), "change": _change(note.change), "shift": shift, "promotion": promotion}, sort_keys=True)


def read_note(text: str) -> Note:
    """Read a note.

    Raises:
        WorldMoved: It was changed by others.
    """
    try:
        found = json.loads(text)
        change, shift, promotion = (found.pop(name) for name in ("change", "shift", "promotion"))
        made = None if shift is None else Shift(_read_change(shift["change"]), int(shift["before"]), int(shift["after"]))
        return Note(_read_change(change), **found, shift=made, promotion=None if promotion is None else _read_change(promotion))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "Compare Git with the cluster, then remove the annotation shipway.dev/gitops of the workload"
        raise WorldMoved(f"the note of the change under way cannot be read ({type(error).__name__}). {fix}") from None


def _change(change: Change) -> dict[str, Any]:
    return {**asdict(change), "edits": [_edit(one) for one in change.edits]}


def _read_change(found: dict[str, Any]) -> Change:
    edits = tuple(_read_edit(one) for one in found["edits"])
    return Change(**{**found, "edits": edits, "approvers": tuple(found["approvers"])})


def _edit(edit: Edit) -> dict[str, Any]:
    kind = next(name for name, target in TARGETS.items() if isinstance(edit.target, target))
    return {"file": edit.file, "kind": kind, "target": asdict(edit.target), "value": edit.value, "expected": edit.expected}


def _read_edit(found: dict[str, Any]) -> Edit:
    target: Target = TARGETS[found["kind"]](**found["target"])
    return Edit(found["file"], target, found["value"], found["expected"])
