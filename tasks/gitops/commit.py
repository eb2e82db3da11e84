"""Commit a change of a release to Git, and revert it: never twice, never over another's change."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prefect import task

from blocks.errors import BadInput, Refused, Superseded, Temporary, Unreachable, WorldMoved
from blocks.git.git import Git
from blocks.git.work_copy import Pushed, WorkCopy
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.gitops.edit import apply_edit, diff, restore
from tasks.rules.gitops.message import CHANGE, Change, check_change, message_of, revert_message_of
from tasks.rules.gitops.reviewed import differing, review

MOST_PUSHES = 15
MOST_CLAIMS = 20
MOST_UNMOVED = 4  # pushes that are rejected though no other commit came: a rule of the server, not a race
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 0.1, 2.0
Files = dict[str, bytes]
Check = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Committed:
    """Where a change stands in Git.

    Fields:
        commit: The commit that made it; None if Git said all of it already, so that there was nothing to commit.
        head: A head of the branch that contains it.
        pushed: Whether this call pushed it; False if an earlier one had.
        diff: What it changed, for people; "" if this call did not push it.
    """

    commit: str | None
    head: str
    pushed: bool
    diff: str = ""


@dataclass(frozen=True)
class Made:
    """What is to be committed on one head: the files before and after, the message, and whether a commit without content will do."""

    before: Files
    after: Files
    message: str
    even_empty: bool = False


async def nothing() -> None:
    """Check nothing before a push."""


@task(name="commit change to git", **OBSERVE)
async def commit_change(git: Git, change: Change, *, known_head: str | None = None, before_push: Check = nothing) -> Committed:
    """Commit a change and push it; called again with the same key, it finds what was pushed.

    Args:
        git: The branch.
        change: What is wanted.
        known_head: A commit that the branch's history must contain, as the head that was reviewed; None does not look.
        before_push: Called right before each push, with the head in hand on which alone the push is taken; what it raises ends it.

    Returns:
        Where the change stands.

    Raises:
        BadInput: A file or a value cannot be edited safely; names file, line and fix.
        WorldMoved: Another commit changed a value of ours, or the history was rewritten.
        Refused: The remote refuses us, or takes no push although no other commit came.
        Superseded: The change was reverted already, so this is a late copy of whoever wanted it.
        Temporary: The remote does not answer, or others commit faster than we can push.
    """
    check_change(change)

    async def make(copy: WorkCopy, head: str) -> Made:
        return Made(*await edited(copy, head, change), message_of(change))

    async with git.work_copy() as copy:
        return await push(copy, change, undone=True, known_head=known_head, make=make, before_push=before_push)


@task(name="revert change in git", **OBSERVE)
async def revert_change(git: Git, change: Change, *, before_push: Check = nothing, fence: bool = False, merged_as: str = "") -> Committed:
    """Undo exactly what `commit_change` did, on top of what others committed since; again changes nothing.

    Args:
        git: The branch.
        change: The change that was committed.
        before_push: As in `commit_change`.
        fence: If the change was never made, push a commit without content in its place: a push of the change that is on its way is then
            rejected, and whoever sent it learns that it is reverted.
        merged_as: The commit that a forge says made the change, whatever its message says; "" if it was not merged by one.

    Returns:
        Where the revert stands; its `commit` is None if there was nothing to undo, and no fence was asked for.

    Raises:
        ShipwayError: As in `commit_change`.
    """
    check_change(change)

    async def make(copy: WorkCopy, head: str) -> Made:
        commit = await landing(copy, change, head=head, merged_as=merged_as)
        return await make_revert(copy, head, change, commit=commit, fence=fence)

    async with git.work_copy() as copy:
        return await push(copy, change, reverts=True, undone=False, known_head=None, make=make, before_push=before_push)


async def landing(copy: WorkCopy, change: Change, *, head: str, merged_as: str) -> str | None:
    """Find the commit that made a change: the one that a forge says it was merged as, if Git says so, too; else by its trailer.

    Raises:
        Temporary: The forge says that it merged it, and the branch does not show that, or not yet.
    """
    if merged_as and await copy.contains(merged_as, head=head) and await has_made(copy, merged_as, change):
        return merged_as
    found = await find_made(copy, change, head=head)
    if merged_as and found is None:
        raise Temporary(f"a forge says that the change {change.key} is merged as {merged_as[:12]}, and {copy!r} does not show that it is")
    return found


async def has_made(copy: WorkCopy, commit: str, change: Change) -> bool:
    """Say whether a commit's files have the values of a change, and those of its first parent do not: whatever a forge says of it."""
    try:
        return await has_change(copy, commit, change) and not await has_change(copy, await copy.parent_of(commit), change)
    except Temporary:  # it is the first one
        return False


async def find_made(copy: WorkCopy, change: Change, *, head: str, reverts: bool = False) -> str | None:
    """Find the commit that made a change, or its revert: one that says so in its trailer, and did it.

    A trailer is a line that anyone may write into a commit of their own.

    Args:
        copy: The branch.
        change: The change.
        head: Where to begin.
        reverts: Look for its revert.
    """
    key = change.revert_key if reverts else change.key
    for _ in range(MOST_CLAIMS):
        found = await copy.find_trailer(CHANGE, key, head=head)
        if found is None or await _did(copy, found, change, reverts=reverts):
            return found
        try:
            head = await copy.parent_of(found)
        except Temporary:  # it is the first one
            return None
    raise WorldMoved(f"more than {MOST_CLAIMS} commits of {copy!r} say falsely that they are the change {key}. Find out who made them")


