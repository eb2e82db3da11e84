"""Environment protection: read the policies beside the key; one that cannot be read refuses everything that it could protect."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prefect import task

from blocks.approvers.owners import Owner, claim, owner_files, read_owner
from blocks.approvers.places import Kept, keep_place, whole_settings
from blocks.approvers.policy_files import policy_folder, read_policy_files
from blocks.errors import Refused
from blocks.kubernetes.api.credentials import kubeconfig_from
from blocks.platform import Composed, Identified, Platform
from tasks.lifecycle.policy import OBSERVE_PLATFORM
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import Place, section_of
from tasks.rules.policy.owners import evasion, ownership_conflict
from tasks.rules.policy.policy import Policy, read_policy
from tasks.rules.policy.rules import conflicts, effective_rules, policies_of, requester_conflicts

CREDENTIALS = "kubernetes-credentials/"


def keep_policies(plan: Plan, *, requester: str | None = None) -> tuple[Policy, ...]:
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


@task(name="own environment", **OBSERVE_PLATFORM)
async def own_environment(plan: Plan, place: Place, platform: Platform, *, claims: bool) -> None:
    """Expect that an environment belongs to the plan's service, or to none.

    Args:
        plan: The plan.
        place: The environment.
        platform: Its platform.
        claims: Make the service the owner if there is none; else only look.

    Raises:
        Refused: It belongs to another service, or the files beside the key cannot be used.
    """
    identity = await identify.fn(platform)
    parts = list(platform.parts()) if isinstance(platform, Composed) else []
    await asyncio.to_thread(_own, plan, place, identity, parts, claims=claims)


@task(name="keep what leads to the environment", **OBSERVE_PLATFORM)
async def keep_way(place: Place, platform: Platform) -> None:
    """Keep whole what leads to an environment, for a rollback; once its lease is acquired, as only then something is deployed there.

    Raises:
        Refused: The files beside the key cannot be used.
    """
    kept = Kept(await identify.fn(platform), await _whole(place.platform, platform))
    await asyncio.to_thread(keep_place, place.platform, kept)


async def _whole(block: str, platform: Platform) -> dict[str, dict[str, Any]]:
    """Give the settings of each block that a platform is made of, and the credentials that these name, by `type/name`."""
    of = {name or block: part for name, part in platform.parts().items()} if isinstance(platform, Composed) else {block: platform}
    found = {name: whole_settings(part) for name, part in of.items()}
    named = {str(one.get("credentials") or "") for one in found.values()} - {""}
    return found | {name: {"kubeconfig": await kubeconfig_from(name)} for name in named if name.startswith(CREDENTIALS)}


def _own(plan: Plan, place: Place, identity: str, parts: Sequence[str], *, claims: bool) -> None:
    wanted, policies = Owner(plan.service, place.platform, section_of(place.environment)), load_policies()
    if problem := evasion(place, parts, policies):
        raise Refused(problem)
    files = owner_files(place.platform, identity)
    found = [(path, read_owner(path)) for path in files]
    if claims and all(_conflict(plan, place, owner, policies) == "" for _, owner in found):
        found = [(path, claim(path, wanted)) for path in files]
    for path, owner in found:
        if problem := _conflict(plan, place, owner, policies):
            raise Refused(f"{problem} The owner is kept in {path}, which the platform team may remove.")


def _conflict(plan: Plan, place: Place, owner: Owner | None, policies: Sequence[Policy]) -> str:
    if owner is None:
        return ""
    return ownership_conflict(place, plan.service, policies, owner=owner.service, block=owner.block, section=owner.section)


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
