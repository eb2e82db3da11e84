"""What every phase knows: whose it is, and the plan as it was when the release began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect.context import FlowRunContext

from blocks.platform import Platform
from tasks.platforms import load_platform
from tasks.rules.plan import Environment, Plan
from tasks.rules.request import owner_of
from tasks.survey import take_plan

Result = dict[str, Any]


@dataclass(frozen=True)
class Phase:
    """Where a phase stands.

    Fields:
        scope: Prefix of everything that is remembered: the release's id and round, or the phase's own run id.
        owner: Flow run id that owns the environments and the record.
        plan: The plan as it was taken.
        path: Path of the plan.
        folder: Where the plan's paths start.
    """

    scope: str
    owner: str
    plan: Plan
    path: str
    folder: str

    def key(self, name: str) -> str:
        """Make the stable key of a step of this phase."""
        return f"{self.scope}/{name}"

    def entry(self, name: str) -> str:
        """Make the key of an entry of the record: the name, behind the round where it is not the first."""
        round_number = self.scope.partition("/")[2]
        return name if round_number in {"", "1"} else f"round-{round_number}/{name}"


def run_id() -> str:
    """Give the id of the flow run that this code is in."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        message = "this can only be asked inside a flow run"
        raise RuntimeError(message)
    return str(context.flow_run.id)


async def begin_phase(plan: str, *, scope: str) -> Phase:
    """Begin a phase: take the plan under its scope.

    Args:
        plan: Path of the plan.
        scope: The release's scope; "" makes the phase's own run the scope.
    """
    scope = scope or run_id()
    taken = await take_plan(plan, key=f"{scope}/plan")
    return Phase(scope, owner_of(scope), Plan.model_validate(taken["plan"]), plan, taken["folder"])


def section_of(plan: Plan, environment: str) -> Environment:
    """Give the plan's section of an environment."""
    return plan.staging if environment == "staging" else plan.production


async def platform_of(plan: Plan, environment: str) -> Platform:
    """Find the platform of an environment."""
    return await load_platform(section_of(plan, environment).platform, field=f"{environment}.platform")


def result(outcome: str, reason: str, **more: Any) -> Result:
    """Make a phase's result: `outcome` (passed, failed, no_data, error, watching), `reason`, and what else it found."""
    return {"outcome": outcome, "reason": reason, **more}


def passed(found: Result) -> bool:
    """Say whether a phase passed; everything else did not."""
    return bool(found["outcome"] == "passed")
