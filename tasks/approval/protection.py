"""Environment protection: read the policies beside the key; one that cannot be read refuses everything that it could protect."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from prefect import task

from blocks.errors import Refused, ShipwayError, WorldMoved
from blocks.key_folder.owners import Owner, claim, file_of_thing, owner_file, read_owner
from blocks.key_folder.places import Kept, keep_place, read_place, whole_settings
from blocks.key_folder.policy_files import policy_folder, read_policy_files
from blocks.kubernetes.api.credentials import kubeconfig_from
from blocks.platform import Composed, Identified, Platform
from blocks.touching import NotOwn, Touching
from tasks.approval.kept_places import blocks_that_led_to
from tasks.lifecycle.retries import OBSERVE_PLATFORM
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import Place, section_of
from tasks.rules.policy.owners import evasion, ownership_conflict
from tasks.rules.policy.policy import Policy, read_policy
from tasks.rules.policy.rules import conflicts, effective_rules, policies_of, requester_conflicts

CREDENTIALS = "kubernetes-credentials/"


def expect_policies(plan: Plan, *, requester: str | None = None) -> tuple[Policy, ...]:
    """Give the policies that protect a plan's platform blocks, as they are now; whatever goes forward keeps them.

    Args:
        plan: The plan.
        requester: Who requested the release, "" for no one; None leaves it unchecked.

    Raises:
        Refused: The plan is weaker than one of them, the requester may not, or a policy cannot be read.
    """
    policies = policies_of(plan, load_policies())
    problems = conflicts(plan, policies)
    if requester is not None:
        problems += requester_conflicts(requester, effective_rules(plan, policies))
    if problems:
        raise Refused(f"the release does not keep a policy. {' '.join(problems)}")
    return policies


@task(name="identify environment", **OBSERVE_PLATFORM)
async def identify(platform: Platform) -> str:
    """Return what a platform points to, see `blocks.platform.Identified`; "" if it does not say."""
    return await platform.identity() if isinstance(platform, Identified) else ""


@task(name="find what an environment shares", **OBSERVE_PLATFORM)
async def things_of(platform: Platform) -> dict[str, str]:
    """Return what a platform points to ("") and what it changes besides, see `blocks.touching.Touching`: identities, by words for people.

    Raises:
        BadInput: Something of that is another workload's, as the cluster says now.
    """
    identity = await identify.fn(platform)
    return ({"": identity} if identity else {}) | (dict(await platform.touches()) if isinstance(platform, Touching) else {})


@task(name="own environment", **OBSERVE_PLATFORM)
async def own_environment(plan: Plan, place: Place, platform: Platform, *, claims: bool, besides: bool = True) -> str:
    """Expect that an environment belongs to the plan's service, or to none.

    Args:
        plan: The plan.
        place: The environment.
        platform: Its platform.
        claims: Make the service the owner if there is none; else only look.
        besides: Also of what a release changes besides; before it did, that is only looked at, since a block can name anything.

    Returns:
        What the platform points to, whose owner was looked at; "" if it does not say.

    Raises:
        Refused: It, or what a release changes there besides, belongs to another service or section, or is another workload's; or the
            files beside the key cannot be used.
        BadInput: As `things_of`.
    """
    things = await things_of.fn(platform)
    parts = list(platform.parts()) if isinstance(platform, Composed) else []
    others = await blocks_that_led_to(place.platform, platform, things.get("", ""))
    await asyncio.to_thread(_own, plan, place, things, parts, others, claims=claims, besides=besides)
    return things.get("", "")


@task(name="keep what leads to the environment", **OBSERVE_PLATFORM)
async def keep_way(place: Place, platform: Platform, *, seen: str | None = None) -> None:
    """Keep whole what leads to an environment, for a rollback; once its lease is acquired, as only then something is deployed there.

    Args:
        place: The environment.
        platform: Its platform.
        seen: What it pointed to when its owner was looked at; None if that is not known.

    Raises:
        WorldMoved: It says another thing now: nothing shows whose that is.
        Refused: The files beside the key cannot be used.
    """
    kept = Kept(await identify.fn(platform), await _whole(place.platform, platform))
    expect_as_seen(place, kept.identity, seen)
    await asyncio.to_thread(keep_place, place.platform, kept)


def expect_as_seen(place: Place, identity: str, seen: str | None) -> None:
    """Expect that a platform still points to what it did when its owner was looked at: its API server may say anything.

    Raises:
        WorldMoved: It does not.
    """
    if seen is not None and identity != seen:
        raise WorldMoved(
            f"{place.field}: {place.platform} pointed to {seen or 'nothing'} when its owner was looked at, and to {identity or 'nothing'} "
            "now. Find out who deleted and applied the workload again, or what answers there"
        )


async def _whole(block: str, platform: Platform) -> dict[str, dict[str, Any]]:
    """Give the settings of each block that a platform is made of, and the credentials that these name, by `type/name`."""
    of = {name or block: part for name, part in platform.parts().items()} if isinstance(platform, Composed) else {block: platform}
    found = {name: whole_settings(part) for name, part in of.items()}
    named = {str(one.get("credentials") or "") for one in found.values()} - {""}
    return found | {name: {"kubeconfig": await kubeconfig_from(name)} for name in named if name.startswith(CREDENTIALS)}


async def is_anothers(plan: Plan, place: Place, platform: Platform) -> str:
    """Say whose an environment is through whose block no release ever acted, for a rollback; "" if it is the plan's, no one's, or unknown.

    A rollback is refused for no file that cannot be read, and asks no policy.
    """
    try:
        if await asyncio.to_thread(read_place, place.platform) is not None:
            return ""
    except Refused:
        return ""  # the file is there, so a release acted
    things, fault = await _named(platform)
    files = [*_files(place, things), *(("", owner_file(other)) for other in await _led_to(place, platform, things))]
    found = [(words, _owner_or_none(path)) for words, path in files]
    for words, owner in found:
        if problem := _conflict(plan, place, owner, (), words):
            return problem
    is_owned = all(owner is not None for _, owner in found[1 : 1 + len(things)])
    return "" if is_owned else fault


async def _named(platform: Platform) -> tuple[dict[str, str], str]:
    """Give what a platform points to and changes, and why some of it is another's; what does not answer, or is wrong, is neither."""
    things: dict[str, str] = {}
    try:
        if identity := await identify.fn(platform):
            things[""] = identity
        return things | (dict(await platform.touches()) if isinstance(platform, Touching) else {}), ""
    except NotOwn as error:
        return things | dict(error.things), str(error) if error.refuses_rollbacks else ""
    except ShipwayError:
        return things, ""  # its rollback says what keeps it from that


