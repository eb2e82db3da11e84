"""Many services released at once by one worker, against one of them alone: time and memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.exposure.stage import Stage, raised, write_plan
from tests.kubernetes.cluster_world import deployment, service

PRODUCTION = {"strategy": "rolling", "steps": [{"percent": 100, "watch_seconds": 0}]}
JUDGEMENT = {"slis": [{"name": "errors", "indicator": "errors"}]}
MEGABYTE = 1_000_000


async def compare_many(*, services: int) -> None:
    """Release one service, then all at once; at most 4 times one release and 1,500 MB are asked for."""
    async with raised(replicas=1, production=PRODUCTION, judgement=JUDGEMENT) as stage:
        plans = [await _service(stage, f"many-{number}") for number in range(services)]
        await asyncio.gather(
            *(world.rolled_out(f"many-{number}") for world in (stage.staging, stage.production) for number in range(services))
        )
        one, _ = await _release(plans[:1], "6.9.1")
        await _release(plans[:1], "6.9.0")
        all_of_them, memory = await _release(plans, "6.9.1")
    print(f"   one {one:.1f} s, {services} at once {all_of_them:.1f} s: ratio {all_of_them / one:.1f} (4 is asked for);", end=" ")
    print(f"{memory:,.0f} MB at most in the worker's processes (1,500 are asked for)")


async def _service(stage: Stage, name: str) -> Path:
    from blocks.kubernetes import KubernetesPlatform

    for world, kind in ((stage.staging, "staging"), (stage.production, "production")):
        await world.apply(deployment(name, "6.9.0"), service(name))
        platform = KubernetesPlatform(namespace=world.namespace, workload=name, force_conflicts=True)
        await platform.save(f"{name}-{kind}", overwrite=True)
    return write_plan(stage.plan.parents[1], production=PRODUCTION, judgement=JUDGEMENT, name=name, service=name)


async def _release(plans: list[Path], version: str) -> tuple[float, float]:
    """Ask for all at once, and wait for the last; gives seconds and megabytes."""
    from prefect import get_client

    begun, most = time.perf_counter(), 0.0
    async with get_client() as client:
        known = await client.read_deployment_by_name("release/release")
        asked: list[Any] = [{"plan": str(plan), "version": version, "reason": "benchmark", "requester": "bench"} for plan in plans]
        runs = [await client.create_flow_run_from_deployment(known.id, parameters=one) for one in asked]
        waiting = {run.id for run in runs}
        while waiting:
            await asyncio.sleep(0.5)
            most = max(most, await asyncio.to_thread(_memory))
            found = [await client.read_flow_run(run) for run in waiting]
            ended = [run for run in found if run.state and run.state.is_final()]
            assert all(run.state.name == "Deployed" for run in ended), [(run.state.name, run.state.message) for run in ended]
            waiting -= {run.id for run in ended}
    return time.perf_counter() - begun, most


def _memory() -> float:
    """Add up what the worker's processes hold, shared pages by their share."""
    total = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            if "blocks.house.engine" in words or "blocks.house.worker" in words:
                total += process.memory_full_info().pss
    return total / MEGABYTE
