"""The plans by which releases acted, in `keys/plans`: a rollback on demand goes by one if the file it names is not like it any more.

There is one of each service, plan file and section, as staging is changed before people are asked. It is kept once the lease is acquired,
as what leads to the environment is (`keys/places`).
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from blocks.errors import BadInput, Refused
from blocks.key_folder.kept_files import NotKept, kept_names, locked, read_kept, remove_kept, write_kept
from blocks.key_folder.owners import owner_file, read_owner
from blocks.key_folder.places import read_place
from blocks.outside_text import error_text
from tasks.approval.kept_places import block_kept_for
from tasks.lifecycle.clock import now
from tasks.process.files import read_bounded
from tasks.record.journal import say
from tasks.rollout.platforms import load_platform
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.file import MAX_BYTES
from tasks.rules.plan.targets import Place, section_of
from tasks.rules.rollout.migrations import Here
from tasks.rules.rollout.plan_choice import ActedPlan, Named, blocks_not_known

FOLDER, WHAT = "plans", "the plan by which a release acted"
MOST_OF_ONE_PLACE = 20


async def keep_plan(taken: TakenPlan, place: Place, *, given: str) -> None:
    """Keep the plan by which a release acts on an environment, and that it acts through this block.

    Args:
        taken: The plan.
        place: The environment.
        given: The plan file as it was named.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    await asyncio.to_thread(_keep, taken, place, _absolute(given))


def _keep(taken: TakenPlan, place: Place, given: str) -> None:
    service, section = taken.parsed().service, section_of(place.environment)
    of = _hash(service, section) + "-"
    name = of + _hash(given)
    with locked(FOLDER, of, what=WHAT):  # targets of a wave begin at once
        before = _read(name)
        blocks = tuple(sorted({place.platform, *(before.blocks if before else ())}))
        kept = ActedPlan(service=service, section=section, given=given, at=f"{now():%Y-%m-%dT%H:%M:%S.%fZ}", blocks=blocks, taken=taken)
        write_kept(FOLDER, name, kept.model_dump(mode="json"), what=WHAT)
        with suppress(OSError, Refused):
            _forget_older(of, kept)


def _forget_older(of: str, newest: ActedPlan) -> None:
    """Forget the oldest of many files by which releases acted through the same blocks, as of a new checkout for each release."""
    found = {name: one for name in kept_names(FOLDER, beginning=of) if (one := _read(name)) and {*one.blocks} <= {*newest.blocks}}
    for name in sorted(found, key=lambda name: found[name].at, reverse=True)[MOST_OF_ONE_PLACE:]:
        remove_kept(FOLDER, name)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:24]


async def acted_plans(section: str = "") -> list[ActedPlan]:
    """Read the plans by which releases acted on a section, or on any; what cannot be read, as of another key, refuses no rollback."""
    found = await asyncio.gather(*(asyncio.to_thread(_read_or_say, name) for name in await asyncio.to_thread(kept_names, FOLDER)))
    return [one for one in found if one is not None and section in {"", one.section}]


async def acts_for_others(service: str, place: Place) -> str:
    """Say for whom alone releases acted through an environment's block; "" if this service was among them, in this section, or none did.

    The owner's file counts as well, as for a service that was renamed and has not released there since. Only who may write beside the key
    can change it, while a policy may let several services release through one block.

    Args:
        service: The service.
        place: The environment.
    """
    through = {(one.service, one.section) for one in await acted_plans() if place.platform in one.blocks}
    own = (service, section_of(place.environment))
    if not through or own in through or own == await asyncio.to_thread(_owner, place.platform):
        return ""
    return " and ".join(f"{section} of the service {other}" for other, section in sorted(through))


def _owner(block: str) -> tuple[str, str] | None:
    with suppress(Refused):
        owner = read_owner(owner_file(block))
        return (owner.service, owner.section) if owner else None
    return None


def _read(name: str) -> ActedPlan | None:
    """Read one; none if it is of another key, or of another version of Shipway."""
    try:
        found = ActedPlan.model_validate(read_kept(FOLDER, name, what=WHAT))
        found.taken.parsed()
    except (NotKept, ValidationError):
        return None
    return found


def _read_or_say(name: str) -> ActedPlan | None:
    try:
        return _read(name)
    except Refused as error:
        say(f"{error_text(error)}. The rollback goes on without it")
        return None


async def named_plan(plan: str, environment: str, file: TakenPlan | BadInput) -> Named:
    """Give what a rollback was asked for with.

    Args:
        plan: The plan file as it was named.
        environment: The environment.
        file: The file as it is now, or why it is not a plan.
    """
    given = _absolute(plan)
    real = await asyncio.to_thread(_resolved, given)
    if isinstance(file, TakenPlan):
        return Named(frozenset({given, real, file.path}), environment, file)
    return Named(frozenset({given, real}), environment, fault=error_text(file), text=await asyncio.to_thread(_text, real))


async def led_through(named: Named, kept: list[ActedPlan]) -> dict[str, str]:
    """Say of the file's blocks through which no release acted, which block led a release to the same: blocks may be renamed.

    Args:
        named: What the rollback was asked for with.
        kept: The plans by which releases acted.
    """
    if named.taken is None:
        return {}
    plan = named.taken.parsed()
    found: dict[str, str] = {}
    for block in sorted(blocks_not_known(named, kept)) if kept else ():
        with suppress(Exception):  # whatever a block does that was edited: then it is another one
            if was := await block_kept_for(block, await load_platform(block, field=plan.service)):
                found[block] = was
    return found


async def files_of(service: str, here: Here) -> tuple[str, ...]:
    """Name the plan files by which releases of a service acted here: through this block, or one that led to the same.

    Args:
        service: The service.
        here: The environment.
    """
    plans = [one for one in await acted_plans(section_of(here.environment)) if one.service == service]
    led = await asyncio.to_thread(_led_to, here.identity, {block for one in plans for block in one.blocks})
    return tuple(sorted({file for one in plans if {here.block, *led} & {*one.blocks} for file in one.files()}))


def _led_to(identity: str, blocks: set[str]) -> set[str]:
    found: set[str] = set()
    for block in blocks if identity else ():
        with suppress(Refused):
            kept = read_place(block)
            found |= {block} if kept and kept.identity == identity else set()
    return found


def _absolute(plan: str) -> str:
    with suppress(OSError, RuntimeError, ValueError):
        return str(Path(plan).expanduser().absolute())
    return plan


def _resolved(path: str) -> str:
    with suppress(OSError, RuntimeError, ValueError):
        return str(Path(path).resolve())
    return path


def _text(path: str) -> str:
    with suppress(OSError, RuntimeError, ValueError):
        return (read_bounded(Path(path), limit_bytes=MAX_BYTES) or b"").decode(errors="replace")
    return ""
