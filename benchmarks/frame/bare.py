"""The stage of the release benchmark, and the same effects as a bare script."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(tempfile.mkdtemp(prefix="shipway-bench-"))
HOME = FOLDER / "home"
REPOSITORY = FOLDER / "repository"
EXAMPLE = Path(__file__).parents[2] / "examples" / "guestbook"


def prepare() -> Path:
    """Make the example's repository with a plan that asks nobody and watches nothing; give the plan's path."""
    subprocess.run([sys.executable, str(EXAMPLE / "prepare.py"), str(REPOSITORY)], check=True, stdout=subprocess.DEVNULL)
    plan = yaml.safe_load((REPOSITORY / "shipway.yaml").read_text())
    plan["approval"] = {"quorum": 0}
    plan.pop("data", None)  # a suite costs seconds in a process of its own, on both sides alike
    for step in plan["production"]["steps"]:
        step["watch_seconds"] = 0
    path = REPOSITORY / "bench.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path


async def act(plan_path: Path, version: str) -> None:
    """Do what a release does to the world, in its order, with nothing around it."""
    from tasks.evidence.change_log import read_change_log
    from tasks.evidence.review import read_plan_file
    from tasks.evidence.tests import read_test_evidence
    from tasks.rollout.platforms import load_platform
    from tasks.rules.plan.plan import Plan

    taken = await read_plan_file.fn(str(plan_path))
    plan = Plan.model_validate(taken["plan"])
    staging = await load_platform(plan.staging.platform, field="staging.platform")
    production = await load_platform(plan.production.platform, field="production.platform")
    running = (await production.current())["baseline"]
    await read_change_log.fn(taken["folder"], plan.change_log, from_version=running, to_version=version)
    for spec in plan.tests:
        assert (await read_test_evidence.fn(spec, repository=taken["folder"])).outcome == "passed"
    lease = await staging.acquire_lease("bare")
    await _bring(staging, version, lease, [100])
    await staging.promote(lease)
    await _verify(staging, plan, version, taken["folder"])
    await staging.release_lease(lease)
    lease = await production.acquire_lease("bare")
    await _bring(production, version, lease, [step.percent for step in plan.production.steps])
    await _verify(production, plan, version, taken["folder"])
    await production.promote(lease)
    await _probe((await production.endpoints())["public"], plan, version)
    await production.logs(0, lambda _: None)
    await production.release_lease(lease)


async def _bring(platform: Any, version: str, lease: Any, shares: list[int]) -> None:
    await platform.prepare(version, lease, timeout_seconds=30)
    for share in shares:
        await platform.shift(share, lease)


async def _verify(platform: Any, plan: Any, version: str, folder: str) -> None:
    import asyncio

    from tasks.rules.plan.credentials import receiver_in
    from tasks.verification.smoke import run_smoke_test

    receiver = receiver_in(plan, "production")  # no check of the example names a credential
    endpoints = await platform.endpoints()
    target = endpoints.get("canary") or endpoints["baseline"]
    tests = (run_smoke_test.fn(test, folder=folder, target=target, version=version, receiver=receiver) for test in plan.verification.smoke)
    _, *found = await asyncio.gather(_probe(target, plan, version), *tests)
    assert all(one["outcome"] == "passed" for one in found), found


async def _probe(target: str, plan: Any, version: str) -> None:
    from tasks.rules.plan.credentials import receiver_in
    from tasks.verification.health import probe_health

    receiver = receiver_in(plan, "production")
    found = await probe_health.fn(target, verification=plan.verification, version=version, receiver=receiver)
    assert found["outcome"] == "passed", found


def cleanup() -> None:
    """Forget the stage."""
    shutil.rmtree(FOLDER, ignore_errors=True)
