"""A rehearsal of the rollback on the real server: in staging alone, by production's steps, and staging is as it was whatever happens."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tasks.lifecycle.clock import now
from tasks.rules.evidence.rehearsal import Method
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well, spots
from tests.flows.processes import Traffic
from tests.rules.evidence.test_rehearsal import rehearsal

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]
NEXT = "1.1"
_versions = count(1)


async def rehearse(stage: Stage, *, kill_at: int | str = 0, **parameters: Any) -> Ran:
    """Rehearse to the end."""
    given = {"plan": stage.plan(), "version": NEXT, **parameters}
    run = await stage.ask("rehearse", requester="rita", **given)
    return await stage.carry_through(run, "rehearse", kill_at=kill_at)


def kept(stage: Stage) -> list[Any]:
    """Read what is kept of the service's rehearsals."""
    from tasks.evidence.rehearsals import read_rehearsals  # noqa: PLC0415

    return read_rehearsals(stage.name)


@contextlib.contextmanager
def spoiled(version: str) -> Iterator[None]:
    """Let a version answer its page with errors."""
    file = Path(tempfile.gettempdir(), version)
    file.touch()
    try:
        yield
    finally:
        file.unlink()


def forget(stage: Stage) -> None:
    """Forget what earlier tests kept."""
    from blocks.key_folder.kept_files import remove_kept  # noqa: PLC0415
    from tasks.evidence.rehearsals import FOLDER  # noqa: PLC0415

    remove_kept(FOLDER, stage.name)


async def test_a_rehearsal_rolls_staging_back_and_keeps_what_it_showed(stage: Stage) -> None:
    """Production is never touched; the record says what was done, the page too, and the evidence lies beside the key."""
    from prefect.artifacts import Artifact  # noqa: PLC0415

    forget(stage)
    before = {name: stage.state_of(name)["next_id"] for name in stage.environments}
    ran = await rehearse(stage)
    assert ran.state == "Rehearsed", ran.message
    await check_closed(stage, ran, outcome="rehearsed")
    await check_well(stage, version=FIRST)
    assert stage.started("production") == before["production"], "production was changed"
    assert stage.started("staging") == before["staging"] + 1
    assert spots(ran) == ["staging prepare", "staging 50 % shift", "staging 100 % shift", "staging 100 % stop"]
    (found,) = kept(stage)
    assert (found.outcome, found.version, found.baseline, found.step) == ("passed", NEXT, FIRST, 100)
    assert (found.staging, found.method.kind, found.method.shares) == (f"local/{stage.name}-staging", "local", (50, 100))
    assert found.seconds > 0
    page = await Artifact.aget(key=f"rehearsal-{stage.name}")
    assert page is not None
    assert "The rollback works" in str(page.data)


async def test_a_rehearsal_leaves_the_version_free_to_be_rolled_back_to_and_counts_as_no_release(stage: Stage) -> None:
    """A version that was made to fail is not a bad one; metrics and history do not know the run."""
    from tasks.record.facts import kept_facts_of_all  # noqa: PLC0415
    from tasks.record.left import is_any_left  # noqa: PLC0415

    ran = await rehearse(stage, fail_at=50)
    assert ran.state == "Rehearsed", ran.message
    assert spots(ran)[-1] == "staging 50 % stop"
    assert not await is_any_left()
    assert ran.id not in kept_facts_of_all()


@pytest.mark.slow
async def test_a_rollback_that_does_not_work_is_evidence_that_says_no(stage: Stage) -> None:
    """What served before serves again and is not well: the rehearsal fails, and the release is refused with what is to be done."""
    forget(stage)
    ill = f"2.0-spoils.{stage.name.rpartition('-')[2]}"
    await stage.reset(stage.tag(ill))
    smoke = [{"name": "page", "steps": [{"path": "/"}], "kind": "basic"}]
    verification = {**stage_plan(stage)["verification"], "smoke": smoke}
    with spoiled(ill):
        ran = await rehearse(stage, plan=stage.plan(verification=verification))
    assert ran.state == "Failed", ran.message
    assert "ROLLBACK FAILED" in ran.message
    await check_closed(stage, ran, outcome="failed")
    (found,) = kept(stage)
    assert found.outcome == "failed"


@pytest.mark.slow
async def test_a_rehearsal_that_works_and_cannot_be_kept_says_so_and_counts_for_nothing(stage: Stage) -> None:
    """The message has the true reason, with what is to be done: people look at the key folder, and not at the rollback."""
    from blocks.key_folder.kept_files import kept_path  # noqa: PLC0415
    from tasks.evidence.rehearsals import FOLDER  # noqa: PLC0415

    forget(stage)
    path = kept_path(FOLDER, stage.name)
    path.mkdir(parents=True)
    try:
        ran = await rehearse(stage)
    finally:
        path.rmdir()
    assert ran.state == "Failed", ran.message
    assert f"could not be kept, so it does not count: {path}" in ran.message
    assert "rehearse again" in ran.message
    assert "Nothing was shown" not in ran.message
    assert "ROLLBACK FAILED" not in ran.message
    await check_closed(stage, ran, outcome="failed")
    await check_well(stage, version=FIRST)
    assert ran.entries[-1].evidence.get("rehearsal") is None
    assert kept(stage) == []


