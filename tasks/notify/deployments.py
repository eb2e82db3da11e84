"""Deployments of a forge: what it is to show is kept beside the key, and the keeper brings the forge to it, for a day.

A release only notes it, so that no forge holds it up. The keeper reads the forge, acts on the difference, and reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from blocks.errors import BadInput, Refused, ShipwayError, Temporary
from blocks.forge.deployments import Deployment, DeploymentForge, Seen
from blocks.forge.repository import ForgeRepository
from blocks.key_folder.kept_files import kept_names, locked, read_kept, remove_kept, write_kept
from blocks.outside_text import error_text
from tasks.lifecycle.clock import now
from tasks.rollout.platforms import load_block
from tasks.rules.notify.deployments import Noted, State, in_line
from tasks.rules.notify.outbox import claim

FOLDER, WHAT = "deployments", "which says what a forge is to show of a release"
FIELD = "deployments.to"
CLAIM_SECONDS = 120.0  # longer than a turn of the keeper for all of them
MOST_OF_A_FORGE = 20  # of one turn


async def load_forge(name: str, *, service: str) -> DeploymentForge:
    """Load the forge in which a service's releases are recorded.

    Args:
        name: The block, as the plan names it.
        service: Whose releases.

    Raises:
        BadInput: It is not there, or not for this service's releases.
    """
    block = await load_block(name, field=FIELD)
    if not isinstance(block, ForgeRepository):
        raise BadInput(f"{name} is not a forge block", field=FIELD, fix="Name one, as `forge/shop`.")
    if service not in block.services:
        fix = f"Let its owner add `{service}` to the block's `services`."
        raise BadInput(f"{name} does not take the deployments of {service}", field=FIELD, fix=fix)
    return block.deployments()


def is_noted(run: str) -> bool:
    """Say if a deployment of a run is noted."""
    return _read(run) is not None


async def note_deployment(forge: str, deployment: Deployment, *, state: State) -> None:
    """Note what a forge is to show of a run; noted already, it stays as it is.

    Args:
        forge: The forge block.
        deployment: What is recorded.
        state: What it is to show.

    Raises:
        Refused: The key's folder cannot be used.
    """
    about = {name: str(getattr(deployment, name)) for name in Deployment.__dataclass_fields__}
    at = now()

    def change(before: Noted | None) -> Noted:
        return before or Noted(forge, about, state, begun=at, changed=at)

    await asyncio.to_thread(_change, deployment.run, change)


async def note_end(run: str, *, state: State) -> None:
    """Note how a run ended, if a deployment of it is noted.

    Raises:
        Refused: The key's folder cannot be used.
    """
    at = now()
    if await asyncio.to_thread(is_noted, run):
        await asyncio.to_thread(_change, run, lambda before: before and before.becomes(state, at=at))


async def send_deployments() -> None:
    """Tell the forges what is due, side by side and for each in order; what is over is removed."""
    notes = await asyncio.to_thread(_current)
    await asyncio.gather(*(_to_forge(name, runs[:MOST_OF_A_FORGE]) for name, runs in in_line(notes, at=now()).items()))


def noted_deployments() -> list[Noted]:
    """List what is kept, for `shipway doctor`."""
    return [one for name in kept_names(FOLDER) if (one := _read(name)) is not None]


async def _to_forge(forge: str, runs: Sequence[str]) -> None:
    for run in runs:
        claimed = await asyncio.to_thread(_claim, run)
        if claimed is None:
            before = await asyncio.to_thread(_read, run)
            if before is not None and before.delivery.fault and not before.is_refused:
                return  # it is left alone for as long as it asked, or as it did not answer
            continue
        fault, silent = "", 0.0
        try:
            await _converge(await load_forge(forge, service=claimed.about["service"]), run, claimed)
        except Temporary as error:
            fault, silent = str(error_text(error)), max(error.delay_seconds, 1.0)
        except ShipwayError as error:  # also BadInput: the block may be corrected by the next try
            fault = str(error_text(error))
        except Exception as error:  # noqa: BLE001 - of a block that is not as it should be; its words may hold the token
            fault = type(error).__name__
        await asyncio.to_thread(_note, run, claimed, fault, silent)
        if silent:
            return  # the others would each wait as long


async def _converge(forge: DeploymentForge, run: str, claimed: Noted) -> None:
    """Bring a forge to show what is noted: found or made, given its state if that is another one, and read again.

    Raises:
        ShipwayError: It does not show that yet.
    """
    deployment = Deployment(**claimed.about)
    seen = await _found(forge, run, claimed, deployment)
    if not seen.has_reached(claimed.state):
        await forge.tell(seen.number, deployment, claimed.state)
        again = await forge.read(seen.number)
        if again is None or not again.has_reached(claimed.state):
            said = f"{again.state or 'no state'}" if again else "that it is not there"
            raise Temporary(f"{claimed.forge} was told {claimed.state} of {deployment.title}, and says {said}", delay_seconds=5)
        seen = again
    if claimed.state == "success" and not seen.is_past:
        await forge.retire(deployment, before=seen.number)


async def _found(forge: DeploymentForge, run: str, claimed: Noted, deployment: Deployment) -> Seen:
    """Find the deployment of a run, else make it; what is needed to find it again is kept before it is made."""
    if claimed.number and (seen := await forge.read(claimed.number)) is not None:
        return seen
    if (seen := await forge.find(deployment, after=claimed.after)) is not None:
        await _keep(run, number=seen.number)
        return seen
    if claimed.after is None:
        await _keep(run, after=await forge.newest(deployment.environment))
    number = await forge.make(deployment)
    await _keep(run, number=number)
    seen = await forge.read(number)
    if seen is None:
        raise Temporary(f"{claimed.forge} made the deployment {number} of {deployment.title}, and does not show it", delay_seconds=5)
    return seen


async def _keep(run: str, *, number: int = 0, after: int | None = None) -> None:
    def change(before: Noted | None) -> Noted | None:
        return before and replace(before, number=number or before.number, after=before.after if after is None else after)

    await asyncio.to_thread(_change, run, change)


def _claim(run: str) -> Noted | None:
    claimed: Noted | None = None

    def change(before: Noted | None) -> Noted | None:
        nonlocal claimed
        taken = before and claim(before.delivery, at=now(), seconds=CLAIM_SECONDS)
        claimed = replace(before, delivery=taken) if before and taken else None
        return claimed or before

    with suppress(Refused):
        _change(run, change)
    return claimed


def _note(run: str, claimed: Noted, fault: str, silent: float) -> None:
    """Note how a try ended; if the run ended meanwhile, that is still to be told."""

    def change(before: Noted | None) -> Noted | None:
        if before is None:
            return None
        if before.state != claimed.state:
            return replace(before, delivery=replace(before.delivery, claimed_until=None))
        return before.after_try(at=now(), fault=fault, silent_seconds=silent)

    with suppress(Refused):
        _change(run, change)


def _change(run: str, change: Callable[[Noted | None], Noted | None]) -> None:
    """Change a note in one step.

    Raises:
        Refused: The key's folder cannot be used.
    """
    with locked(FOLDER, "all", what=WHAT):
        before = _read(run)
        after = change(before)
        if after is not None and after != before:
            write_kept(FOLDER, run, after.to_json(), what=WHAT)


def _read(run: str) -> Noted | None:
    """Read a note; None if there is none, or if it cannot be read: what is written next replaces it."""
    with suppress(Refused, KeyError, TypeError, ValueError, AttributeError, StopIteration):
        value = read_kept(FOLDER, run, what=WHAT)
        return None if value is None else Noted.from_json(value)
    return None


def _current() -> dict[str, Noted]:
    """Read what is noted, and remove that of which nothing more comes."""
    current: dict[str, Noted] = {}
    for run in kept_names(FOLDER):
        note = _read(run)
        if note is not None and not note.can_be_removed(at=now()):
            current[run] = note
        elif note is not None:
            with suppress(OSError):
                remove_kept(FOLDER, run)
    return current
