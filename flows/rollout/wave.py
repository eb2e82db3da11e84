"""One wave: several targets of production side by side; the first that fails stops those beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from blocks.errors import RolloutFailed, ShipwayError, WorldMoved
from blocks.outside_text import error_text
from flows.lifecycle.context import INCONCLUSIVE, Phase, Result, passed, result
from flows.rollout.data import expect_data
from flows.rollout.steps import complete, confirm, roll_out
from tasks.process.concurrency import until_one
from tasks.record.journal import say
from tasks.rules.analysis.summary import worst_of
from tasks.rules.plan.targets import Place, place_of


async def bring(
    phase: Phase, version: str, *, environments: Sequence[str], approval: dict[str, Any], decisions: Mapping[str, Mapping[str, str]]
) -> Result:
    """Bring a version to the targets of a wave: each goes through its own steps, is verified, and promotes it.

    Args:
        phase: The release and its round.
        version: The version.
        environments: The wave's targets.
        approval: The gate's name and proofs.
        decisions: What people decided about inconclusive steps, by environment.

    Returns:
        `outcome` passed where every target completed; failed with the reason of the first that did; else that of the inconclusive ones, and
        these in `inconclusive`, each with its `environment` and `step`.

    Raises:
        ShipwayError: A target could not go on, and none goes on beside it.
    """
    await confirm(phase, version, approval=approval)  # once, before they go apart
    await expect_data(phase, "production", "post_deploy")
    places = [place_of(phase.plan, name) for name in environments]
    failed, found = await until_one(
        *(_bring_to(phase, version, place=one, approval=approval, decisions=decisions.get(one.environment, {})) for one in places),
        ends=lambda one: not (passed(one) or one["inconclusive"]),
    )
    if failed:
        return failed
    inconclusive = [one for one in found if one["inconclusive"]]
    outcome, reason = worst_of(inconclusive or found)
    return result(outcome, reason, inconclusive=inconclusive)


async def _bring_to(phase: Phase, version: str, *, place: Place, approval: dict[str, Any], decisions: Mapping[str, str]) -> Result:
    """Go the whole way in one target; one that is inconclusive waits for people at its step."""
    name = place.environment
    try:
        found = await roll_out(phase, version, place=place, approval=approval, decisions=dict(decisions))
        inconclusive = found["outcome"] in INCONCLUSIVE
        if passed(found):
            found = await complete(phase, version, environment=name, beside=found["lease"])
    except (RolloutFailed, WorldMoved) as error:
        return result("failed", f"{name}: {error_text(error)}", environment=name, inconclusive=False)
    except ShipwayError as error:
        say(f"{name}: {error_text(error)}")  # who reads the error alone would look for its target
        raise
    return {**found, "environment": name, "inconclusive": inconclusive}
