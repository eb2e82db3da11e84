"""Rollback while Git is unreachable: hold the engine, apply the previous state, note what Git has to be told; and tell it later.

Until then Git says the other thing. So the hold stands until Git was told and the engine deployed that.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Awaitable, Callable
from functools import partial

from blocks.errors import ShipwayError, Temporary, WorldMoved
from blocks.platform import Lease
from tasks.gitops.parts import Parts
from tasks.gitops.review import review_change
from tasks.gitops.undo import say_home, undo_all, versions_of
from tasks.lifecycle.retries import retried
from tasks.record.journal import say
from tasks.rules.gitops.note import Note, write_note
from tasks.rules.gitops.settings import edits_of

MOST_TRIES = 3


async def roll_back_without_git(parts: Parts, note: Note, lease: Lease, *, why: str, waits: bool = True) -> None:
    """Apply the state from before a change; again finishes what was begun.

    Args:
        parts: The environment.
        note: The change under way.
        lease: Our lease.
        why: Why Git could not be told.
        waits: Whether to wait for the baseline; not if another version is started next.

    Raises:
        Superseded, Refused: Another owner holds the environment; nothing was changed.
        ShipwayError: The previous state is applied, but the engine could not be held, so it may undo that, or it did.
    """
    await parts.followed.expect_owner(lease)
    note = note if note.due else note.owed("revert", why=why)
    await parts.followed.keep_note(lease, write_note(note))
    unheld = await _hold(parts, note)
    unrouted = await _give_back(parts, lease) if note.by_weights else None
    if unheld is None and (await parts.seen()).state.canary:
        restore = partial(parts.workload.shift, 0, lease) if waits else partial(parts.workload.abort, lease, waits=False)
        unheld = await _set_for_good(parts, note.baseline, restore)
    if note.by_weights and unrouted is None:
        unrouted = await _give_back(parts, lease)  # a sync from before the hold may have set the route again, and has ended
    await parts.workload.abort(lease, waits=waits)
    await _say(parts, f"{note.baseline} is restored without Git, which still says {note.change.version}: {note.why}")
    if fault := unrouted or unheld:
        raise fault


async def deploy_without_git(parts: Parts, note: Note, lease: Lease) -> None:
    """Deploy the version of a rollback that Git could not be told of.

    Raises:
        ShipwayError: It does not come up, or it does and the engine could not be held.
    """
    unheld = await _hold(parts, note)
    await parts.followed.keep(lease, note=write_note(note), percent=100)
    if unheld is None:
        unheld = await _set_for_good(parts, note.change.version, partial(parts.workload.shift, 100, lease))
    else:
        await parts.workload.shift(100, lease)
    await _say(parts, f"{note.change.version} is deployed without Git, which still says {note.baseline}: {note.why}")
    if unheld is not None:
        raise unheld


async def undo_without_git(parts: Parts, note: Note, lease: Lease, *, waits: bool = True) -> None:
    """Undo `deploy_without_git`: Git says the restored version all along, unless it had to be told something else already."""
    await parts.workload.abort(lease, waits=waits)
    if note.holder:
        edits = edits_of(parts.settings.edits, note.baseline)
        await parts.followed.keep_note(lease, write_note(note.of_baseline(edits, secrets.token_hex(6))))
        return
    await parts.engine.release_hold(note.holds)
    await parts.followed.forget(lease)


async def tell_git(parts: Parts, lease: Lease) -> str:
    """Tell Git what is due, see it deployed, and end the hold.

    Returns:
        What was done, or "" if nothing is due.

    Raises:
        WorldMoved: Git still says the bad version, by a commit that is not ours; the hold stands.
        ShipwayError: Git or the engine cannot be reached yet, or refuses; the hold stands.
    """
    seen = await parts.seen()
    note = seen.note
    if note is None or not note.due or (note.due == "commit" and seen.state.canary):  # the latter is not promoted yet
        return ""
    told = await _tell(parts, note, lease)
    if parts.settings.mode == "weights" and note.due == "commit":  # it may have begun while a canary had a share in Git
        told = await say_home(parts, lease) or told
    if told:
        await parts.deployed(told, note=note.change.release, timeout_seconds=parts.settings.sync_timeout_seconds)
    await parts.followed.expect_owner(lease)
    await parts.engine.release_hold(note.holds)
    await parts.followed.keep_note(lease, None)
    what = f"the {note.due} of {note.change.service} {note.change.version} is in Git" if told else "Git was changed by others since"
    await _say(parts, f"{what}, and the hold is released")
    return f"{parts.title}: {what}, and the hold is released"


async def _tell(parts: Parts, note: Note, lease: Lease) -> str:
    """Push what is due; gives the head that says it, or "" if others have set other values since, which are theirs."""
    if note.by_weights:
        return await _tell_of_all(parts, note, lease)
    try:
        way = parts.way(note, lease)
        return (await (way.bring_in(note.change, at_once=True) if note.due == "commit" else way.take_out(note.change))).head
    except WorldMoved as error:
        found = await retried(review_change)(parts.git, note.change.edits)
        bad = [one for one, edit in zip(found.places, note.change.edits, strict=True) if one.value == str(edit.value)]
        if bad and note.due == "revert":
            raise WorldMoved(f"{error}. {parts.title} stays held: Git still says {note.change.version}") from None
        return ""


async def _tell_of_all(parts: Parts, note: Note, lease: Lease) -> str:
    """Undo all commits of a canary by weights; gives the head that says so, or "" if others have set other values since."""
    try:
        return await undo_all(parts, note, lease)
    except WorldMoved as error:
        shifts = [note.shift.change] if note.shift is not None and note.shift.after else []  # at rest the weights are nothing bad
        for change in [*versions_of(note), *shifts]:
            found = await retried(review_change)(parts.git, change.edits)
            bad = any(one.value == str(edit.value) != str(edit.expected) for one, edit in zip(found.places, change.edits, strict=True))
            if bad and change is not note.change:  # without a share the canary gets no requests
                raise WorldMoved(f"{error}. {parts.title} stays held: Git still says {note.change.version}") from None
        return ""


async def _hold(parts: Parts, note: Note) -> ShipwayError | None:
    """Hold the engine and end its operation; gives what kept it from that, since the cluster is changed all the same."""
    try:
        await parts.engine.hold(note.holds)
        await parts.engine.stop()
    except ShipwayError as error:
        await _say(parts, f"the engine could not be held: {error}")
        return error
    return None


async def _give_back(parts: Parts, lease: Lease) -> ShipwayError | None:
    """Write into the route that the baseline gets all requests; gives what kept it from that, as the workload is restored all the same."""
    try:
        await parts.canary.give_back(lease)
    except ShipwayError as error:
        await _say(parts, f"the route could not be set: {error}")
        return error
    return None


async def _set_for_good(parts: Parts, version: str, set_it: Callable[[], Awaitable[None]]) -> ShipwayError | None:
    """Set a version until it stays: a sync that the engine decided on before it was held may begin afterwards; it is ended here.

    The engine has seen the hold once it has looked anew. Without Git it may not be able to look; then it does not sync either.

    Returns:
        What keeps the version from staying, if something does.
    """
    for _ in range(MOST_TRIES):
        await set_it()
        try:
            with contextlib.suppress(Temporary):
                await parts.engine.refresh()
            await parts.engine.stop()
        except ShipwayError as error:
            return error
        if (runs := (await parts.seen()).runs) == version:
            return None
        await _say(parts, f"the engine set {runs} once more, by a sync that it had decided on before it was held")
    return WorldMoved(f"{parts.title} is set to {runs} again and again, though the engine is held. Find out what sets it")


async def _say(parts: Parts, what: str) -> None:
    say(f"{parts.title}: {what}")
    await parts.followed.record("ShipwayWithoutGit", what, warning=True)
