"""Production as two targets: one after the other, and what a failure in the second one does to the first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from blocks.local.platform import LocalPlatform
from tests.flows import harness, processes
from tests.flows.gatehouse import answer, enrol, go_on
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, plan_of, spots

pytestmark = [pytest.mark.server, pytest.mark.timeout(600), pytest.mark.usefixtures("visitors")]
EU, US = "production/eu", "production/us"
_minor = count(1)


@pytest.fixture(scope="module")
def theatre(runner: processes.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Raise a stage whose production is two targets."""
    stage = harness.Stage("waves", tmp_path_factory.mktemp("waves"), runner, environments=("staging", EU, US))
    asyncio.run(stage.raise_up())
    yield stage
    asyncio.run(stage.end())


@pytest.fixture
async def visitors(stage: Stage) -> Any:
    """Let visitors come to both targets."""
    with contextlib.ExitStack() as stack:
        addresses = [(await stage.platform(name).endpoints())["public"] for name in (EU, US)]
        yield [stack.enter_context(processes.traffic(address)) for address in addresses]


def wave(stage: Stage, *, checklist: Any = None, approval: Any = None, **more: Any) -> str:
    """Write a plan with both targets; `more` goes into its section `production`."""
    usual = plan_of(stage.name)["production"]
    targets = [{"name": name, "platform": f"local/{stage.name}-production-{name}"} for name in ("eu", "us")]
    others = {name: section for name, section in (("checklist", checklist), ("approval", approval)) if section}
    return stage.plan(production={"targets": targets, "ready_timeout_seconds": 20, "steps": usual["steps"], **more}, **others)


def new(stage: Stage, mode: str = "") -> str:
    """Tag a new version."""
    return stage.tag(f"3.{next(_minor)}{mode}")


async def bring(stage: Stage, environment: str, version: str) -> None:
    """Let an environment run a version that an earlier release brought."""
    platform = stage.platform(environment)
    lease = await platform.acquire_lease("before")
    await platform.prepare(version, lease, timeout_seconds=30)
    await platform.promote(lease)
    await platform.release_lease(lease)


@pytest.mark.faults
async def test_the_second_target_begins_when_the_first_is_done(stage: Stage, visitors: Any) -> None:
    """Each target goes through its own steps; both end on the new version, and the record names them."""
    version = new(stage)
    ran = await stage.release_through(version, plan=wave(stage))
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=version)
    steps = ["prepare", "50 % shift", "100 % shift", "promote"]
    assert spots(ran) == ["staging promote", *(f"{EU} {step}" for step in steps), *(f"{US} {step}" for step in steps)]
    watched = [entry.environment for entry in ran.entries if entry.kind == "samples"]
    assert watched == [EU, EU, US, US]
    assert f"{version} serves in {EU}, {US}" in ran.message
    assert all(set(one.since(0)) == {200} for one in visitors)


@pytest.mark.faults
async def test_a_bad_second_target_takes_the_first_one_back(stage: Stage) -> None:
    """Each returns to the version that it ran itself, the last one first, then staging."""
    older = new(stage)
    await bring(stage, EU, older)
    ran = await stage.release_through(new(stage, "-errors.us"), plan=wave(stage))
    assert ran.state == "RolledBack", ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST, eu=older)
    done = [spot for spot in spots(ran, "rollback") if spot.endswith(" done")]
    assert done == [f"{US} done", f"{EU} done", "staging done"]
    assert f"at 50 % in {US}" in ran.message
    assert f"{EU} is back on {older}" in ran.message
    review, changes = (next(entry.evidence for entry in ran.entries if entry.kind == kind) for kind in ("review", "change_log"))
    assert review["current"] == {"staging": FIRST, EU: older, US: FIRST}
    assert changes["from_version"] == f"{older} and {FIRST}"


