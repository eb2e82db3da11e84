"""Rollout through Git in one step: one commit sets the version, the engine applies it, the workload's own rollout is waited for.

What undoes the commit is noted on the workload before it is pushed. So each effect may end anywhere, and another process finishes it.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from blocks.errors import ShipwayError, Superseded, WorldMoved
from blocks.platform import Lease
from tasks.gitops.changes import change_for, commit, not_set
from tasks.gitops.checks import expect_engine, expect_forge, reviewed
from tasks.gitops.parts import ALL, Parts, Seen
from tasks.gitops.without_git import deploy_without_git, roll_back_without_git, tell_git, undo_without_git
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.note import Note, write_note
from tasks.rules.gitops.settings import edits_of, expecting


async def prepare(parts: Parts, version: str, lease: Lease) -> None:
    """Check that a version could be deployed, and note what undoes it; what an earlier release left goes first."""
    await parts.followed.expect_owner(lease)
    await _settle(parts, lease)
    seen = await parts.seen()
    if seen.state.canary == version and seen.note is not None and seen.note.change.version == version:
        if seen.state.percent and not seen.note.due:
            await lower(parts, lease)
        return
    if seen.state.canary or seen.note is not None:
        await abort(parts, lease)
        seen = await parts.seen()
    if seen.runs == version:
        return
    await parts.followed.expect_startable(version)
    note = await _noted(parts, version, seen, lease)
    await parts.followed.begin(version, lease, note=write_note(note))


async def raise_to_all(parts: Parts, lease: Lease) -> None:
    """Commit the version, follow the commit, and wait for the rollout."""
    await parts.followed.expect_owner(lease)
    seen = await parts.seen()
    if not seen.state.canary:
        raise WorldMoved(f"{parts.title} has no version to roll out; something else changed the environment")
    note, version = seen.expect_note(parts.title), seen.state.canary
    if note.due == "commit":
        await deploy_without_git(parts, note, lease)
        return
    if note.due:
        raise WorldMoved(f"{parts.title} is being rolled back from {version} without Git; finish that first")
    await parts.followed.keep(lease, note=write_note(note), percent=ALL)
    try:
        async with asyncio.timeout(parts.settings.rollback_patience_seconds if note.rolls_back else None):
            head = await commit(parts, note, note.change, lease)
    except (Superseded, WorldMoved):
        raise
    except (ShipwayError, TimeoutError) as error:
        if not note.rolls_back:
            raise
        await deploy_without_git(parts, note.owed("commit", why=str(error) or "it took too long"), lease)
        return
    seen = await parts.seen()
    if seen.runs != version:
        raise await not_set(parts, note.change, head, seen.runs)
    await parts.followed.await_version(version, lease)
    await parts.followed.keep_note(lease, write_note(replace(seen.expect_note(parts.title), deployed=True)))
    await parts.followed.record("ShipwayShift", f"{version} is deployed by {head[:12]}")


async def lower(parts: Parts, lease: Lease) -> None:
    """Revert the commit and wait for the baseline; the version can be deployed again afterwards, by another commit."""
    await parts.followed.expect_owner(lease)
    seen = await parts.seen()
    if not seen.state.canary:
        raise WorldMoved(f"{parts.title} has no version to take requests from; something else changed the environment")
    note = seen.expect_note(parts.title)
    if note.due:
        await abort(parts, lease)
    elif seen.state.percent and await _undo(parts, note, lease):
        await parts.followed.keep(lease, note=write_note(note.again(secrets.token_hex(6))), percent=0)


async def promote(parts: Parts, lease: Lease) -> None:
    """Make the version the baseline: nothing is left to be undone."""
    await parts.workload.promote(lease)
    seen = await parts.seen()
    if seen.note is not None and not seen.note.due:
        await parts.followed.keep_note(lease, None)


async def abort(parts: Parts, lease: Lease, *, waits: bool = True) -> None:
    """Revert the commit if it was pushed, and wait for the baseline unless another version is started next; or without Git."""
    await parts.followed.expect_owner(lease)
    seen = await parts.seen()
    if seen.note is None:
        await parts.workload.abort(lease, waits=waits)  # what a release left here that did not go through Git
    elif seen.note.due == "commit":
        if seen.state.canary:
            await undo_without_git(parts, seen.note, lease, waits=waits)
    elif seen.note.due:
        await roll_back_without_git(parts, seen.note, lease, why=seen.note.why, waits=waits)
    elif not seen.state.canary:
        await parts.followed.keep_note(lease, None)
    elif (seen.state.percent == 0 and seen.runs == seen.state.baseline) or await _undo(parts, seen.note, lease, waits=waits):
        await parts.followed.forget(lease)


async def _undo(parts: Parts, note: Note, lease: Lease, *, waits: bool = True) -> bool:
    """Revert the change in Git and see that deployed; else do without Git. Says whether the canary is still noted."""
    await parts.followed.record("ShipwayAbort", f"Reverting {note.change.version} in Git", warning=True)
    try:
        await _revert(parts, note, lease)
    except WorldMoved as error:
        await parts.followed.forget(lease)
        said = f"{parts.title} is left as it is: what this release set in Git was changed by another commit, which is not overwritten"
        raise WorldMoved(f"{said}. {error}") from None
    except Superseded:
        raise
    except (ShipwayError, TimeoutError) as error:
        why = str(error) or f"no answer within {parts.settings.git_patience_seconds:g} s"
        await roll_back_without_git(parts, note, lease, why=why, waits=waits)
        return False
    runs = (await parts.seen()).runs
    if runs == note.change.version != note.baseline:
        await parts.followed.forget(lease)
        raise WorldMoved(f"{parts.title} is still set to {runs}, though its change is reverted: Git says so by another commit. Look at it")
    if waits:
        await parts.followed.await_version(runs, lease, patient=True)
    return True


async def _revert(parts: Parts, note: Note, lease: Lease) -> None:
    async with asyncio.timeout(parts.settings.git_patience_seconds):
        made = await parts.way(note, lease).take_out(note.change)
    seen = await parts.engine.look()
    if seen.operation is not None and seen.operation != made.head:
        await parts.engine.stop()  # it may retry the bad commit for long before it looks at a newer one
    await parts.deployed(made.head, note=note.change.release, timeout_seconds=parts.settings.rollback_patience_seconds)


async def _settle(parts: Parts, lease: Lease) -> None:
    """Tell Git what an earlier rollback could not, and see it deployed; a rollback tries that as long as it is patient with Git."""
    try:
        async with asyncio.timeout(parts.settings.git_patience_seconds if parts.is_rollback else None):
            await tell_git(parts, lease)
    except Superseded:
        raise
    except (ShipwayError, TimeoutError):
        if not parts.is_rollback:
            raise


async def _noted(parts: Parts, version: str, seen: Seen, lease: Lease) -> Note:
    """Review what Git says, and write the change that the release wants."""
    change = change_for(parts, version, lease, edits_of(parts.settings.edits, version))
    if not parts.is_rollback:
        return await _reviewed_note(parts, change, seen)
    if seen.note is not None and seen.note.due:
        return Note(change, "", seen.runs, due="commit", why=seen.note.why, holder=seen.note.holds, rolls_back=True)
    try:
        async with asyncio.timeout(parts.settings.git_patience_seconds):
            return replace(await _reviewed_note(parts, change, seen), rolls_back=True)
    except (ShipwayError, TimeoutError) as error:
        return Note(change, "", seen.runs, due="commit", why=str(error) or "Git does not answer", rolls_back=True)


async def _reviewed_note(parts: Parts, change: Change, seen: Seen) -> Note:
    found = await reviewed(parts, change.version, seen.runs)
    await expect_engine(parts)
    if not parts.is_rollback:
        await expect_forge(parts)
    expected = expecting(change.edits, [one.value for one in found.places])
    return Note(replace(change, edits=expected), found.head, seen.runs)
