"""Find the records which say that a version was deployed in an environment; what is kept beside the key names them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from blocks.errors import Refused, Tampered, Temporary
from blocks.key_folder.heads import KeyFolderFault, read_head
from blocks.key_folder.owners import file_of_thing, read_owner
from blocks.outside_text import error_text
from tasks.record.journal import say_unread
from tasks.record.kept_index import keep_run, kept_facts, kept_runs_of
from tasks.record.objects import objects_of
from tasks.record.patience import as_patient_as_now
from tasks.record.reading import Reading, read_record
from tasks.record.storage import default_storage
from tasks.record.without_key import is_rolling_back
from tasks.rules.record.entries import Entry, timestamp
from tasks.rules.rollout.deployed import Promotion, deployed_at, last_here, places_of, promotions_in
from tasks.rules.rollout.migrations import Here

DEPLOYED = "deployed"


class Deployed(NamedTuple):
    """A run that deployed a version: when it promoted it there, and a sentence if its record's seals were not checked, else ""."""

    at: datetime
    unchecked: str


async def keep_deployed(run: str, entries: Sequence[Entry], *, service: str, version: str, closed: bool = False) -> None:
    """Keep where and when a run brought a version, before its record is closed, and again once it is.

    What counts is whether the record then says that it was deployed. Of one that cannot be read the moment counts for contracts, and in a
    rollback what was kept once it was closed, for the version.
    """
    last = {place: one for one in promotions_in(entries, service=service) for place in places_of(one.here)}
    for place, (here, at) in last.items():
        facts = {"environment": here.environment, "block": here.block, "identity": here.identity, "at": timestamp(at)}
        facts |= {"outcome": DEPLOYED} if closed else {}
        await keep_run("deployed", service, run=run, version=version, place=place, facts=facts)


async def find_deployed(service: str, *, version: str, here: Here) -> Deployed | None:
    """Find a run which deployed a version of a service in an environment; None if no record says that.

    In a rollback what is kept beside the key of a record that was closed counts as well, if the record cannot be read: else who takes the
    storage away keeps a bad version in production.
    """
    unread: list[str] = []
    async for found in _deployments(service, version=version, here=here, unread=unread):
        return found
    if is_rolling_back():
        for run in unread:
            if at := await _kept_moment(service, [run], version=version, here=here, closed=True):
                return Deployed(at, f"the record of {run} cannot be read; what is kept beside the key of its end counts")
    return None


async def find_last_deployed(service: str, *, version: str, here: Here) -> datetime | None:
    """Find when a version of a service was last promoted in an environment by a run that deployed it there; None if that is not known.

    Of a record that cannot be read what is kept beside the key counts: else who takes it away makes each contract one that came later.
    It was there if the identity is the same, whatever the block was called then.
    """
    unread: list[str] = []
    found = [one.at async for one in _deployments(service, version=version, here=here, unread=unread, by_identity=True)]
    last = await _kept_moment(service, unread, version=version, here=here, by_identity=True)
    return max([*found, *([last] if last else [])], default=None)


async def _kept_moment(
    service: str, runs: Sequence[str], *, version: str, here: Here, closed: bool = False, by_identity: bool = False
) -> datetime | None:
    owner = await asyncio.to_thread(_owner_of, here)
    kept = [
        await _kept_promotion(service, run=run, version=version, place=place, closed=closed) for run in runs for place in places_of(here)
    ]
    return last_here([one for one in kept if one is not None], here, owner=owner, by_identity=by_identity)


async def _kept_promotion(service: str, *, run: str, version: str, place: str, closed: bool) -> Promotion | None:
    kept = await kept_facts("deployed", service, run=run, version=version, place=place)
    if closed and (kept.get("outcome") != DEPLOYED or not await asyncio.to_thread(_is_closed, run)):
        return None
    with suppress(KeyError, ValueError):
        return Promotion(Here(kept["environment"], kept["block"], kept["identity"]), datetime.fromisoformat(kept["at"]))
    return None


async def _deployments(service: str, *, version: str, here: Here, unread: list[str], by_identity: bool = False) -> AsyncIterator[Deployed]:
    """Find the runs; those whose record cannot be read, or trusted, are added to `unread`."""
    owner = await asyncio.to_thread(_owner_of, here)
    names = [await kept_runs_of("deployed", service, version=version, place=place) for place in places_of(here)]
    for run in dict.fromkeys(run for runs in names for run in runs):
        reading = await _trusted(run)
        if reading is None:
            unread.append(run)
        elif at := deployed_at(reading.entries, service=service, version=version, here=here, owner=owner, by_identity=by_identity):
            yield Deployed(at, reading.unchecked and f"the record of {run}: {reading.unchecked}")


async def _trusted(run: str) -> Reading | None:
    """Read a record that is as it was written, by its seals or, without them, by its end beside the key; None if there is none such."""
    for sealed in (True, False):
        try:
            reading = await read_record(as_patient_as_now(objects_of(await default_storage())), run, sealed=sealed)
        except (Refused, Temporary) as error:  # it says nothing now
            if isinstance(error, Temporary) and not is_rolling_back():
                raise
            say_unread(run, error_text(error))
            return None
        if reading.entries and not reading.problems and (not reading.unchecked or await asyncio.to_thread(_ends_in_head, run, reading)):
            return reading
    return None


def _ends_in_head(run: str, reading: Reading) -> bool:
    """Say whether the head beside the key names the last entry: by that and its hashes a chain is ours, although its key is lost."""
    with suppress(KeyFolderFault, Tampered):
        head = read_head(run)
        return head is not None and head.hash == reading.entries[-1].hash
    return False


def _is_closed(run: str) -> bool:
    with suppress(KeyFolderFault, Tampered):
        head = read_head(run)
        return head is not None and head.closed
    return False


def _owner_of(here: Here) -> str:
    """Name the block that was the first to deploy to what an environment points to; "" if no file says it: it refuses no rollback."""
    with suppress(Refused):
        owner = read_owner(file_of_thing(here.identity)) if here.identity else None
        return owner.block if owner else ""
    return ""
