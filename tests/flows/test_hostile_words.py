"""A release whose service, platform and commits say hostile things: it fails by what is wrong, and rolls back by nothing but that."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from blocks.errors import Refused, Superseded, Tampered
from blocks.outside_text import outside
from flows.release import release
from flows.rollback import rollback
from flows.rollout.retake import _is_newer_run
from tasks.record.storage import default_storage
from tasks.rules.record.entries import outcome_of, verify_chain
from tests.flows.harness import Stage, plan_of
from tests.flows.hostile_platform import HostilePlatform, World, hostile_service
from tests.hostile_text import ANY_TEXT, EVERYTHING, HOSTILE, PIECES
from tests.record_entries import load_entries

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
HURTING = st.tuples(ANY_TEXT, st.sampled_from(PIECES), ANY_TEXT).map("".join)
_numbers = count(2)


class HostileStage(Stage):
    """A stage in memory; flows run in this process."""

    def world(self, environment: str) -> World:
        """Give an environment."""
        return HostilePlatform.worlds.setdefault(f"{self.name}-{environment}", World())

    async def set_up(self) -> None:
        """Make repository and blocks."""
        self.repository.mkdir(parents=True)
        self.git("init", "--quiet")
        self.tag("1.0")
        for environment in self.environments:
            self.world(environment)
            await HostilePlatform(name=f"{self.name}-{environment}").save(f"{self.name}-{environment}", overwrite=True)

    def tag(self, version: str, *, says: str = "Fix", by: str = "tester") -> str:
        """Commit a change in any words that Git takes, and tag it as a version."""
        words, name = (text.replace("\0", "").encode("utf-8", "replace").decode() for text in (says, by))
        name = re.sub(r"[\n<>]", "", name)[:1_000]
        (self.repository / "VERSION").write_text(f"{version}\n")
        self.git("add", "VERSION")
        self.git("-c", f"user.name=a{name}", "commit", "--quiet", "--cleanup=verbatim", "-m", f"a{words[:20_000]}")
        self.git("tag", f"v{version}")
        return version

    def hostile_plan(self) -> str:
        """Write a plan with nothing to wait for."""
        plan = plan_of(self.name)
        sections = {name: {**plan[name], "platform": f"hostile/{self.name}-{name}"} for name in ("staging", "production")}
        sections["production"]["steps"] = [{"percent": 100, "watch_seconds": 0}]
        verification = {**plan["verification"], "stability": {"successes": 1, "interval_seconds": 0.1, "timeout_seconds": 0.3}}
        return self.plan(verification=verification, rollback={"to": "previous", "watch_seconds": 0.1}, **sections)


@pytest.fixture(scope="module")
def theatre(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostileStage]:  # noqa: ARG001 - it must run
    """Raise two environments in memory."""
    stage = HostileStage("hostile", tmp_path_factory.mktemp("hostile"), runner=None)  # type: ignore[arg-type]
    asyncio.run(stage.set_up())
    with hostile_service(HostilePlatform.worlds) as url:
        HostilePlatform.url = url
        yield stage


@pytest.fixture
async def stage(theatre: HostileStage) -> HostileStage:
    """Give both environments with the first version, owned by no one, saying nothing."""
    await theatre.free()
    for environment in theatre.environments:
        theatre.world(environment).reset("1.0")
        theatre.world(environment).fails_at = ""
    return theatre


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "words"),
    [
        ("logs", HOSTILE[0]),
        *(pytest.param(point, HOSTILE[-1], marks=pytest.mark.faults) for point in ("logs", "body", "prepare")),
        ("shift", HOSTILE[-1]),
    ],
)
async def test_a_failing_release_rolls_back_whatever_is_said(stage: HostileStage, point: str, words: str) -> None:
    """In log lines, bodies, our errors and another's: both environments run what ran before, and the record is whole."""
    world = stage.world("production")
    world.fails_at, world.text = point, words
    if point == "body":
        stage.world("staging").text = words
    version = stage.tag(f"1.{next(_numbers)}")
    state: Any = await release(plan=stage.hostile_plan(), version=version, reason="a test", requester="rita", return_state=True)
    outcome = "failed" if point == "body" else "rolled_back"  # a wrong body is found in staging, and production never moved
    assert state.name == ("Failed" if point == "body" else "RolledBack"), state.message
    assert "ROLLBACK FAILED" not in state.message
    assert state.message == outside(state.message, limit=20_000)
    entries = await load_entries(await default_storage(), str(state.state_details.flow_run_id))
    assert (outcome_of(entries), verify_chain(entries)) == (outcome, [])
    for environment in stage.environments:
        position = stage.world(environment).position
        assert (position["baseline"], position["canary"], position["owner"]) == ("1.0", None, None)


