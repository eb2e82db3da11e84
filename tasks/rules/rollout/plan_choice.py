"""By which plan a rollback on demand goes: the file that was named, or the plan by which releases acted here, if the file is not like it.

Whoever writes a plan's file needs no approval before it is released. A broken line must refuse no rollback, and another block, another
service or fewer targets must not send it elsewhere, to end as if the bad version were gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from blocks.errors import BadInput
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.targets import chosen

SERVICE = re.compile(r"""^service:[ \t]*["']?([A-Za-z0-9-]+)""", re.MULTILINE)
OTHERWISE = "If the file must count, say `--plan-as-it-is` (the field `plan_as_it_is`)."


class ActedPlan(BaseModel):
    """The plan by which a release last acted on a section, staging or production; one of each service and plan file.

    Fields:
        service: The service.
        section: The section.
        given: The plan file as it was named, absolute.
        at: When that was, in UTC, ISO 8601.
        blocks: Every block through which releases by this file acted on the section.
        taken: The plan as it was taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str
    section: str
    given: str
    at: str
    blocks: tuple[str, ...]
    taken: TakenPlan

    def files(self) -> set[str]:
        """Name the plan's file: as it was named, and without links."""
        return {self.given, self.taken.path}


class Named(NamedTuple):
    """What a rollback was asked for with.

    Fields:
        files: The plan file as it was named, absolute, and without links.
        environment: The environment.
        taken: The file as it is now; None if it is not a plan.
        fault: Why it is not one.
        text: What is in it then, as far as it could be read.
    """

    files: frozenset[str]
    environment: str
    taken: TakenPlan | None = None
    fault: str = ""
    text: str = ""


class PlanChoice(NamedTuple):
    """The plan of a rollback, and a sentence if the file is not like the plan by which releases acted, else ""."""

    taken: TakenPlan
    differs: str = ""


def choose_plan(named: Named, kept: Iterable[ActedPlan], *, same: Mapping[str, str]) -> PlanChoice | None:
    """Choose the plan of a rollback on demand.

    Args:
        named: What it was asked for with.
        kept: The plans by which releases acted on this section.
        same: Blocks of the file that lead to what a release last acted on through another one, by their names; that one's name.

    Returns:
        The plan; None if the file is not a plan, and no release is known that it could be about.

    Raises:
        BadInput: The file is not a plan, and it could be about several releases.
    """
    newest_first = sorted(kept, key=lambda one: one.at, reverse=True)
    if named.taken is None:
        return _of_broken_file(named, [one for one in newest_first if _places(one.taken, named.environment)])
    return _of_file(named, named.taken, newest_first, same)


def blocks_not_known(named: Named, kept: Iterable[ActedPlan]) -> set[str]:
    """Name the blocks of the file, in the environment, through which no release of its service acted."""
    if named.taken is None:
        return set()
    service = named.taken.parsed().service
    return {*_places(named.taken, named.environment)} - {block for one in kept if one.service == service for block in one.blocks}


def _places(taken: TakenPlan, environment: str) -> dict[str, str]:
    """Give the blocks of an environment, each with its strategy, "" for the block's own; none if the plan does not have it."""
    try:
        return {place.platform: place.strategy or "" for place in chosen(taken.parsed(), environment)}
    except BadInput:
        return {}


def _of_broken_file(named: Named, kept: Sequence[ActedPlan]) -> PlanChoice | None:
    found = SERVICE.search(named.text)
    here = [one for one in kept if one.files() & named.files]
    about = [one for one in here or kept if found and one.service == found[1]] or here
    if here:
        about = [*{one.service: one for one in reversed(about)}.values()]  # the newest of each service, by whatever name of the file
    elif len(about) > 1:
        about = [one for one in about if all(block in named.text for block in _places(one.taken, named.environment))] or about
    if len({(one.service, *sorted(_places(one.taken, named.environment).items())) for one in about}) == 1:
        return PlanChoice(about[0].taken, f"{named.fault}. The rollback goes by {_in_words(about[0])}.")
    if not about:
        return None
    known = ", ".join(sorted({one.given for one in about}))
    fix = f"Fix it, or name a file by which a release acted: {known}."
    raise BadInput(f"{named.fault}. It is not known which of several releases it is about", field="plan", fix=fix)


def _of_file(named: Named, file: TakenPlan, kept: Sequence[ActedPlan], same: Mapping[str, str]) -> PlanChoice:
    service = file.parsed().service
    wanted = {same.get(block, block): strategy for block, strategy in _places(file, named.environment).items()}
    own = [one for one in kept if one.service == service]
    if not own:
        return _of_another_service(named, file, kept, wanted)
    acted = {block for one in own for block in one.blocks}
    last, by_path = _last(named, own, wanted)
    its = _places(last.taken, named.environment) if last else {}
    if wanted == its or (not its and acted.issuperset(wanted)):
        return PlanChoice(file)
    whose = "releases by it" if by_path else f"the last release of {service}"
    by = f"{whose} acted by {_listed(its)}" if its else f"releases of {service} acted by {_listed(dict.fromkeys(acted, ''))}"
    said = f"the file names {_listed(wanted)} for {named.environment}, and {by}."
    if last is None or not its or (wanted and acted.issuperset(wanted) and wanted.keys().isdisjoint(its)):
        return PlanChoice(file, f"{said} The rollback goes by the file.")
    return PlanChoice(last.taken, f"{said} The rollback goes by {_in_words(last)}. {OTHERWISE}")


def _last(named: Named, own: Sequence[ActedPlan], wanted: Mapping[str, str]) -> tuple[ActedPlan | None, bool]:
    """Find the plan by which a release last acted by this file, and say if its path says so: each release may have a checkout of its own.

    By no known path it is the newest that acted through one of the file's blocks; else the newest of all, unless the others acted
    elsewhere: then it is not known which of several regions the file is about.
    """
    if by_path := next((one for one in own if one.files() & named.files), None):
        return by_path, True
    here = [one for one in own if not wanted.keys().isdisjoint(_places(one.taken, named.environment))]
    is_one = all(not {*one.blocks}.isdisjoint(own[0].blocks) for one in own)
    return (here[0] if here else own[0] if is_one else None), False


def _of_another_service(named: Named, file: TakenPlan, kept: Sequence[ActedPlan], wanted: Mapping[str, str]) -> PlanChoice:
    """Choose for a service of which no release acted: if this file or these blocks are known, it was called otherwise."""
    able = [one for one in kept if _places(one.taken, named.environment)]
    by_blocks = [one for one in able if not wanted.keys().isdisjoint(_places(one.taken, named.environment))]
    found = by_blocks or [one for one in able if one.files() & named.files]
    if not found:
        return PlanChoice(file)
    said = f"the file names the service {file.parsed().service}, of which no release ever acted."
    return PlanChoice(found[0].taken, f"{said} The rollback goes by {_in_words(found[0])}. {OTHERWISE}")


def _in_words(one: ActedPlan) -> str:
    return f"the plan of {one.service} as a release had it that acted at {one.at} by {one.given}"


def _listed(places: Mapping[str, str]) -> str:
    return ", ".join(f"{block} ({strategy})" if strategy else block for block, strategy in sorted(places.items())) or "nothing"
