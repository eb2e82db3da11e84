"""Checks before a release through Git: what Git says, what the engine says, and whether a rollback would be possible without Git."""

from __future__ import annotations

import asyncio

from blocks.errors import BadInput, Refused, RolloutFailed, Temporary, WorldMoved
from blocks.gitops.engine import Observed
from tasks.gitops.parts import Parts
from tasks.gitops.review import review_change
from tasks.lifecycle.retries import retried
from tasks.rules.gitops.reviewed import Reviewed, differing
from tasks.rules.gitops.settings import edits_of
from tasks.rules.gitops.weights import expect_home, weight_edits

SETTLE_SECONDS = 30.0  # another commit may be on its way at this very moment


async def reviewed(parts: Parts, version: str, serves: str) -> Reviewed:
    """Read what Git says, and refuse what a release must not build upon.

    Args:
        parts: The environment.
        version: The version that is to come.
        serves: The version that the workload is set to.

    Raises:
        WorldMoved: Git says the version already, or something else than what runs and the block refuses that.
        ShipwayError: Git does not answer, or a value cannot be edited safely.
    """
    found = await retried(review_change)(parts.git, edits_of(parts.settings.edits, version))
    if not found.diff and version != serves and not parts.is_rollback:
        raise WorldMoved(f"Git says {version} already, and {serves} runs in {parts.title}: the version came by another commit")
    drift = drift_in_git(parts, found, serves)
    if drift and parts.settings.drift == "refuse" and not parts.is_rollback:
        fix = "Let Git say what runs, or set `drift: tolerate` in the block"
        raise WorldMoved(f"{'; '.join(drift)}, though {serves} runs in {parts.title}. {fix}")
    return found


async def reviewed_canary(parts: Parts, version: str) -> Reviewed:
    """Read what Git says of the canary beside the workload, and of the weights; the places of the weights come last.

    Raises:
        WorldMoved: Git does not give all requests to the baseline.
        ShipwayError: Git does not answer, or a value cannot be edited safely.
    """
    weights = parts.settings.weights
    edits = (*edits_of(parts.settings.canary_edits, version), *weight_edits(weights, before=0, after=0))
    found = await retried(review_change)(parts.git, edits)
    expect_home(found.places[-len(weights) :], weights)
    return found


def drift_in_git(parts: Parts, found: Reviewed, serves: str) -> list[str]:
    """Say where Git does not say what runs."""
    try:
        return differing(found.places, edits_of(parts.settings.edits, serves))
    except BadInput:
        return [f"{serves} cannot stand in Git"]


async def expect_engine(parts: Parts) -> Observed:
    """Look whether the engine could deploy a commit.

    Raises:
        Temporary: Not now.
        WorldMoved: What runs is not what Git says, and the block refuses that.
        Refused: The engine could not be held, and the block requires that.
        RolloutFailed: It cannot render what Git says, is gone, or may not be read.
    """
    seen = await _settled(parts)
    if seen.fault and not seen.revision:
        if seen.temporary:
            raise Temporary(seen.fault)
        raise RolloutFailed(seen.fault, evidence=seen.lines)
    if seen.held and not parts.is_rollback:
        raise WorldMoved(f"the engine of {parts.title} is held by another release: {'; '.join(seen.lines)}")
    if not seen.synced and parts.settings.drift == "refuse" and not parts.is_rollback:
        raise WorldMoved(f"what runs is not what Git says: {'; '.join(seen.lines)}. Sync it first, or set `drift: tolerate` in the block")
    if parts.settings.without_git == "require" and not parts.is_rollback and (why := await parts.engine.holdable()):
        fix = "Set `without_git: accept` in the block to release all the same"
        raise Refused(f"{parts.title} could not be rolled back while Git is unreachable: {why}. {fix}")
    return seen


async def expect_forge(parts: Parts) -> str:
    """Look whether a pull request could be opened, and merged as the block says; gives how the change goes in, or "" if it is pushed.

    Raises:
        ShipwayError: It could not, or the forge does not answer.
    """
    settings = parts.git.pull_requests
    if settings is None:
        return ""
    await parts.git.forge(settings).check()
    return settings.words(parts.git.branch)


async def _settled(parts: Parts) -> Observed:
    """Read what the engine says, after what it is doing already."""
    seen = await parts.engine.look()
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while seen.operation is not None or (seen.automatic and not seen.synced and not seen.fault and not seen.waiting):
                await asyncio.sleep(1)
                seen = await parts.engine.look()
    except TimeoutError:
        pass
    return seen
