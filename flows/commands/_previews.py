"""What the platforms say about a plan before anything changes: whether they can run its migrations, and what a release would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flows.commands import _output

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan

Previews = dict[str, dict[str, Any]]


def ask_platforms(plan: Plan, *, version: str | None) -> tuple[list[str], list[str], Previews]:
    """Ask the platforms of a plan through the configured Prefect server, which knows their blocks.

    Args:
        plan: The plan.
        version: The version that would be released; None asks for no preview.

    Returns:
        Problems: what a platform cannot do or would refuse. Notes: which questions got no answer. Previews, by environment.
    """
    import asyncio

    from blocks.errors import BadInput, ShipwayError

    try:
        return asyncio.run(_ask(plan, version))
    except BadInput as error:  # as a block that no one made: a release would be refused
        return [str(error)], [], {}
    except ShipwayError as error:
        return [], [f"no preview of the changes: {error}"], {}


async def _ask(plan: Plan, version: str | None) -> tuple[list[str], list[str], Previews]:
    from blocks.errors import BadInput
    from tasks.lifecycle.server import server
    from tasks.rollout.platforms import load_platforms
    from tasks.rollout.preview import preview_environment

    problems: list[str] = []
    previews: Previews = {}
    async with server():
        found = await load_platforms(plan)
    for name, platform in found.items():
        try:
            _expect_able(platform, plan, name)
        except BadInput as error:
            problems.append(str(error))
        if version is not None and (preview := await preview_environment(platform, version)) is not None:
            previews[name] = preview
    if not problems:
        problems += await _ask_owners(plan, found)
    problems += [
        f"{name}.platform: the platform would refuse {version}: {one['refused']}" for name, one in previews.items() if one["refused"]
    ]
    notes = [f"{name}: {note}" for name, one in previews.items() for note in one["notes"]]
    return problems, [*notes, *scripts_missing(plan, found)], previews


def scripts_missing(plan: Plan, platforms: dict[str, Any]) -> list[str]:
    """Say that a plan has in mind what happens if a script fails, and none of its platforms runs one again."""
    from blocks.run_again import RunsAgain

    section = plan.on_script_failure
    if (section.retries == 0 and section.then == "roll_back") or any(isinstance(one, RunsAgain) for one in platforms.values()):
        return []
    return ["on_script_failure: no platform of this plan runs scripts again, so it has no effect. Remove it, or name a script platform"]


async def _ask_owners(plan: Plan, platforms: dict[str, Any]) -> list[str]:
    """Say whose the plan's environments are if not its service's, by the files beside the key, and which of them share something."""
    from blocks.errors import BadInput, Refused, ShipwayError
    from tasks.approval.protection import own_environment, things_of
    from tasks.rules.plan.targets import places_of
    from tasks.rules.policy.owners import same_environment

    problems: list[str] = []
    things: list[dict[str, str]] = []
    places = places_of(plan)
    for place in places:
        things.append({})
        try:
            things[-1] = await things_of.fn(platforms[place.environment])
            await own_environment.fn(plan, place, platforms[place.environment], claims=False)
        except (BadInput, Refused) as error:
            problems.append(str(error))
        except ShipwayError:
            continue  # the preview says what does not answer
    return problems or [one for one in [same_environment(places, things)] if one]


def _expect_able(platform: Any, plan: Plan, environment: str) -> None:
    from tasks.rollout.migrate import expect_jobs
    from tasks.rollout.shares import expect_shares

    expect_jobs(platform, plan, environment)
    expect_shares(platform, plan, environment)


def print_previews(previews: Previews, *, version: str | None) -> None:
    """Print what would change, and what others changed (drift); say so if nothing would change, or if it is unknown."""
    if version is None:
        _output.show("\nGive --version to see what the platforms would change.")
        return
    for name, one in previews.items():
        if one["drift"]:
            _output.show(f"\n{name}: others changed since the last release:")
            _output.show("\n".join(f"  {line}" for line in one["drift"]))
        if not one["refused"] and (one["changes"] or not one["notes"]):
            _output.show(f"\n{name}: {version} would change:")
            _output.show("\n".join(f"  {line}" for line in one["changes"] or ["nothing"]))
