"""Migrations in a release: run in their order and once, told in the record, and crossed by no rollback that was not asked for by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect import State

from flows.release import release
from flows.rollback import rollback
from tasks.record.storage import default_storage
from tasks.rules.record.entries import Entry, outcome_of, verify_chain
from tests.flows.harness import FIRST, plan_of, spot_of
from tests.flows.jobs_platform import JobsStage
from tests.flows.processes import traffic
from tests.record_entries import load_entries

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
EXPAND = {"name": "add-place", "manifest": "jobs/job.yaml", "when": "before", "compatibility": "expand", "timeout_seconds": 30}
CONTRACT = {"name": "drop-city", "manifest": "jobs/job.yaml", "when": "after", "compatibility": "contract"}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "migrate", "image": "shop:{version}"}]}}},
}


@pytest.fixture(scope="module")
def theatre(server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobsStage]:  # noqa: ARG001 - it must run
    """Raise two environments that run Jobs."""
    stage = JobsStage("migrations", tmp_path_factory.mktemp("migrations"), runner=None)  # type: ignore[arg-type]
    asyncio.run(stage.raise_up())
    (stage.repository / "jobs").mkdir()
    (stage.repository / "jobs" / "job.yaml").write_text(yaml.safe_dump(JOB))
    yield stage
    asyncio.run(stage.end())


@pytest.fixture
async def stage(theatre: JobsStage) -> JobsStage:
    """Give both environments with the first version, owned by no one, and no Job so far."""
    for environment in ("staging", "production"):
        await theatre.set_up(environment)
    await theatre.reset()
    return theatre


def plan_with(stage: JobsStage, *migrations: dict[str, Any], watched: bool = False, service: str = "") -> str:
    """Write a plan of a service of its own, which no record speaks of, in one step that no one watches unless that is asked for."""
    plan = plan_of(stage.name)
    sections = {name: {**plan[name], "platform": f"local-with-jobs/{stage.name}-{name}"} for name in ("staging", "production")}
    if not watched:
        sections["production"]["steps"] = [{"percent": 100, "watch_seconds": 0}]
    return stage.plan(service=service or f"{stage.name}-{uuid4().hex[:8]}", migrations=list(migrations), **sections)


async def released(stage: JobsStage, version: str, plan: str) -> tuple[State[Any], list[Entry]]:
    """Release a version in this process, and read its record."""
    stage.tag(version)
    state: Any = await release(plan=plan, version=version, reason="a test", requester="rita", return_state=True)
    return state, await record_of(state)


async def record_of(state: State[Any]) -> list[Entry]:
    """Read the record of a run by its final state."""
    entries = await load_entries(await default_storage(), str(state.state_details.flow_run_id))
    assert verify_chain(entries) == []
    return entries


async def serves(stage: JobsStage, environment: str) -> str | None:
    """Say what serves, with nothing half done beside it."""
    position = await stage.platform(environment).current()
    assert (position["canary"], position["owner"]) == (None, None), position
    found: str | None = position["baseline"]
    return found


def migrations_in(entries: list[Entry]) -> list[str]:
    """List what is recorded of migrations, in order."""
    return [spot_of(entry) for entry in entries if entry.kind == "migration"]


@pytest.mark.faults
async def test_migrations_run_before_and_after_and_no_rollback_crosses_a_contract_unasked(stage: JobsStage) -> None:
    """Each once, with its version, at its moment; then back only for who names what was restored by hand."""
    plan = plan_with(stage, EXPAND, {**CONTRACT, "environments": ["production"]})
    state, entries = await released(stage, "1.1", plan)
    assert state.name == "Deployed", state.message
    production = [(one["name"], one["image"], one["baseline"], one["canary"]) for one in stage.jobs("production")]
    assert production == [("add-place", "shop:1.1", FIRST, None), ("drop-city", "shop:1.1", "1.1", None)]
    assert [(one["name"], one["timeout"]) for one in stage.jobs("staging")] == [("add-place", 30)]
    steps = ["staging add-place", "production add-place", "production drop-city"]
    assert migrations_in(entries) == [f"{step} {moment}" for step in steps for moment in ("begun", "applied")]
    applied = next(entry for entry in entries if spot_of(entry) == "production drop-city applied")
    assert applied.evidence["log"] == ["drop-city is done"]

    refused: Any = await rollback(plan=plan, reason="orders are lost", return_state=True)
    assert refused.name == "Refused", refused.message
    for part in ("drop-city", "applied by 1.1", "Fix forward", "--restored drop-city"):
        assert part in refused.message
    assert await serves(stage, "production") == "1.1"

    back: Any = await rollback(plan=plan, reason="orders are lost", requester="rita", restored=["drop-city"], return_state=True)
    assert back.name == "RolledBack", back.message
    assert await serves(stage, "production") == FIRST
    entries = await record_of(back)
    told = next(entry for entry in entries if spot_of(entry) == "production restored")
    assert (entries[0].who, told.who) == ("rita", "rita")
    assert told.evidence["restored"][0]["name"] == "drop-city"


@pytest.mark.faults
async def test_a_migration_that_fails_ends_the_release_before_anything_else_moves(stage: JobsStage) -> None:
    """Production is as it was, staging goes back, and the Job's last lines are in the record."""
    await stage.set_up("production", failing=["add-place"])
    state, entries = await released(stage, "1.2", plan_with(stage, EXPAND))
    assert outcome_of(entries) == "rolled_back", state.message
    failed = next(entry for entry in entries if spot_of(entry) == "production add-place failed")
    assert failed.evidence["log"] == ["table entries: no such column"]
    assert [await serves(stage, name) for name in ("staging", "production")] == [FIRST, FIRST]


