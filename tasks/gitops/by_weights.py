"""Canary through Git by weights: the canary's version, each share of the requests, and the workload's own version are a commit each.

What a commit sets is noted on the workload before it is pushed, so each effect may end anywhere, and another process finishes it. No
commit sends requests to pods that are not ready: those that will get them are waited for before it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from blocks.errors import RolloutFailed, ShipwayError, Superseded, Temporary, WorldMoved
from blocks.platform import Lease
from tasks.gitops import in_step
from tasks.gitops.changes import change_for, commit, not_set
from tasks.gitops.checks import expect_engine, reviewed, reviewed_canary
from tasks.gitops.parts import ALL, Parts, Seen
from tasks.gitops.review import review_change
from tasks.gitops.undo import say_home, undo_versions, undo_weights
from tasks.gitops.without_git import roll_back_without_git, tell_git
from tasks.lifecycle.retries import retried
from tasks.rules.gitops.note import Note, write_note
from tasks.rules.gitops.reviewed import differing
from tasks.rules.gitops.settings import edits_of, expecting
from tasks.rules.gitops.weights import Shift, weight_edits


async def prepare(parts: Parts, version: str, lease: Lease) -> None:
    """Deploy a version as the canary, which gets no requests; what an earlier release left goes first."""
    await parts.followed.expect_owner(lease)
    await tell_git(parts, lease)
    seen = await parts.seen()
    note = seen.note
    if seen.state.canary == version and note is not None and note.change.version == version and _goes_on(note):
        if note.shift is not None:
            await lower(parts, lease)
        await _deploy(parts, (await parts.seen()).expect_note(parts.title), lease)
        return
    if seen.state.canary or note is not None:
        await (abort if note is not None and note.by_weights else in_step.abort)(parts, lease)
        seen = await parts.seen()
    if seen.runs == version:
        return
    await parts.canary.touches()
    await asyncio.gather(parts.followed.expect_startable(version), parts.canary.expect_startable(version))
    note = await _noted(parts, version, seen, lease)
    await parts.followed.begin(version, lease, note=write_note(note))
    await _deploy(parts, note, lease)


async def shift(parts: Parts, percent: int, lease: Lease) -> None:
    """Commit a share of the requests for the canary, and see it in force."""
    await parts.followed.expect_owner(lease)
    seen = await parts.seen()
    if not seen.state.canary:
        raise WorldMoved(f"{parts.title} has no canary to send requests to; something else changed the environment")
    note = seen.expect_note(parts.title)
    if percent == 0:
        await lower(parts, lease)
        return
    if not _goes_on(note):
        what = "is being rolled back without Git" if note.due else "is being promoted"
        raise WorldMoved(f"{note.change.version} of {parts.title} {what}; finish that first")
    if note.shift is not None and percent != note.share != seen.state.percent:  # its process died; it must be before ours in the history
        await parts.way(note, lease).bring_in(note.shift.change, known_head=note.head)
    if percent != note.share:
        note = replace(note, shift=_shift(parts, note, percent, lease, step=f"with {percent} % of the requests"))
        await parts.followed.keep_note(lease, write_note(note))
    await parts.canary.await_version(note.change.version, lease)
    await _commit_shift(parts, note, lease)
    await parts.followed.keep(lease, note=write_note(note), percent=percent)
    await parts.followed.record("ShipwayShift", f"{percent} % of the requests go to {note.change.version}")


async def lower(parts: Parts, lease: Lease) -> None:
    """Commit that the baseline gets all requests; the canary stays."""
    note = (await parts.seen()).expect_note(parts.title)
    if not _goes_on(note):
        await abort(parts, lease)
    elif note.shift is not None:
        try:
            await _give_back(parts, note, lease)
        except (Superseded, WorldMoved):
            raise
        except (ShipwayError, TimeoutError) as error:  # a bad canary keeps its share for no Git
            await roll_back_without_git(parts, note, lease, why=str(error) or _unanswered(parts))


async def promote(parts: Parts, lease: Lease) -> None:
    """Commit the workload's own version while the canary serves, wait for its rollout, then commit that it gets all requests."""
    await parts.followed.expect_owner(lease)
    seen = await parts.seen()
    if not seen.state.canary:
        if seen.note is not None and not seen.note.due:
            await parts.followed.keep_note(lease, None)
        return
    note = seen.expect_note(parts.title)
    if note.due or note.promotion is None:
        raise WorldMoved(f"{note.change.version} of {parts.title} is being rolled back without Git; finish that first")
    if not note.promoting:
        if seen.state.percent != ALL or note.share != ALL:
            raise WorldMoved(f"{note.change.version} does not get all requests of {parts.title}; it cannot be made the baseline")
        await parts.canary.expect_share(ALL)
        await parts.canary.drain()
        note = replace(note, promoting=True)
        await parts.followed.keep_note(lease, write_note(note))
    await _promoted(parts, note, lease)
    if note.share == ALL:
        note = replace(note, shift=_shift(parts, note, 0, lease, step="as the baseline, with all requests"))
        await parts.followed.keep_note(lease, write_note(note))
    await _commit_shift(parts, note, lease)
    await parts.workload.promote(lease)
    await parts.followed.keep_note(lease, None)


