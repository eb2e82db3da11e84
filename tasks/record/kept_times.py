"""How long the releases of a service took, beside the key: measured from a record whose seals were verified, as it was closed.

Nothing that the API or the storage holds is read for an estimate: who writes there could make a wave look shorter than it is.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby, takewhile

from pydantic import ValidationError

from blocks.errors import Refused
from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import kept_names, read_all_kept, read_kept, remove_kept
from blocks.outside_text import error_text
from tasks.lifecycle.kept_runs import write
from tasks.record.journal import read_entries, say
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import production_of
from tasks.rules.record.entries import Entry
from tasks.rules.rollout.history import MOST, Measured, measure

FOLDER, WHAT = "times", "which says how long a release took"
PREFIX = 24  # of a file's name: the same of one service with its blocks


async def measure_times(plan: Plan, *, run: str) -> None:
    """Measure a deployed release from its record; whatever goes wrong, it is logged, as no ending depends on it.

    Args:
        plan: Its plan.
        run: Its flow run id.
    """
    try:
        await keep_times(plan, run=run, entries=await read_entries(run))
    except Exception as error:  # noqa: BLE001 - as of a record by another version, whose steps have other fields
        say(f"how long this release took could not be measured: {error_text(error)}")


async def keep_times(plan: Plan, *, run: str, entries: Sequence[Entry]) -> None:
    """Keep how long a deployed release took, and forget the oldest ones; without the key's folder it is not known.

    Args:
        plan: Its plan.
        run: Its flow run id.
        entries: Its whole record, verified.
    """
    found = measure(run, entries)
    if found is None:
        return
    name = f"{_prefix(plan)}{found.at:%Y%m%dT%H%M%SZ}-{run}"
    with suppress(KeyFolderFault, OSError):
        await write(FOLDER, name, {"service": plan.service, **found.model_dump(mode="json")}, what=WHAT)
        for old in (await asyncio.to_thread(kept_names, FOLDER, beginning=_prefix(plan)))[: -2 * MOST]:
            await asyncio.to_thread(remove_kept, FOLDER, old)


def times_of(plan: Plan) -> list[Measured]:
    """Read how long the releases of a service to these blocks took, the newest last; what cannot be read does not count."""
    found = []
    for name in kept_names(FOLDER, beginning=_prefix(plan))[-2 * MOST :]:
        with suppress(Refused, ValidationError, KeyError):
            kept = read_kept(FOLDER, name, what=WHAT) or {}
            if kept.pop("service") == plan.service:
                found.append(Measured.model_validate(kept))
    return found


def all_times() -> list[tuple[str, Measured]]:
    """Read how long the releases of all services took, each with its service: of each the newest; what cannot be read does not count."""
    found = []
    for _, kept in read_all_kept(FOLDER, kept_names(FOLDER), what=WHAT):
        with suppress(ValidationError, KeyError, AttributeError, TypeError):
            found.append((str(kept.pop("service")), Measured.model_validate(kept)))
    return found


def times_of_service(service: str) -> list[Measured]:
    """Read how long the releases of a service took, whichever plan calls one so: who compares them looks at their steps.

    Of each other service one file is read, by which it is known whose the others of that beginning are.
    """
    found = []
    for _, group in groupby(kept_names(FOLDER), key=lambda name: name[:PREFIX]):
        kept = read_all_kept(FOLDER, reversed([*group]), what=WHAT)
        for _, one in takewhile(lambda pair: pair[1].get("service") == service, kept):
            with suppress(ValidationError):
                found.append(Measured.model_validate({name: value for name, value in one.items() if name != "service"}))
    return found


def history_of(plan: Plan) -> list[Measured]:
    """Read the times that count for a plan: none if it goes by its steps alone."""
    return times_of(plan) if plan.windows.time == "history" else []


def _prefix(plan: Plan) -> str:
    """Name a service with the blocks of its production: another plan may call its service by the same name."""
    named = "\n".join([plan.service, *sorted(place.platform for place in production_of(plan))])
    return f"{hashlib.sha256(named.encode()).hexdigest()[:PREFIX]}-"
