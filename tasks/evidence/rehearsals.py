"""What rehearsals showed: `rehearsals/SERVICE.kept` beside the approval key, where the API cannot write; the checklist asks for it."""

from __future__ import annotations

import asyncio

from prefect import task
from pydantic import BaseModel, ConfigDict

from blocks.errors import Refused
from blocks.key_folder.kept_files import NotKept, locked, read_kept_as, write_kept
from blocks.platform import Platform, Strategic
from blocks.runs_programs import RunsPrograms
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from tasks.evidence.deciding_files import hash_programs, hash_words
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import OBSERVE
from tasks.record.artifacts import artifact_key, publish_markdown
from tasks.record.objects import objects_of
from tasks.record.reading import folder_of
from tasks.record.storage import default_storage
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.rehearsal import SKEW, Method, Rehearsal, judge_rehearsal, latest_first, page_of
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import Place

FOLDER, WHAT = "rehearsals", "which says what rehearsals of a service showed"
MOST = 20  # methods of a service; of each the newest rehearsal is kept


class _Kept(BaseModel):
    """What is kept of a service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rehearsals: list[Rehearsal]


async def method_of(place: Place, platform: Platform, *, shares: tuple[int, ...]) -> Method:
    """Say by what an environment is rolled back: platform type, strategy, shares and programs.

    Args:
        place: The environment.
        platform: Its platform, with the plan's strategy.
        shares: The shares that a version gets there.

    Raises:
        BadInput: A program cannot be read.
        Refused: The approval key cannot be used.
    """
    programs: dict[str, tuple[str, ...]] = {}
    given = platform.scripts.given() if isinstance(platform, ScriptHosts | ScriptPlatform) else {}
    if isinstance(platform, RunsPrograms):
        programs = await asyncio.to_thread(hash_programs, platform, given)
    else:  # the programs are files of the hosts
        programs = {name: (command[0], await asyncio.to_thread(hash_words, command)) for name, command in given.items()}
    strategy = str(getattr(platform, "strategy", None) or "")
    found = (str(getattr(platform, "kind", "")), "HTTPRoute" if getattr(platform, "route", "") else "")
    through = tuple(word for word in found if word)
    return Method(kind=place.platform.partition("/")[0], strategy=strategy, through=through, shares=shares, programs=programs)


def own_strategy(place: Place, platform: Platform) -> str | None:
    """Give the strategy of an environment: the plan's, else that of its platform, if it has several."""
    if place.strategy is not None or not isinstance(platform, Strategic):
        return place.strategy
    found = getattr(platform, "strategy", None)
    return None if found is None else str(found)


def read_rehearsals(service: str) -> list[Rehearsal]:
    """Read what rehearsals of a service showed, the newest first; empty if none is kept.

    Raises:
        Refused: The file was changed, or cannot be read.
    """
    found = read_kept_as(FOLDER, service, _Kept, what=WHAT, whose=f"the file {WHAT} of {service}")
    return [] if found is None else latest_first(found.rehearsals)


def keep_rehearsal(found: Rehearsal) -> None:
    """Keep what a rehearsal showed, in place of an earlier one of its method, or of one from when the clock was ahead.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    with locked(FOLDER, found.service, what=WHAT):
        try:
            known = read_rehearsals(found.service)
        except NotKept:
            known = []
        others = [one for one in known if (one.staging, one.method) != (found.staging, found.method)]
        same = [one for one in known if one not in others and found.at < one.at <= now() + SKEW and one.run != found.run]
        kept = latest_first([*others, *(same or [found])])[:MOST]
        write_kept(FOLDER, found.service, _Kept(rehearsals=kept).model_dump(mode="json"), what=WHAT)


async def judge_kept(plan: Plan, place: Place, platform: Platform, *, within_days: float) -> tuple[Outcome, str]:
    """Judge by what is kept whether a rollback of a place of production was rehearsed lately, see `judge_rehearsal`."""
    try:
        found = await asyncio.to_thread(read_rehearsals, plan.service)
    except Refused as error:
        return Outcome.NO_DATA, str(error)
    method = await method_of(place, platform, shares=tuple(step.percent for step in place.steps))
    return judge_rehearsal(found, place=place, staging=plan.staging.platform, method=method, within_days=within_days, now=now())


@task(name="publish rehearsal", **OBSERVE)
async def publish_rehearsal(found: Rehearsal) -> str:
    """Write the page of a rehearsal beside its record, and as the artifact `rehearsal-<service>`; gives the artifact's key."""
    page, key = page_of(found), artifact_key("rehearsal", found.service)
    await objects_of(await default_storage()).replace(f"{folder_of(found.run)}/rehearsal.md", page.encode())
    await publish_markdown(page, key=key, description=f"What the last rehearsal of a rollback of {found.service} showed")
    return key
