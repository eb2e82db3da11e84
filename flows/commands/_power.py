"""What the steps of a plan can decide with the traffic there is, for `shipway check`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.commands import _output

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan

Power = dict[str, list[tuple[str, ...]]]


def ask_traffic(plan: Plan, *, online: bool) -> tuple[Power, list[str]]:
    """Measure the traffic of each environment of production, and hold its steps against it.

    Args:
        plan: The plan.
        online: Whether a Prefect server is configured, which knows the platforms.

    Returns:
        The rows of a table by environment, and warnings: steps that cannot decide, and traffic that is not known.
    """
    import asyncio

    from blocks.errors import ShipwayError
    from tasks.rules.analysis.forecast import forecast, rows, warnings
    from tasks.rules.plan.targets import production_of

    found: dict[str, tuple[dict[str, Any], bool]] = {}
    said: list[str] = []
    try:
        found = asyncio.run(_measure(plan)) if online else {}
    except ShipwayError as error:
        said = [f"the traffic is not known: {error}"]
    power: Power = {}
    for place in production_of(plan):
        traffic, compared = found.get(place.environment, ({}, True))
        lines = forecast(plan.judgement, place.steps, traffic, compared=compared)
        power[place.environment] = list(rows(lines))
        said += [f"{place.environment}: {warning}" for warning in warnings(lines)]
        if online and not said and any(line.expected is None for line in lines):
            said.append(f"{place.environment}: the traffic is not known, so whether the steps can decide is not either")
    return power, said


async def _measure(plan: Plan) -> dict[str, tuple[dict[str, Any], bool]]:
    from tasks.lifecycle.server import server

    async with server():
        return await measure_production(plan)


async def measure_production(plan: Plan) -> dict[str, tuple[dict[str, Any], bool]]:
    """Measure the traffic of each environment of production now, by SLI, and say whether a baseline runs; the server is entered."""
    from tasks.analysis.sources import subject_of
    from tasks.analysis.traffic import measure_traffic
    from tasks.rollout.platforms import load_platforms
    from tasks.rules.plan.targets import STAGING

    measured = {}
    for name, platform in (await load_platforms(plan)).items():
        if name == STAGING:
            continue
        baseline = (await platform.current())["baseline"]
        traffic = await measure_traffic.fn(platform, subject=await subject_of(plan, name), baseline=baseline)
        measured[name] = traffic, baseline is not None
    return measured


def print_power(power: Power) -> None:
    """Print a table for each environment."""
    from tasks.rules.analysis.forecast import HEADINGS

    for name, found in power.items():
        if not found:
            continue
        table = [HEADINGS, *found]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
        _output.show(f"\n{name}: what the steps can decide")
        for row in table:
            _output.show("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
