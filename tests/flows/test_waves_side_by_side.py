"""Production as two waves: `eu` alone, then `us` and `asia` side by side."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from tests.flows import harness, processes
from tests.flows.gatehouse import answer, enrol, go_on
from tests.flows.harness import FIRST, Stage, check_closed, check_well, plan_of, spots

pytestmark = [pytest.mark.server, pytest.mark.timeout(600), pytest.mark.faults]
EU, US, ASIA = TARGETS = ("production/eu", "production/us", "production/asia")
LONG_SECONDS = 240  # nothing takes so long, on a loaded machine either
_minor = count(1)


@pytest.fixture(scope="module")
def theatre(runner: processes.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Raise a stage whose production is three targets."""
    stage = harness.Stage("beside", tmp_path_factory.mktemp("beside"), runner, environments=("staging", *TARGETS))
    asyncio.run(stage.raise_up())
    yield stage
    asyncio.run(stage.end())


@pytest.fixture(autouse=True)
async def visitors(stage: Stage) -> Any:
    """Let visitors come to every target."""
    with contextlib.ExitStack() as stack:
        addresses = [(await stage.platform(name).endpoints())["public"] for name in TARGETS]
        yield [stack.enter_context(processes.traffic(address)) for address in addresses]


def waves(stage: Stage, *, policy: str = "back", **more: Any) -> str:
    """Write a plan with both waves; `eu`, `us` and `asia` change that target, what else is given other sections."""
    usual = plan_of(stage.name)["production"]
    targets = [
        {"name": name, "platform": f"local/{stage.name}-production-{name}", "wave": number, **more.pop(name, {})}
        for name, number in (("eu", 1), ("us", 2), ("asia", 2))
    ]
    production = {"targets": targets, "ready_timeout_seconds": 20, "steps": usual["steps"], "on_wave_failure": policy}
    return stage.plan(production=production, **more)


def new(stage: Stage, mode: str = "") -> str:
    """Tag a new version."""
    return stage.tag(f"4.{next(_minor)}{mode}")


async def test_the_targets_of_a_wave_go_side_by_side(stage: Stage, visitors: Any) -> None:
    """Both of the second wave begin when the first is promoted, and neither waits for the other; no visitor notices."""
    version = new(stage)
    ran = await stage.release_through(version, plan=waves(stage))
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=version)
    keys = spots(ran)
    place = {key: keys.index(key) for key in keys}
    begun, done = ([place[f"{name} {step}"] for name in (US, ASIA)] for step in ("prepare", "promote"))
    assert place[f"{EU} promote"] < min(begun) < max(begun) < min(done)
    assert all(set(one.since(0)) == {200} for one in visitors)


async def test_a_bad_target_stops_the_one_beside_it_and_all_go_back(stage: Stage) -> None:
    """The other one's watch ends at once instead of in its own time; its wave goes back first, then the one before it."""
    slow = {"steps": [{"percent": 50, "watch_seconds": LONG_SECONDS}, {"percent": 100, "watch_seconds": 0}]}
    judgement = harness.undecidable(plan_of(stage.name)["judgement"])
    loop = asyncio.get_running_loop()
    begun = loop.time()
    ran = await stage.release_through(new(stage, "-errors.us"), plan=waves(stage, asia=slow, judgement=judgement))
    assert ran.state == "RolledBack", ran.message
    assert loop.time() - begun < LONG_SECONDS / 2
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    done = [spot for spot in spots(ran, "rollback") if spot.endswith(" done")]
    assert (set(done[:2]), done[2:]) == ({f"{US} done", f"{ASIA} done"}, [f"{EU} done", "staging done"])
    assert f"{ASIA} 50 % shift" in spots(ran)
    assert f"at 50 % in {US}" in ran.message


async def test_a_bad_target_leaves_what_was_completed_where_the_plan_keeps_it(stage: Stage) -> None:
    """The wave before stays on the new version, the one beside it goes back with the bad one, and the outcome says so."""
    slow = {"steps": [{"percent": 50, "watch_seconds": LONG_SECONDS}, {"percent": 100, "watch_seconds": 0}]}
    judgement = harness.undecidable(plan_of(stage.name)["judgement"])
    version = new(stage, "-errors.us")
    ran = await stage.release_through(version, plan=waves(stage, asia=slow, policy="keep", judgement=judgement))
    assert ran.state == "PartlyDeployed", ran.message
    await check_closed(stage, ran, outcome="partly_deployed")
    await check_well(stage, version=version, us=FIRST, asia=FIRST)


async def test_a_target_that_does_not_come_up_is_named(stage: Stage) -> None:
    """Of several that begin at once, the reason says which one could not; the others go back, too."""
    mute = {"platform": f"local/{stage.name}-production-asia", "ready_timeout_seconds": 1}
    ran = await stage.release_through(new(stage, "-mute.asia"), plan=waves(stage, asia=mute))
    assert ran.state == "RolledBack", ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    assert f"{ASIA}: " in ran.message


