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
from tasks.record.kept_index import keep_run, kept_runs_of
from tasks.record.objects import objects_of
from tasks.record.patience import as_patient_as_now
from tasks.record.reading import Reading, read_record
from tasks.record.storage import default_storage
from tasks.record.without_key import is_rolling_back
from tasks.rules.record.entries import Entry, moment
from tasks.rules.rollout.deployed import places_of, promotions_in, says_deployed
from tasks.rules.rollout.migrations import Here


class Deployed(NamedTuple):
    """A run that deployed a version: when its record was opened, and a sentence if its seals were not checked, else ""."""

    at: datetime
    unchecked: str


async def keep_deployed(run: str, entries: Sequence[Entry], *, service: str, version: str) -> None:
    """Keep where a run brought a version, before its record is closed: what counts is whether the record then says that it was deployed."""
    for place in dict.fromkeys(place for here in promotions_in(entries, service=service) for place in places_of(here)):
        await keep_run("deployed", service, run=run, version=version, place=place)


async def find_deployed(service: str, *, version: str, here: Here) -> Deployed | None:
    """Find a run which deployed a version of a service in an environment; None if no record says that."""
    async for found in _deployments(service, version=version, here=here):
        return found
    return None


async def find_last_deployed(service: str, *, version: str, here: Here) -> Deployed | None:
    """Find the newest such run."""
    return max([one async for one in _deployments(service, version=version, here=here)], default=None)


async def _deployments(service: str, *, version: str, here: Here) -> AsyncIterator[Deployed]:
    here = await asyncio.to_thread(_without_block_of_others, here)
    names = [await kept_runs_of("deployed", service, version=version, place=place) for place in places_of(here)]
    for run in dict.fromkeys(run for runs in names for run in runs):
        for sealed in (True, False):
            try:
                reading = await read_record(as_patient_as_now(objects_of(await default_storage())), run, sealed=sealed)
            except (Refused, Temporary) as error:  # this record says nothing now
                if isinstance(error, Temporary) and not is_rolling_back():
                    raise
                say_unread(run, error_text(error))
                break
            if reading.problems or not says_deployed(reading.entries, service=service, version=version, here=here):
                continue
            if not reading.unchecked or await asyncio.to_thread(_ends_in_head, run, reading):
                yield Deployed(moment(reading.entries[0]), reading.unchecked and f"the record of {run}: {reading.unchecked}")
                break


def _ends_in_head(run: str, reading: Reading) -> bool:
    """Say whether the head beside the key names the last entry: by that and its hashes a chain is ours, although its key is lost."""
    with suppress(KeyFolderFault, Tampered):
        head = read_head(run)
        return head is not None and head.hash == reading.entries[-1].hash
    return False


def _without_block_of_others(here: Here) -> Here:
    """Leave out a block that points by now to what is deployed through another: what it brought elsewhere says nothing here."""
    with suppress(Refused):  # a file that cannot be read refuses no rollback
        owner = read_owner(file_of_thing(here.identity)) if here.identity else None
        if owner is not None and owner.block != here.block:
            return here._replace(block="")
    return here