async def _did(copy: WorkCopy, commit: str, change: Change, *, reverts: bool) -> bool:
    if reverts:  # also an empty commit in the place of a change that was never made
        return not await has_change(copy, commit, change)
    return await has_made(copy, commit, change)


async def has_change(copy: WorkCopy, commit: str, change: Change) -> bool:
    """Say whether a commit's files have the values of a change."""
    try:
        files = {name: await copy.read(name, commit=commit) for name in dict.fromkeys(edit.file for edit in change.edits)}
        return not differing(review(commit, files, change.edits).places, change.edits)
    except BadInput:  # there is no such file or value
        return False


async def make_revert(copy: WorkCopy, head: str, change: Change, *, commit: str | None, fence: bool = False) -> Made:
    """Undo a change on a head.

    Args:
        copy: The branch.
        head: Its head.
        change: What is undone.
        commit: The commit that made it; None if there is none.
        fence: Whether an empty commit takes its place then.
    """
    if commit is None:
        return Made({}, {}, revert_message_of(change, ""), even_empty=fence)
    return Made(*await restored(copy, head, change, commit=commit), revert_message_of(change, commit))


async def push(
    copy: WorkCopy,
    change: Change,
    *,
    undone: bool,
    known_head: str | None,
    make: Callable[[WorkCopy, str], Awaitable[Made]],
    before_push: Check,
    reverts: bool = False,
) -> Committed:
    """Make the edit on the newest head and push it, until it is there; the head is fetched and looked through before each push."""
    last, unmoved, pushed = known_head, 0, None
    for number in range(MOST_PUSHES):
        head = await copy.fetch()
        await refuse_rewritten(copy, last, head=head)
        if undone and await find_made(copy, change, head=head, reverts=True) is not None:
            raise Superseded(f"the change {change.key} was reverted in {copy!r} meanwhile, so it is not committed again")
        found = await find_made(copy, change, head=head, reverts=reverts)
        if found is not None:
            return Committed(found, head, pushed=False)
        if pushed is not None:
            unmoved = unmoved + 1 if head == last else 0
            _refuse_more(copy, pushed, unmoved=unmoved)
        made = await make(copy, head)
        if made.before == made.after and not made.even_empty:
            return Committed(None, head, pushed=False)
        commit = await copy.commit(head, made.after, message=made.message)
        await before_push()
        pushed, last = await copy.push(commit, parent=head), head
        if pushed.taken:
            return await _confirmed(copy, commit, diff=diff_of(made.before, made.after))
        await asyncio.sleep(min(FIRST_WAIT_SECONDS * 2**number, MOST_WAIT_SECONDS))
    raise Temporary(f"{copy!r} took none of {MOST_PUSHES} pushes, as others commit to it all the time")


def _refuse_more(copy: WorkCopy, pushed: Pushed, *, unmoved: int) -> None:
    """Give up on a push that had no answer, and on pushes that are rejected though no other commit came."""
    if not pushed.answered:
        raise Unreachable(f"{copy!r} gave no answer to a push and does not have it: {pushed.said}")
    if unmoved >= MOST_UNMOVED:
        why = "a protected branch, a hook or a missing right"
        raise Refused(f"{copy!r} took none of {unmoved} pushes though no other commit came: {why}. It said: {pushed.said}")


async def _confirmed(copy: WorkCopy, commit: str, *, diff: str) -> Committed:
    head = await copy.fetch()
    if not await copy.contains(commit, head=head):
        raise WorldMoved(f"{copy!r} took {commit} and does not contain it: its history was rewritten. Look at the branch first")
    return Committed(commit, head, pushed=True, diff=diff)


async def refuse_rewritten(copy: WorkCopy, known: str | None, *, head: str) -> None:
    """Refuse a branch that no longer contains a commit that is known of it.

    Raises:
        WorldMoved: Its history was rewritten.
    """
    if known is not None and not await copy.contains(known, head=head):
        raise WorldMoved(f"{copy!r} no longer contains {known}: its history was rewritten. Look at the branch, then release again")


async def edited(copy: WorkCopy, head: str, change: Change) -> tuple[Files, Files]:
    """Make a change's edits on a head; gives the files before and after."""
    before: Files = {}
    after: Files = {}
    for edit in change.edits:
        if edit.file not in before:
            before[edit.file] = after[edit.file] = await copy.read(edit.file, commit=head)
        after[edit.file] = apply_edit(after[edit.file], edit).content
    return before, after


async def restored(copy: WorkCopy, head: str, change: Change, *, commit: str) -> tuple[Files, Files]:
    """Undo on a head what a commit set; gives the files before and after."""
    parent = await copy.parent_of(commit)
    before: Files = {}
    after: Files = {}
    for edit in change.edits:
        if edit.file not in before:
            before[edit.file] = after[edit.file] = await copy.read(edit.file, commit=head)
        was, made = await copy.read(edit.file, commit=parent), await copy.read(edit.file, commit=commit)
        after[edit.file] = restore(after[edit.file], edit, before=was, after=made).content
    return before, after


def diff_of(before: Files, after: Files) -> str:
    """Write what would change, as a unified diff."""
    return "".join(diff(name, before[name], after[name]) for name in sorted(before))
