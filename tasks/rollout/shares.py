"""Shares of a plan's steps: a platform that cannot make one says so before anything changes."""

from __future__ import annotations

from blocks.errors import BadInput
from blocks.platform import Platform
from blocks.shares import MakesShares
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import place_of


def expect_shares(platform: Platform, plan: Plan, environment: str) -> None:
    """Refuse a plan with a step whose share the platform cannot make.

    Raises:
        BadInput: There is one; names the shares that can be made.
    """
    if not isinstance(platform, MakesShares):
        return
    place = place_of(plan, environment)
    for number, step in enumerate(place.steps):
        try:
            platform.expect_share(step.percent)
        except BadInput as error:
            field = f"{place.field.rpartition('.')[0]}.steps[{number}].percent"
            raise BadInput(error.wrong, field=field, fix=error.fix) from None