async def abort(parts: Parts, lease: Lease, *, waits: bool = True) -> None:
    """Give the requests back by a commit, then revert the versions; without Git, see `roll_back_without_git`."""
    await parts.followed.expect_owner(lease)
    seen = await parts.seen()
    note = seen.note
    if note is None:
        await _abort_without_note(parts, seen, lease, waits=waits)
    elif note.due:
        await roll_back_without_git(parts, note, lease, why=note.why, waits=waits)
    elif not seen.state.canary:
        await parts.followed.keep_note(lease, None)
    else:
        await _undo(parts, note, lease, waits=waits)


async def _abort_without_note(parts: Parts, seen: Seen, lease: Lease, *, waits: bool) -> None:
    """Bring the requests home in a rollback, and restore the workload whether Git took that or not."""
    untold: ShipwayError | None = None
    if seen.state.rollback:
        try:
            await bring_home(parts, lease)
        except Superseded:
            raise
        except ShipwayError as error:
            untold = error
    await parts.workload.abort(lease, waits=waits)
    if untold is not None:
        raise untold


async def bring_home(parts: Parts, lease: Lease) -> None:
    """Commit that the baseline gets all requests, whoever took them away: a rollback that finds no note of it, as others removed that.

    Raises:
        ShipwayError: Git does not answer, or refuses; the route itself is set, and the engine may undo that.
    """
    await parts.followed.expect_owner(lease)
    try:
        await _bring_home(parts, lease)
    except Superseded:
        raise
    except ShipwayError:
        if await parts.canary.share():
            await parts.canary.give_back(lease)
            raise
    await parts.canary.give_back(lease)  # if the engine does not undo what others wrote into the route


async def _bring_home(parts: Parts, lease: Lease) -> None:
    seconds = parts.settings.git_patience_seconds
    try:
        async with asyncio.timeout(seconds):
            head = await say_home(parts, lease)
    except TimeoutError:
        raise Temporary(f"Git gave no answer within {seconds:g} s, so it was not told that the baseline gets all requests") from None
    if head:
        await _follow_back(parts, lease["owner"], head)


async def _undo(parts: Parts, note: Note, lease: Lease, *, waits: bool) -> None:
    """Undo what the release committed, each as far as it still is what the release committed."""
    await parts.followed.record("ShipwayAbort", f"Reverting {note.change.version} in Git", warning=True)
    moved = list[str]()
    try:
        if note.shift is not None:
            try:
                note = await _give_back(parts, note, lease)
                await parts.canary.drain()  # the gateway may send requests for a moment more, and the revert replaces the canary's pods
            except WorldMoved as error:
                moved.append(str(error))
        try:
            await _revert(parts, note, lease)
        except WorldMoved as error:
            moved.append(str(error))
    except Superseded:
        raise
    except (ShipwayError, TimeoutError) as error:
        await roll_back_without_git(parts, note, lease, why=str(error) or _unanswered(parts), waits=waits)
        return
    runs = (await parts.seen()).runs
    if note.promoting and runs == note.change.version and not moved:
        moved.append(f"it is still set to {runs}, though its change is reverted")
    if note.promoting and not moved and waits:
        await parts.followed.await_version(runs, lease, patient=True)
    await parts.followed.forget(lease)
    if moved:
        said = f"{parts.title} is left as it is where another commit changed what this release set in Git, which is not overwritten"
        raise WorldMoved(f"{said}. {'; '.join(moved)}")