@pytest.mark.faults
async def test_a_bad_second_target_leaves_the_first_one_where_the_plan_keeps_it(stage: Stage) -> None:
    """Only the failing one goes back; the outcome says that production is mixed, and the message what each target runs."""
    version = new(stage, "-errors.us")
    ran = await stage.release_through(version, plan=wave(stage, on_wave_failure="keep"))
    assert ran.state == "PartlyDeployed", ran.message
    await check_closed(stage, ran, outcome="partly_deployed")
    await check_well(stage, version=version, us=FIRST)
    assert f"{US} is back on {FIRST}" in ran.message
    assert f"{EU} stays on {version}" in ran.message
    assert set(ran.entries[-1].evidence["targets"]) == {EU, US}


@pytest.mark.faults
async def test_a_release_after_a_kept_one_goes_on_with_the_other_target(stage: Stage) -> None:
    """A target that runs the version already takes no steps, and is not taken from it when the other one fails again."""
    version = new(stage, "-errors.us")
    await bring(stage, EU, version)
    ran = await stage.release_through(version, plan=wave(stage))
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST, eu=version)
    assert f"{EU} already" in spots(ran, "note")
    assert not [entry for entry in ran.entries if (entry.kind, entry.environment, entry.name) == ("effect", EU, "shift")]
    assert f"{EU} was not touched and runs {version}" in ran.message


@pytest.mark.faults
async def test_a_bad_first_target_never_reaches_the_second(stage: Stage) -> None:
    """The wave stops; the second target is not touched, whatever the plan keeps."""
    before = stage.started(US)
    ran = await stage.release_through(new(stage, "-errors.eu"), plan=wave(stage, on_wave_failure="keep"))
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    assert stage.started(US) == before
    assert f"{US} was not touched and runs {FIRST}" in ran.message


KILLS = [
    ("", "back", f"effect {US} prepare"),
    ("", "back", f"effect {EU} promote"),
    ("-errors.us", "back", "rollback decision"),
    ("-errors.us", "back", f"rollback {US} done"),
    ("-errors.us", "back", f"rollback {EU} done"),
    ("-errors.us", "back", "LocalClient.order release_lease"),
    ("-errors.us", "keep", f"rollback {US} choice"),
    ("-errors.us", "keep", "closed"),
]


@pytest.mark.parametrize(
    ("mode", "policy", "point"), KILLS, ids=[f"{mode}-{policy}-{point}".replace(" ", "-") for mode, policy, point in KILLS]
)
@pytest.mark.faults
async def test_a_wave_killed_in_its_second_target_ends_well(stage: Stage, visitors: Any, mode: str, policy: str, point: str) -> None:
    """The next attempt goes on where the killed one was: nothing is done twice in the first target, and the end is the plan's."""
    version, begun = new(stage, mode), {name: stage.started(name) for name in (EU, US)}
    ran = await stage.release_through(version, plan=wave(stage, on_wave_failure=policy), kill_at=point)
    assert ran.points[-1].endswith(f" {point}"), ran.points[-3:]
    good = not mode
    outcome = "deployed" if good else {"back": "rolled_back", "keep": "partly_deployed"}[policy]
    await check_closed(stage, ran, outcome=outcome)
    await check_well(stage, version=version if good else FIRST, **({"eu": version, "staging": version} if policy == "keep" else {}))
    again = 1 if mode and policy == "back" else 0  # the first target's previous version is started again
    assert {name: stage.started(name) - begun[name] for name in begun} == {EU: 1 + again, US: 1}
    assert 0 not in {status for one in visitors for status in one.since(0)}


async def roll_back(stage: Stage, **more: Any) -> Ran:
    """Ask for a rollback and carry it through."""
    run = await stage.ask("rollback", plan=wave(stage), reason="critical bug 812", **more)
    return await stage.carry_through(run, "rollback")


@pytest.mark.faults
async def test_a_target_deployed_alone_leaves_the_other(stage: Stage) -> None:
    """The phase `production` run alone takes a target's name; where it fails only that one goes back."""
    version, bad = new(stage), new(stage, "-errors")
    alone = {"plan": wave(stage), "requester": "rita", "reason": "a test"}
    ran = await stage.carry_through(await stage.ask("production", **alone, version=version, environment=US), "production")
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=FIRST, us=version)
    ran = await stage.carry_through(await stage.ask("production", **alone, version=bad, environment=EU), "production")
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST, us=version)
    staging = await stage.carry_through(await stage.ask("production", **alone, version=version, environment="staging"), "production")
    assert (staging.state, "Run the phase `staging`" in staging.message) == ("Refused", True)