@pytest.mark.faults
async def test_a_contract_that_fails_keeps_the_version_that_works_with_it(stage: JobsStage) -> None:
    """Half of it may be done: the new version stays, the release ends failed, and says both ways out."""
    await stage.set_up("production", failing=["drop-city"])
    state, entries = await released(stage, "1.3", plan_with(stage, {**CONTRACT, "environments": ["production"]}))
    assert outcome_of(entries) == "failed"
    assert "--restored drop-city" in str(state.message)
    assert await serves(stage, "production") == "1.3"


@pytest.mark.faults
async def test_staging_stays_on_a_version_that_works_with_its_contract_while_production_goes_back(stage: JobsStage) -> None:
    """Production never had the contract, so it goes back as ever; staging waits for the next version."""
    plan = plan_with(stage, CONTRACT, watched=True)
    with traffic(stage.public):
        state, entries = await released(stage, "1.4-errors", plan)
    assert outcome_of(entries) == "rolled_back", state.message
    assert await serves(stage, "production") == FIRST
    assert await serves(stage, "staging") == "1.4-errors"
    assert "staging stays on 1.4-errors" in next(entry.what for entry in entries if spot_of(entry) == "staging stays")
    assert stage.jobs("production") == []


@pytest.mark.faults
async def test_a_job_that_never_ran_stands_in_no_ones_way(stage: JobsStage) -> None:
    """Refused by the platform after promotion: the release goes back as ever, and later rollbacks are free."""
    await stage.set_up("production", refusing=["drop-city"])
    plan = plan_with(stage, {**CONTRACT, "environments": ["production"]})
    _, entries = await released(stage, "1.5", plan)
    assert migrations_in(entries)[-1] == "production drop-city not run"
    assert await serves(stage, "production") == FIRST


@pytest.mark.faults
async def test_nothing_moves_where_the_platform_cannot_run_jobs_or_the_manifest_is_not_a_job(stage: JobsStage) -> None:
    """Both are said before staging is touched."""
    sections = {name: {**plan_of(stage.name)[name], "platform": f"local/{stage.name}-plain-{name}"} for name in ("staging", "production")}
    for name in sections:
        plain: Any = super(JobsStage, stage).platform(name)
        await plain.save(f"{stage.name}-plain-{name}", overwrite=True)
    state, _ = await released(stage, "1.6", stage.plan(migrations=[EXPAND], **sections))
    assert state.name == "Refused"
    assert "cannot run Jobs, and the plan names add-place" in str(state.message)
    (stage.repository / "jobs" / "none.yaml").write_text("kind: Deployment")
    state, _ = await released(stage, "1.7", plan_with(stage, {**EXPAND, "manifest": "jobs/none.yaml"}))
    assert state.name == "Refused"
    assert "it is not a Job" in str(state.message)
    assert [await serves(stage, name) for name in ("staging", "production")] == [FIRST, FIRST]


@pytest.mark.faults
async def test_what_the_platform_would_change_is_in_the_record_and_what_it_would_refuse_ends_the_release(stage: JobsStage) -> None:
    """The preview is evidence; a conflict of owners is said before staging is touched, not after the approval."""
    service = f"{stage.name}-{uuid4().hex[:8]}"
    _, entries = await released(stage, "1.8", plan_with(stage, service=service))
    review = next(entry for entry in entries if entry.kind == "review")
    assert review.evidence["previews"]["production"]["changes"] == ["process: version: 1.0 → 1.8"]
    assert review.evidence["previews"]["production"]["drift"] == ["process: replicas: 1 → 2 (by someone)"]
    await stage.set_up("production", conflict="spec.image belongs to argocd. Let it give it up")
    state, _ = await released(stage, "1.9", plan_with(stage, service=service))
    assert state.name == "Refused"
    assert "production would refuse it: spec.image belongs to argocd" in str(state.message)
    assert await serves(stage, "staging") == "1.8"