KILLS = [
    ("", f"effect {US} prepare"),
    ("", f"effect {ASIA} 50 % shift"),
    ("", f"verdict {US} VERSION"),
    ("", f"effect {US} promote"),
    ("-errors.us", "rollback decision"),
    ("-errors.us", f"rollback {ASIA} choice"),
    ("-errors.us", f"rollback {US} done"),
    ("-errors.us", f"rollback {EU} done"),
    ("-errors.us", "LocalClient.order release_lease"),
]


@pytest.mark.parametrize(("mode", "point"), KILLS, ids=[f"{mode}-{point}".replace(" ", "-") for mode, point in KILLS])
async def test_a_wave_killed_side_by_side_ends_well(stage: Stage, visitors: Any, mode: str, point: str) -> None:
    """Wherever the kill hits which of the two: the next attempt goes on in both, each effect happens once, and no visitor waits in vain."""
    version, begun = new(stage, mode), {name: stage.started(name) for name in TARGETS}
    ran = await stage.release_through(version, plan=waves(stage), kill_at=point.replace("VERSION", version))
    assert ran.points[-1].endswith(point.replace("VERSION", version)), ran.points[-3:]
    await check_closed(stage, ran, outcome="rolled_back" if mode else "deployed")
    await check_well(stage, version=FIRST if mode else version)
    if not mode:
        assert {name: stage.started(name) - begun[name] for name in TARGETS} == dict.fromkeys(TARGETS, 1)
    assert 0 not in {status for one in visitors for status in one.since(0)}


@pytest.mark.parametrize("point", ["", f"rollback {US} done", f"rollback {ASIA} done"], ids=["undisturbed", "us", "asia"])
async def test_a_rollback_of_production_takes_the_last_wave_back_first(stage: Stage, point: str) -> None:
    """Both of the wave side by side, then the one before; also where it is killed in between. Staging stays as it is."""
    version = new(stage)
    assert (await stage.release_through(version, plan=waves(stage))).state == "Deployed"
    run = await stage.ask("rollback", plan=waves(stage), reason="critical bug 812")
    back = await stage.carry_through(run, "rollback", kill_at=point or 0)
    assert back.state == "RolledBack", back.message
    await check_closed(stage, back, outcome="rolled_back")
    await check_well(stage, version=FIRST, staging=version)
    done = [spot for spot in spots(back, "rollback") if spot.endswith(" done")]
    assert (set(done[:2]), done[2:]) == ({f"{US} done", f"{ASIA} done"}, [f"{EU} done"])


def inconclusive(stage: Stage, people: Any) -> str:
    """Write a plan by which neither target of the second wave can be decided, so that people are asked."""
    judgement = {**plan_of(stage.name)["judgement"], "min_requests": 1_000_000, "inconclusive": "ask"}
    first, second = ({"steps": [{"percent": 100, "watch_seconds": seconds}]} for seconds in (0, 1))
    return waves(stage, eu=first, us=second, asia=second, judgement=judgement, approval=people.section())


async def test_people_are_asked_about_each_target_that_is_inconclusive(stage: Stage, server: Any) -> None:
    """One after the other, when the others of the wave are through; then the wave goes on where it was."""
    people, version, begun = await enrol(server, 3), new(stage), {name: stage.started(name) for name in TARGETS}
    run = await stage.release(version, plan=inconclusive(stage, people))
    assert (await go_on(stage, run)).state == "Suspended"
    ran = await answer(stage, run, await people.form(people.names[0], run))
    for name in people.names[1:3]:
        assert ran.state == "Suspended", ran.message
        ran = await answer(stage, run, await people.form(name, run))
    assert {f"{US} 100 % question 1", f"{ASIA} 100 % question 1"} <= set(spots(ran, "gate"))
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=version)
    assert {name: stage.started(name) - begun[name] for name in TARGETS} == dict.fromkeys(TARGETS, 1)


async def test_one_rejection_sends_the_wave_back_and_no_one_is_asked_about_the_other(stage: Stage, server: Any) -> None:
    """Both were inconclusive; the first answer is enough."""
    people, version = await enrol(server, 2), new(stage)
    run = await stage.release(version, plan=inconclusive(stage, people))
    assert (await go_on(stage, run)).state == "Suspended"
    assert (await answer(stage, run, await people.form(people.names[0], run))).state == "Suspended"
    ran = await answer(stage, run, await people.form(people.names[1], run, decision="reject"))
    assert ran.state == "RolledBack", ran.message
    await check_closed(stage, ran, outcome="rolled_back")
    await check_well(stage, version=FIRST)
    assert not [entry for entry in ran.entries if entry.kind == "gate" and entry.environment == ASIA]


async def test_production_alone_and_its_verification_go_through_the_waves(stage: Stage) -> None:
    """The phase run by itself brings the version everywhere; the verification afterwards looks at every target."""
    from flows.verify import verify  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    version, plan = new(stage), waves(stage)
    ran = await stage.carry_through(
        await stage.ask("production", plan=plan, requester="rita", reason="a test", version=version), "production"
    )
    await check_closed(stage, ran, outcome="deployed")
    await check_well(stage, version=version, staging=FIRST)
    found = await verify(plan, version=version, return_state=True)  # type: ignore[call-overload, misc]
    assert found.name == "Passed"