def _unanswered(parts: Parts) -> str:
    return f"no answer within {parts.settings.git_patience_seconds:g} s"


async def _give_back(parts: Parts, note: Note, lease: Lease) -> Note:
    """Commit that the baseline gets all requests, and see it in force; gives the note without the shift."""
    async with asyncio.timeout(parts.settings.git_patience_seconds):
        head = await undo_weights(parts, note, lease)
    await _follow_back(parts, note.change.release, head)
    try:
        await parts.canary.expect_share(0)
    except WorldMoved:  # Git says so, and others wrote into the route, which no engine undoes
        await parts.canary.give_back(lease)
    note = replace(note, shift=None)
    await parts.followed.keep(lease, note=write_note(note), percent=0)
    return note


async def _revert(parts: Parts, note: Note, lease: Lease) -> None:
    """Revert the versions and see that deployed."""
    async with asyncio.timeout(parts.settings.git_patience_seconds):
        head = await undo_versions(parts, note, lease)
    if head:
        await _follow_back(parts, note.change.release, head)


async def _follow_back(parts: Parts, release: str, head: str) -> None:
    seen = await parts.engine.look()
    if seen.operation is not None and seen.operation != head:
        await parts.engine.stop()  # it may retry the bad commit for long before it looks at a newer one
    await parts.deployed(head, note=release, timeout_seconds=parts.settings.rollback_patience_seconds)


async def _deploy(parts: Parts, note: Note, lease: Lease) -> None:
    """Commit the canary's version and wait for its rollout."""
    head = await commit(parts, note, note.change, lease)
    runs = await parts.canary.runs()
    if runs != note.change.version:
        raise await not_set(parts, note.change, head, runs, field="canary_edits", what="the canary")
    await parts.canary.await_version(note.change.version, lease)
    await parts.followed.keep_note(lease, write_note(replace(note, deployed=True)))


async def _promoted(parts: Parts, note: Note, lease: Lease) -> None:
    """Commit the workload's own version and wait for its rollout."""
    if note.promotion is None:
        return
    head = await commit(parts, note, note.promotion, lease)
    runs = (await parts.seen()).runs
    if runs != note.change.version:
        raise await not_set(parts, note.promotion, head, runs)
    await parts.followed.await_version(note.change.version, lease)


async def _commit_shift(parts: Parts, note: Note, lease: Lease) -> None:
    """Commit the newest shift and wait until the gateway has applied it."""
    if note.shift is None:
        return
    change = note.shift.change
    head = await commit(parts, note, change, lease)
    try:
        await parts.canary.expect_share(note.share)
    except WorldMoved as error:
        said = f"{head[:12]} is deployed, but {error}"
        found = await retried(review_change)(parts.git, change.edits)
        if others := differing(found.places, change.edits):
            what = f"In {found.head[:12]} {'; '.join(others)}. Look at it, then release again"
            raise WorldMoved(f"{said}: another commit changed it. {what}") from None
        raise RolloutFailed(f"{said}. Fix `weights` of the block: they must be all weights of this route") from None


def _shift(parts: Parts, note: Note, percent: int, lease: Lease, *, step: str) -> Shift:
    edits = weight_edits(parts.settings.weights, before=note.share, after=percent)
    return Shift(change_for(parts, note.change.version, lease, edits, step=step), note.share, percent)


def _goes_on(note: Note) -> bool:
    """Say whether a canary may still get another share."""
    return note.by_weights and not note.due and not note.promoting


async def _noted(parts: Parts, version: str, seen: Seen, lease: Lease) -> Note:
    """Review what Git says, and write the changes of versions that the release wants."""
    workload = await reviewed(parts, version, seen.runs)
    canary = await reviewed_canary(parts, version)
    await expect_engine(parts)
    weights = parts.settings.weights
    images = edits_of(parts.settings.canary_edits, version)
    edits = expecting(images, [one.value for one in canary.places[: len(images)]])
    own = expecting(edits_of(parts.settings.edits, version), [one.value for one in workload.places])
    first = change_for(parts, version, lease, (*edits, *weight_edits(weights, before=0, after=0)), step="as the canary")
    last = change_for(parts, version, lease, (*own, *weight_edits(weights, before=ALL, after=ALL)), step="as the baseline")
    return Note(first, canary.head, seen.runs, promotion=last)