@pytest.mark.faults
async def test_a_target_deployed_alone_stays_deployed_if_its_wait_for_ticks_cannot_go_on(stage: Stage, server: Any) -> None:
    """The other target was never its own, so that it is another's takes nothing away."""
    people, version = await enrol(server), new(stage)
    items = [{"name": "announced", "text": "The customers know", "who": [people.names[0]], "before": "closing"}]
    plan = wave(stage, checklist={"tests_passed": False, "items": items}, approval={"quorum": 0, "block": f"approvers/{people.name}"})
    run = await stage.ask("production", plan=plan, requester="rita", reason="a test", version=version, environment=US)
    await stage.runner.run(run, "production")
    assert (await stage.seen(run)).entries[-1].name == "checklist closing question 1"
    await stage.settle(run, reason="its process is gone, for the 8th time")
    ran = await stage.seen(run)
    assert "people could not be asked any more: its process is gone" in ran.message, ran
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=FIRST, us=version)


@pytest.mark.faults
async def test_a_verification_of_production_looks_at_every_target(stage: Stage) -> None:
    """The worst decides, and is named."""
    from flows.verify import verify  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    plan = wave(stage)

    async def verified(**where: str) -> Any:
        return await verify(plan, version=FIRST, return_state=True, **where)  # type: ignore[call-overload, misc]

    assert (await verified()).name == "Passed"
    await bring(stage, US, new(stage))
    found = await verified()
    assert (found.name, found.message.startswith(f"failed: {US} runs ")) == ("Failed", True)
    assert (await verified(environment=EU)).name == "Passed"


@pytest.mark.faults
async def test_a_rollback_of_one_target_leaves_the_other(stage: Stage) -> None:
    """Only the target that was named goes back."""
    version = new(stage)
    assert (await stage.release_through(version, plan=wave(stage))).state == "Deployed"
    back = await roll_back(stage, environment=US)
    assert (back.state, f"{US} is back on {FIRST}" in back.message) == ("RolledBack", True)
    await check_closed(stage, back, outcome="rolled_back")
    await check_well(stage, version=version, us=FIRST)


@pytest.mark.parametrize("point", ["", f"rollback {US} done"], ids=["undisturbed", "killed"])
@pytest.mark.faults
async def test_a_rollback_of_production_takes_every_target_back(stage: Stage, point: str) -> None:
    """The last one first, also where the rollback is killed between two; staging stays as it is."""
    version = new(stage)
    assert (await stage.release_through(version, plan=wave(stage))).state == "Deployed"
    run = await stage.ask("rollback", plan=wave(stage), reason="critical bug 812")
    back = await stage.carry_through(run, "rollback", kill_at=point or 0)
    assert back.state == "RolledBack"
    await check_closed(stage, back, outcome="rolled_back")
    await check_well(stage, version=FIRST, staging=version)
    assert [spot for spot in spots(back, "rollback") if spot.endswith(" done")] == [f"{US} done", f"{EU} done"]


@pytest.mark.faults
async def test_a_rollback_of_a_mixed_production_takes_only_the_newest_version_away(stage: Stage) -> None:
    """Where an earlier wave left one target behind, that one is where the others are to go, and stays."""
    version = new(stage)
    await bring(stage, EU, version)
    back = await roll_back(stage)
    assert back.state == "RolledBack", back
    await check_well(stage, version=FIRST)


@pytest.mark.slow
async def test_a_rollback_says_which_environments_there_are(stage: Stage) -> None:
    """A name that the plan does not know is refused before anything is claimed, or any release is told to end."""
    before = {name: stage.state_of(name) for name in stage.environments}
    back = await roll_back(stage, environment="production/asia")
    assert back.state == "Refused"
    assert f"Name one of staging, {EU}, {US}" in back.message
    assert {name: stage.state_of(name) for name in before} == before


