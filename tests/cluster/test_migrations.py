"""A release with migrations on a real cluster: expanded before, contracted after, and back only for who says what was restored."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import State

from blocks.kubernetes.platform import KubernetesPlatform
from blocks.platform import Previewing, RunsJobs
from flows.commands._previews import ask_platforms
from flows.release import release
from flows.rollback import rollback
from tasks.evidence.inputs import read_plan
from tasks.record.storage import default_storage
from tasks.rules.record.entries import Entry, verify_chain
from tests.cluster.cluster_world import IMAGE, World
from tests.cluster.test_jobs import GOOD, job
from tests.flows.harness import plan_of
from tests.record_entries import load_entries

pytestmark = [pytest.mark.cluster, pytest.mark.server, pytest.mark.usefixtures("server"), pytest.mark.timeout(400)]
MIGRATIONS: list[dict[str, Any]] = [
    {"name": "add-place", "manifest": "job.yaml", "when": "before", "compatibility": "expand"},
    {"name": "drop-city", "manifest": "job.yaml", "when": "after", "compatibility": "contract", "environments": ["production"]},
]


def lay_out(folder: Path) -> None:
    """Make a repository with two versions."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    for version in ("6.9.0", "6.9.1"):
        (folder / "VERSION").write_text(version)
        for words in (["add", "VERSION"], ["commit", "-q", "-m", version], ["tag", version]):
            subprocess.run([*git, *words], cwd=folder, check=True)


@pytest.fixture
async def plan(world: World, tmp_path: Path) -> str:
    """Run podinfo twice, as staging and as production, and write a plan beside a repository with two versions."""
    name = world.namespace[-40:].strip("-")
    sections: dict[str, Any] = {}
    for environment in ("staging", "production"):
        await world.podinfo("6.9.0", name=environment)
        block = KubernetesPlatform(namespace=world.namespace, workload=environment, force_conflicts=True, drain_seconds=0)
        await block.save(f"{name}-{environment}", overwrite=True)  # type: ignore[misc]
        sections[environment] = {**plan_of(name)[environment], "platform": f"kubernetes/{name}-{environment}"}
    sections["production"]["steps"] = [{"percent": 100, "watch_seconds": 0}]
    checklist = {"tests_passed": False, "monitoring_on": False}
    content = {**plan_of(name), **sections, "checklist": checklist, "migrations": MIGRATIONS}
    content["change_log"] = {"tag": "{version}"}
    (tmp_path / "shipway.yaml").write_text(yaml.safe_dump(content))
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job(GOOD, image=f"{IMAGE}:{{version}}")))
    lay_out(tmp_path)
    return str(tmp_path / "shipway.yaml")


async def record_of(state: State[Any]) -> list[Entry]:
    """Read the record of a run by its final state."""
    entries = await load_entries(await default_storage(), str(state.state_details.flow_run_id))
    assert verify_chain(entries) == []
    return entries


async def image_of(world: World, name: str) -> str:
    """Read the image that a Deployment runs everywhere."""
    return str((await world.rolled_out(name))["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_platform_runs_jobs_and_previews() -> None:
    """It has what a plan with migrations and a check ask for."""
    assert isinstance(KubernetesPlatform(), RunsJobs)
    assert isinstance(KubernetesPlatform(), Previewing)


async def test_the_check_shows_what_would_change_and_what_the_cluster_would_refuse(world: World, plan: str) -> None:
    """The image's line for both environments; an owner who does not give the image up is a problem with its fix, not a surprise later."""
    checked = (await read_plan(plan)).parsed()
    problems, notes, previews = await asyncio.to_thread(ask_platforms, checked, version="6.9.1")
    assert problems == []
    assert all("not known" in note for note in notes)
    for name in ("staging", "production"):
        line = f"Deployment {name}: spec.template.spec.containers[podinfo].image: {IMAGE}:6.9.0 → {IMAGE}:6.9.1"
        assert line in previews[name]["changes"]
    block = KubernetesPlatform(namespace=world.namespace, workload="production", force_conflicts=False)
    await block.save(checked.production.platform.partition("/")[2], overwrite=True)  # type: ignore[misc]
    (problem,), _, _ = await asyncio.to_thread(ask_platforms, checked, version="6.9.1")
    assert problem.startswith("production.platform: the platform would refuse 6.9.1")
    assert "belong to kubectl. Remove them from that manager, or set force_conflicts" in problem


async def test_a_release_migrates_before_and_after_and_goes_back_only_by_name(world: World, plan: str) -> None:
    """Three Jobs, each once and of the version; a rollback across the contract is refused, and goes through where it is acknowledged."""
    state: Any = await release(plan=plan, version="6.9.1", reason="a test", requester="rita", return_state=True)
    assert state.name == "Deployed", state.message
    jobs = await world.cluster.list("Job")
    assert sorted(one["metadata"]["annotations"]["shipway.dev/migration"] for one in jobs) == ["add-place", "add-place", "drop-city"]
    assert {one["spec"]["template"]["spec"]["containers"][0]["image"] for one in jobs} == {f"{IMAGE}:6.9.1"}
    assert all(one["status"]["succeeded"] == 1 for one in jobs)
    assert await image_of(world, "production") == f"{IMAGE}:6.9.1"
    entries = {entry.label: entry for entry in await record_of(state)}
    assert "6.9.1" in " ".join(entries["migration production drop-city applied"].evidence["log"])
    changes = entries["review"].evidence["previews"]["production"]["changes"]
    assert f"Deployment production: spec.template.spec.containers[podinfo].image: {IMAGE}:6.9.0 → {IMAGE}:6.9.1" in changes

    refused: Any = await rollback(plan=plan, reason="orders are lost", return_state=True)
    assert refused.name == "Refused", refused.message
    assert "--restored drop-city" in refused.message
    assert await image_of(world, "production") == f"{IMAGE}:6.9.1"
    back: Any = await rollback(plan=plan, reason="orders are lost", restored=["drop-city"], return_state=True)
    assert back.name == "RolledBack", back.message
    assert await image_of(world, "production") == f"{IMAGE}:6.9.0"
    assert len(await world.cluster.list("Job")) == 3, "going back runs no migration"