async def _led_to(place: Place, platform: Platform, things: Mapping[str, str]) -> list[str]:
    try:
        return await blocks_that_led_to(place.platform, platform, things.get("", ""))
    except ShipwayError:
        return []


def _owner_or_none(path: Path) -> Owner | None:
    with suppress(Refused):
        return read_owner(path)
    return None


def _files(place: Place, things: Mapping[str, str]) -> list[tuple[str, Path]]:
    """Name the owner files of an environment: its block's, and those of all that it points to, by words for people."""
    return [("", owner_file(place.platform)), *((words, file_of_thing(identity)) for words, identity in things.items())]


def _own(
    plan: Plan, place: Place, things: Mapping[str, str], parts: Sequence[str], others: Sequence[str], *, claims: bool, besides: bool
) -> None:
    policies, section = load_policies(), section_of(place.environment)
    if problem := evasion(place, parts, policies):
        raise Refused(problem)
    files = [*_files(place, things), *(("", owner_file(other)) for other in others)]
    found = [(words, path, read_owner(path)) for words, path in files]
    if claims and all(_conflict(plan, place, owner, policies, words) == "" for words, _, owner in found):
        claimed = {
            path: Owner(plan.service, place.platform, section, words) for words, path in _files(place, things) if besides or not words
        }
        found = [(words, path, claim(path, claimed[path]) if path in claimed else owner) for words, path, owner in found]
    problems = {path: problem for words, path, owner in found if (problem := _conflict(plan, place, owner, policies, words))}
    if problems:  # all at once: of a service that moves there are several
        kept = "The owner is kept in" if len(problems) == 1 else "The owners are kept in"
        which = f"{kept} {', '.join(map(str, problems))}, which the platform team may remove."
        raise Refused(f"{' '.join(dict.fromkeys(problems.values()))} {which}")


def _conflict(plan: Plan, place: Place, owner: Owner | None, policies: Sequence[Policy], thing: str) -> str:
    if owner is None:
        return ""
    return ownership_conflict(
        place, plan.service, policies, owner=owner.service, block=owner.block, section=owner.section, thing=thing, owned_as=owner.thing
    )


def load_policies() -> tuple[Policy, ...]:
    """Read the policies, in the order of their names.

    Raises:
        Refused: A file is unsafe, unreadable, wrong, or misnamed. It could protect any block, so nothing is deployed.
    """
    found: list[Policy] = []
    for name, content in read_policy_files().items():
        policy, problems = read_policy(content, name=str(policy_folder() / f"{name}.yaml"))
        if policy is None:
            raise Refused(f"a policy is wrong, so nothing is deployed: {'; '.join(map(str, problems))}")
        if policy.name != name:
            raise Refused(f"the policy in {policy_folder() / name}.yaml is called {policy.name}; put it there with `shipway policy apply`")
        found.append(policy)
    return tuple(found)