def stage_plan(stage: Stage) -> dict[str, Any]:
    """Give the plan of the stage as data."""
    from tests.flows.harness import plan_of  # noqa: PLC0415

    return plan_of(stage.name)


async def released(stage: Stage, *, within: float) -> Ran:
    """Release a new version by a plan that asks for a rehearsal."""
    plan = stage.plan(checklist={"tests_passed": False, "rehearsed_within_days": within})
    version = stage.tag(f"3.{next(_versions)}")
    return await stage.release_through(version, plan=plan)


def evidence(stage: Stage, **changes: Any) -> Any:
    """Give what a rehearsal of the stage's own method shows that has just worked."""
    method = Method(kind="local", shares=(50, 100))
    return rehearsal(**{"service": stage.name, "staging": f"local/{stage.name}-staging", "method": method, "at": now(), **changes})


@pytest.mark.slow
async def test_a_release_that_asks_for_a_rehearsal_passes_with_a_young_one(stage: Stage, visitors: Traffic) -> None:
    """The line says which one it was."""
    from tasks.evidence.rehearsals import keep_rehearsal  # noqa: PLC0415

    forget(stage)
    keep_rehearsal(evidence(stage))
    passed = await released(stage, within=1)
    assert passed.state == "Deployed", passed.message
    assert {status for _, status in visitors.answers} == {200}
    lines = [one for entry in passed.entries if entry.kind == "checklist" for one in entry.evidence["items"]]
    assert any("was rehearsed" in one["reason"] for one in lines if one["name"] == "rollback_ready")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (None, "was never rehearsed"),
        ({"at": now() - timedelta(days=2)}, "2 days old"),
        ({"method": Method(kind="local", shares=(10, 100))}, "was of another method"),
        ({"outcome": "failed", "reason": "1.0 is ill"}, "did not work in the rehearsal"),
    ],
)
async def test_a_release_is_refused_before_anything_moves_by_what_rehearsals_do_not_show(
    stage: Stage, changes: dict[str, Any] | None, words: str
) -> None:
    """None, one that is too old or of another method, one that says no: the words name the command."""
    from tasks.evidence.rehearsals import keep_rehearsal  # noqa: PLC0415

    forget(stage)
    if changes is not None:
        keep_rehearsal(evidence(stage, **changes))
    refused = await released(stage, within=1)
    assert refused.state == "Refused", refused.message
    assert words in refused.message
    assert "shipway rehearse PLAN" in refused.message
    assert spots(refused) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "kill_at", ["LocalPlatform.prepare", "entry effect staging 50 % shift", "entry verdict staging 100 %", "LocalPlatform.abort"]
)
async def test_a_rehearsal_that_is_killed_comes_to_its_end_with_staging_as_it_was(stage: Stage, kill_at: str) -> None:
    """The keeper starts it again, and it goes on to its rollback."""
    ran = await rehearse(stage, kill_at=kill_at)
    await check_well(stage, version=FIRST)
    assert ran.state == "Rehearsed", ran.message
    await check_closed(stage, ran, outcome="rehearsed")


@pytest.mark.slow
async def test_a_rehearsal_that_cannot_go_on_is_settled_back_to_what_served_before(stage: Stage) -> None:
    """Killed with the version at half of the traffic and settled as cancelled: nothing is shown, and staging is as it was."""
    forget(stage)
    run = await stage.ask("rehearse", requester="rita", plan=stage.plan(), version=NEXT)
    await stage.runner.run(run, "rehearse", kill_at="entry effect staging 50 % shift")
    assert (await stage.platform("staging").current())["canary"] == NEXT
    await stage.settle(run, reason="a test", cancelled=True)
    ran = await stage.seen(run)
    await check_well(stage, version=FIRST)
    await check_closed(stage, ran, outcome="cancelled")
    assert kept(stage) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"version": FIRST}, "is what serves in staging"),
        ({"fail_at": 30}, "has no step of 30 %"),
        ({"environment": "staging"}, "is not production"),
    ],
)
async def test_what_cannot_be_rehearsed_is_refused_before_anything_moves(stage: Stage, parameters: dict[str, Any], words: str) -> None:
    """The words say what to name instead."""
    before = stage.started("staging")
    ran = await rehearse(stage, **parameters)
    assert ran.state == "Refused", ran.message
    assert words in ran.message
    assert stage.started("staging") == before


@pytest.mark.slow
async def test_a_rehearsal_is_refused_while_another_run_holds_staging(stage: Stage) -> None:
    """It takes nothing over."""
    platform = stage.platform("staging")
    lease = await platform.acquire_lease("another")
    try:
        ran = await rehearse(stage)
    finally:
        await platform.release_lease(lease)
    assert ran.state == "Refused", ran.message
    assert "staging is busy: the run another holds it" in ran.message
