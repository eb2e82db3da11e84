"""The extras that a plan needs."""

from __future__ import annotations

from blocks.extras import require
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import production_of


def require_extras(plan: Plan) -> None:
    """See that all is installed that judging this plan's data needs; a cluster's client is asked for when the cluster is.

    Raises:
        BadInput: An extra is missing.
    """
    if plan.data:
        require("data", field="data")
    if plan.samples.judged and any(step.watch_seconds for place in production_of(plan) for step in place.steps):
        require("data", field="samples", otherwise="Or write `judged: false`, and the samples of the steps are not judged as a table.")
