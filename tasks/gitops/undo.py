"""Undo a release's changes by weights in Git: the requests first, then the versions, the newest first."""

from __future__ import annotations

from prefect import task

from blocks.errors import WorldMoved
from blocks.git.git import Git
from blocks.git.work_copy import WorkCopy
from blocks.platform import Lease
from tasks.gitops.changes import change_for
from tasks.gitops.commit import Check, Committed, Files, Made, find_made, nothing, push
from tasks.gitops.parts import Parts
from tasks.gitops.review import review_change
from tasks.lifecycle.retries import OBSERVE, retried
from tasks.rules.gitops.edit import apply_edit
from tasks.rules.gitops.message import Change, check_change, revert_message_of
from tasks.rules.gitops.note import Note
from tasks.rules.gitops.reviewed import differing, review
from tasks.rules.gitops.settings import expecting
from tasks.rules.gitops.weights import Shift, changes_something, home_edits, weight_edits


@task(name="give requests back in git", **OBSERVE)
async def give_back(git: Git, shift: Shift, *, before_push: Check = nothing) -> Committed:
    """Commit that the baseline gets all requests, whether the newest commit of weights was made or not; again changes nothing.

    If that was never made, and nothing has to change, a commit without content takes its place, so that a push on its way is rejected.

    Args:
        git: The branch.
        shift: The newest commit of weights.
        before_push: As in `commit_change`.

    Raises:
        WorldMoved: Another commit changed the weights.
        ShipwayError: As in `commit_change`.
    """
    check_change(shift.change)

    async def make(copy: WorkCopy, head: str) -> Made:
        made = await find_made(copy, shift.change, head=head)
        return Made(*await _given_back(copy, head, shift), revert_message_of(shift.change, made or ""), even_empty=made is None)

    async with git.work_copy() as copy:
        return await push(copy, shift.change, reverts=True, undone=False, known_head=None, make=make, before_push=before_push)


async def _given_back(copy: WorkCopy, head: str, shift: Shift) -> tuple[Files, Files]:
    edits = shift.change.edits
    before = {name: await copy.read(name, commit=head) for name in dict.fromkeys(edit.file for edit in edits)}
    after = dict(before)
    for edit in home_edits(shift, review(head, before, edits).places):
        after[edit.file] = apply_edit(after[edit.file], edit).content
    return before, after


async def undo_weights(parts: Parts, note: Note, lease: Lease) -> str:
    """Give all requests back to the baseline in Git; gives a head of the branch that says so, or "" if none was ever taken away."""
    if note.shift is None:
        return ""
    way = parts.way(note, lease)
    if note.shift.after == 0:  # the last step of a promotion
        return (await way.bring_in(note.shift.change)).head
    return (await retried(give_back)(parts.git, note.shift, before_push=way.before)).head


async def undo_versions(parts: Parts, note: Note, lease: Lease) -> str:
    """Revert the workload's version and the canary's; gives a head that says so, or "" if nothing was set.

    Raises:
        WorldMoved: Another commit changed one of them, which stays; the other one is reverted.
    """
    head, moved = "", list[str]()
    for change in versions_of(note):
        try:
            head = (await parts.way(note, lease).take_out(change)).head
        except WorldMoved as error:
            moved.append(str(error))
    if moved:
        raise WorldMoved("; ".join(moved))
    return head


def versions_of(note: Note) -> list[Change]:
    """List the changes of versions that were begun, the newest first."""
    promotion = note.promotion if note.promoting else None
    return [one for one in (promotion, note.change) if one is not None and changes_something(one)]


async def undo_all(parts: Parts, note: Note, lease: Lease) -> str:
    """Undo everything in Git; gives a head that says so, or "" if there was nothing.

    Raises:
        WorldMoved: Another commit changed something of it, which stays; the rest is undone.
    """
    head, moved = "", list[str]()
    for take in (undo_weights, undo_versions):
        try:
            head = await take(parts, note, lease) or head
        except WorldMoved as error:
            moved.append(str(error))
    if moved:
        raise WorldMoved("; ".join(moved))
    return head


async def say_home(parts: Parts, lease: Lease) -> str:
    """Commit that the baseline gets all requests, whoever took them away; gives a head that says so, or "" if Git says so already."""
    edits = weight_edits(parts.settings.weights, before=0, after=0)
    found = await retried(review_change)(parts.git, edits)
    if not differing(found.places, edits):
        return ""
    runs = (await parts.seen()).runs
    change = change_for(parts, runs, lease, expecting(edits, [one.value for one in found.places]), step="with all requests")
    return (await parts.way(Note(change, found.head, runs), lease).bring_in(change)).head
