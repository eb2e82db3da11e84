"""Platform blocks: load those that a plan names."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import httpx
from prefect.blocks.core import Block

from blocks.approvers.approvers import Approvers
from blocks.errors import BadInput, Temporary
from blocks.platform import Platform, Strategic
from blocks.prometheus.prometheus import Prometheus
from tasks.lifecycle.retries import as_temporary
from tasks.record.borders import guard, hold_of
from tasks.rules.plan.plan import Judgement, Plan, PrometheusPairSli, PrometheusSli
from tasks.rules.plan.targets import places_of

KNOWN = {
    "credential": ("blocks.credential", "Credential"),
    "local": ("blocks.local.platform", "LocalPlatform"),
    "kubernetes": ("blocks.kubernetes.platform", "KubernetesPlatform"),
    "script": ("blocks.script.platform", "ScriptPlatform"),
    "script-hosts": ("blocks.script.hosts.platform", "ScriptHosts"),
    "forge": ("blocks.forge.repository", "ForgeRepository"),
    "git": ("blocks.git.git", "Git"),
    "gitops": ("blocks.gitops.gitops", "GitOps"),
    "approvers": ("blocks.approvers.approvers", "Approvers"),
    "apprise": ("blocks.notify.apprise", "Apprise"),
    "otlp": ("blocks.otlp.collector", "Collector"),
    "prometheus": ("blocks.prometheus.prometheus", "Prometheus"),
    "argocd-application": ("blocks.gitops.argocd", "ArgoCDApplication"),
}


async def load_platform(name: str, *, field: str, strategy: str | None = None) -> Platform:
    """Load a platform block by `type/name`.

    Args:
        name: The block, as in the plan.
        field: Where the plan names it, for messages.
        strategy: The plan's rollout strategy; None leaves it to the block.

    Returns:
        The block.

    Raises:
        BadInput: The block does not exist, cannot be read, or is not a platform.
    """
    block: Any = await load_block(name, field=field)
    if name.startswith("gitops/"):
        from tasks.gitops.compose import compose  # noqa: PLC0415 - it loads the Kubernetes platform, which others need not pay for

        block = await compose(block, name=name, load=_load_part)
    if not isinstance(block, Platform):
        raise BadInput(f"the block {name} is not a platform", field=field, fix="Name a block of a type that has the methods of a platform.")
    if strategy is None:
        return block
    if not isinstance(block, Strategic):
        fix = "Leave `strategy` out, or name a platform that has strategies, as `kubernetes/shop-production`"
        raise BadInput(f"the platform {name} has no strategies to choose from", field=f"{field.rpartition('.')[0]}.strategy", fix=fix)
    return block.following(strategy)


async def _load_part(name: str, field: str) -> Block:
    return await load_block(name, field=field)


async def load_platforms(plan: Plan) -> dict[str, Platform]:
    """Load all of a plan's platforms, by environment, as their blocks are now; the errors are those of `load_platform`."""
    places = places_of(plan)
    found = await asyncio.gather(*(load_platform(place.platform, field=place.field, strategy=place.strategy) for place in places))
    return dict(zip((place.environment for place in places), found, strict=True))


async def load_block(name: str, *, field: str) -> Block:
    """Load any block by `type/name`, and hold its secrets, see `hold_of`; the errors are those of `load_platform`."""
    guard()
    try:
        block = await _load(name)
    except (ValueError, RuntimeError) as error:  # the latter if its fields are not those of its class
        fix = f"Create it: `shipway up` registers the types; `prefect block ls` lists what there is. ({type(error).__name__})"
        raise BadInput(f"the block {name} does not exist or cannot be read", field=field, fix=fix) from error
    except OSError as error:
        raise Temporary(f"the Prefect server does not answer for the block {name}") from error
    except httpx.HTTPError as error:
        passing = as_temporary(error)
        if passing is None:
            raise
        raise Temporary(f"the block {name} could not be read: {passing}") from error
    if not hold_of(name, block):
        fix = "Write shorter ones; of a kubeconfig one context, by `kubectl config view --minify --raw`."
        raise BadInput(f"the secrets of the block {name} are too long to be kept out of every text", field=field, fix=fix)
    return block


async def _load(name: str) -> Block:
    kind, _, own = name.partition("/")
    if kind not in KNOWN:
        return await Block.aload(name)
    # By its own class: to find the class of just any block, Prefect imports every collection that is installed, which takes a second.
    return await known_class(kind).aload(own)


def known_class(kind: str) -> type[Block]:
    """Import the class of a block type in `KNOWN`."""
    module, attribute = KNOWN[kind]
    known: type[Block] = getattr(importlib.import_module(module), attribute)
    return known


async def load_approvers(name: str) -> Approvers:
    """Load the block in which approvers are enrolled; the errors are those of `load_platform`."""
    block = await load_block(name, field="approval.block")
    if not isinstance(block, Approvers):
        raise BadInput(f"the block {name} does not hold approvers", field="approval.block", fix="Enrol them: `shipway approvers add NAME`.")
    return block


async def load_prometheus(judgement: Judgement) -> Prometheus | None:
    """Load the Prometheus of a plan's SLIs, or None without such SLIs; the errors are those of `load_platform`."""
    if not any(isinstance(sli, PrometheusSli | PrometheusPairSli) for sli in judgement.slis):
        return None
    block = await load_block(judgement.prometheus, field="judgement.prometheus")
    if not isinstance(block, Prometheus):
        fix = "Name a block of the type `prometheus`."
        raise BadInput(f"the block {judgement.prometheus} is not a Prometheus block", field="judgement.prometheus", fix=fix)
    return block
