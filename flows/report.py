"""Report: the page of the metrics of the last days, on a schedule; it changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from flows.lifecycle.parameters import drops_unknown_parameters
from tasks.lifecycle.clock import now
from tasks.record.metrics_report import publish_report
from tasks.rules.metrics.metrics import Selection
from tasks.rules.plan.request import EnvironmentName
from tasks.rules.plan.types import NAME

Days = Annotated[int, Field(ge=1, le=3_660, title="Days", description="How many days up to now the report covers.")]
Service = Annotated[
    str, Field(pattern=rf"^$|{NAME}", title="Service", description="Only this one. Leave it empty for all services together.")
]


@drops_unknown_parameters
@flow(name="report", flow_run_name="report of {days} days", persist_result=False)
async def report(days: Days = 30, service: Service = "", environment: EnvironmentName = "production") -> State[Any]:
    """Write the report of what ended in the last days: trend, distribution, what failed and why, the slowest phases.

    Args:
        days: How many days.
        service: The service; empty for all together.
        environment: Production with its targets, one target, or staging.
    """
    at = now()
    selection = Selection(service, environment, at - timedelta(days=days), at)
    return Completed(name="Reported", message=await publish_report(selection, at=at))