@pytest.mark.faults
@settings(
    max_examples=3, deadline=None, phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(st.sampled_from(["logs", "prepare", "shift"]), HURTING, st.lists(HURTING, max_size=20), HURTING, HURTING)
async def test_a_failing_release_rolls_back_whatever_unicode_is_said(
    stage: HostileStage, point: str, text: str, lines: list[str], subject: str, author: str
) -> None:
    """Arbitrary texts with a piece that hurts, at once: of the log, of progress, header and error, of a commit and its author."""
    await stage.free()
    for environment in stage.environments:
        world = stage.world(environment)
        world.reset("1.0")
        world.text, world.lines = text, lines
    stage.world("production").fails_at = point
    version = stage.tag(f"1.{next(_numbers)}", says=subject, by=author)
    state: Any = await release(plan=stage.hostile_plan(), version=version, reason="a test", requester="rita", return_state=True)
    assert state.name == "RolledBack", state.message
    entries = await load_entries(await default_storage(), str(state.state_details.flow_run_id))
    assert (outcome_of(entries), verify_chain(entries)) == ("rolled_back", [])
    for environment in stage.environments:
        position = stage.world(environment).position
        assert (position["baseline"], position["canary"], position["owner"]) == ("1.0", None, None)


@pytest.mark.slow
async def test_a_rollback_takes_any_reason_and_leaves_any_version(stage: HostileStage) -> None:
    """A webhook's words, cleaned as the flow's type asks, and a version to return to that no parameter would take."""
    world = stage.world("production")
    world.position.update(baseline="2.0", previous="_adopted", ready={"2.0": True})
    world.text = EVERYTHING
    reason: Any = EVERYTHING * 100
    state: Any = await rollback(plan=stage.hostile_plan(), reason=outside(reason), return_state=True)
    assert state.name == "RolledBack", state.message
    assert world.position["baseline"] == "_adopted"


@pytest.mark.slow
@pytest.mark.parametrize(
    "forgeries",
    [[Tampered("forged")], [Refused("owned by x"), Refused("owned by x")], [Superseded("owned by x")]],
    ids=["tampered", "refused", "superseded"],
)
async def test_a_rollback_whose_lease_is_forged_away_takes_it_again(stage: HostileStage, forgeries: list[BaseException]) -> None:
    """One patch of the owner's annotation once ended a rollback as refused, half done."""
    world = stage.world("production")
    world.position.update(baseline="2.0", previous="1.0", ready={"2.0": True})
    world.forgeries = list(forgeries)
    state: Any = await rollback(plan=stage.hostile_plan(), reason=outside("it is bad"), return_state=True)
    assert state.name == "RolledBack", state.message
    assert (world.position["baseline"], world.forgeries) == ("1.0", [])


@pytest.mark.slow
async def test_a_rollback_is_not_stopped_by_the_state_of_an_earlier_run_that_is_put_back(stage: HostileStage) -> None:
    """Its seal is right and its owner is a run that the server knows; that run has ended."""
    world = stage.world("production")
    world.position.update(baseline="2.0", previous="1.0", ready={"2.0": True})
    first: Any = await rollback(plan=stage.hostile_plan(), reason=outside("it is bad"), return_state=True)
    world.reset("1.0")
    world.position.update(baseline="2.0", previous="1.0", ready={"2.0": True})
    world.forgeries, world.forged_owner = [Superseded("a newer run")], str(first.state_details.flow_run_id)
    state: Any = await rollback(plan=stage.hostile_plan(), reason=outside("it is bad"), return_state=True)
    assert (state.name, world.position["baseline"]) == ("RolledBack", "1.0"), state.message


@pytest.mark.usefixtures("stage")
async def test_only_a_run_that_began_later_and_lives_fences_a_rollback_out() -> None:
    """Anything else in the owner's place was put there by others."""
    from prefect import get_client  # noqa: PLC0415
    from prefect.states import Completed, Running  # noqa: PLC0415

    async with get_client() as client:
        older, ours, newer, ended = [str((await client.create_flow_run(rollback, state=Running())).id) for _ in range(4)]
        await client.set_flow_run_state(UUID(ended), Completed(), force=True)
    found = {name: await _is_newer_run(name, than=ours) for name in (older, ours, newer, ended, "x", str(UUID(int=1)))}
    assert [name for name, is_newer in found.items() if is_newer] == [newer]


@pytest.mark.slow
async def test_a_rollback_ends_with_forgeries_without_end(stage: HostileStage) -> None:
    """What others do again and again is in the message."""
    world = stage.world("production")
    world.position.update(baseline="2.0", previous="1.0", ready={"2.0": True})
    world.forgeries, world.forged_owner = [Tampered("others changed the annotations")] * 20, "x"
    state: Any = await rollback(plan=stage.hostile_plan(), reason=outside("it is bad"), return_state=True)
    assert state.name != "RolledBack"
    assert "others changed the annotations" in state.message
    world.forgeries = []