@pytest.mark.faults
async def test_a_rollback_of_production_ends_the_wave_under_way(stage: Stage) -> None:
    """Both targets go back, the completed one too, although the plan of the release would keep it; staging follows."""
    version = new(stage)
    steps = [{"percent": 100, "watch_seconds": 0}]
    long = [{"percent": 50, "watch_seconds": 40}, {"percent": 100, "watch_seconds": 0.3}]
    targets = [
        {"name": "eu", "platform": f"local/{stage.name}-production-eu", "steps": steps},
        {"name": "us", "platform": f"local/{stage.name}-production-us", "steps": long},
    ]
    judgement = {**plan_of(stage.name)["judgement"], "min_requests": 1_000_000}
    plan = stage.plan(production={"targets": targets, "ready_timeout_seconds": 20, "on_wave_failure": "keep"}, judgement=judgement)
    run = await stage.release(version, plan=plan)
    pid, points = stage.runner.start(run, "release")
    async with asyncio.timeout(120):
        while not points.exists() or f"{US} 50 % shift" not in points.read_text():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.1)
    back = await roll_back(stage)
    assert back.state == "RolledBack", back
    await processes.ended(pid)
    ran = await stage.carry_through(run, "release") if await stage.care_of(run) != "leave" else await stage.seen(run)
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)


@pytest.mark.faults
async def test_people_are_asked_about_the_target_that_is_inconclusive(stage: Stage, server: Any) -> None:
    """The release waits without a process in its second target, and goes on there, though who approved it left the team meanwhile."""
    people, version, begun = await enrol(server), new(stage), stage.started(EU)
    targets = [
        {"name": "eu", "platform": f"local/{stage.name}-production-eu", "steps": [{"percent": 100, "watch_seconds": 0}]},
        {"name": "us", "platform": f"local/{stage.name}-production-us", "steps": [{"percent": 100, "watch_seconds": 1}]},
    ]
    judgement = {**plan_of(stage.name)["judgement"], "min_requests": 1_000_000, "inconclusive": "ask"}
    plan = stage.plan(production={"targets": targets, "ready_timeout_seconds": 20}, judgement=judgement, approval=people.section())
    run = await stage.release(version, plan=plan)
    assert (await go_on(stage, run)).state == "Suspended"
    asked = await answer(stage, run, await people.form(people.names[0], run))
    assert asked.state == "Suspended"
    assert f"{US} 100 % question 1" in spots(asked, "gate")
    people.block.remove(people.names[0])
    await people.block.save(people.name, overwrite=True)
    ran = await answer(stage, run, await people.form(people.names[1], run))
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=version)
    assert stage.started(EU) == begun + 1


@pytest.mark.faults
async def test_a_block_that_is_changed_between_two_waves_moves_nothing(stage: Stage, server: Any) -> None:
    """What acts on a target is the block that was approved, not the one that its name leads to by then."""
    people, version, begun = await enrol(server), new(stage), stage.started(US)
    name = f"{stage.name}-production-us"
    targets = [
        {"name": "eu", "platform": f"local/{stage.name}-production-eu", "steps": [{"percent": 100, "watch_seconds": 1}]},
        {"name": "us", "platform": f"local/{name}", "steps": [{"percent": 100, "watch_seconds": 0}]},
    ]
    judgement = {**plan_of(stage.name)["judgement"], "min_requests": 1_000_000, "inconclusive": "ask"}
    plan = stage.plan(production={"targets": targets, "ready_timeout_seconds": 20}, judgement=judgement, approval=people.section())
    run = await stage.release(version, plan=plan)
    assert (await go_on(stage, run)).state == "Suspended"
    assert (await answer(stage, run, await people.form(people.names[0], run))).state == "Suspended"
    block = await LocalPlatform.aload(name)
    try:
        await block.model_copy(update={"command": [*block.command, "--foreign"]}).save(name, overwrite=True)
        ran = await answer(stage, run, await people.form(people.names[1], run))
    finally:
        await block.save(name, overwrite=True)
    assert f"the settings of {US} are not those that were approved: the block local/{name} was changed since" in ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    assert stage.started(US) == begun
