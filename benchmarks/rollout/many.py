"""Many Deployments released at once by one worker, against one alone: as targets of one wave, or each by a release of its own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.exposure.stage import Stage, raised, write_plan
from tests.cluster.cluster_world import World, deployment, service

STEPS = [{"percent": 100, "watch_seconds": 0}]
PRODUCTION = {"strategy": "rolling", "steps": STEPS}
JUDGEMENT = {"slis": [{"name": "errors", "indicator": "errors"}]}
MEGABYTE = 1_000_000
EVERY_SECONDS = 2.0
PARTS = {
    "server": ("prefect.server", "uvicorn"),
    "runs": ("flows.engine",),
    "worker": ("flows.worker", "blocks.server.supervisor"),
}


async def compare_wave(*, targets: int) -> None:
    """Release to one target, and then to all side by side in one release; at most 4 times one and 1,500 MB are asked for."""
    async with raised(replicas=1, production=PRODUCTION, judgement=JUDGEMENT) as stage:
        names = [f"wave-{number}" for number in range(targets)]
        await asyncio.gather(*(_target(stage.production, name) for name in names))
        await asyncio.gather(*(stage.production.rolled_out(name) for name in names))
        one, all_of_them = (_wave_plan(stage, chosen) for chosen in (names[:1], names))
        await _release([one], "6.9.1")  # the first one warms up
        alone, _ = await _release([one], "6.9.2")
        print(f"one release with {targets} targets in a wave")
        together, memory = await _release([all_of_them], "6.9.0", say=True)
    print(f"   one target {alone:.1f} s, {targets} side by side {together:.1f} s: ratio {together / alone:.1f} (4 is asked for);", end=" ")
    print(f"{memory:,.0f} MB at most in the worker's processes (1,500 are asked for)")


async def compare_many(*, services: int) -> None:
    """Release one service, then as many at once, each by a release of its own."""
    async with raised(replicas=1, production=PRODUCTION, judgement=JUDGEMENT) as stage:
        plans = [await _service(stage, f"many-{number}") for number in range(services)]
        await asyncio.gather(
            *(world.rolled_out(f"many-{number}") for world in (stage.staging, stage.production) for number in range(services))
        )
        await _release(plans[:1], "6.9.1")  # the first one warms up
        one, _ = await _release(plans[:1], "6.9.0")
        print(f"{services} releases at once")
        all_of_them, memory = await _release(plans, "6.9.1", say=True)
        rollouts = await _rollouts(stage, [f"many-{number}" for number in range(services)], "6.9.0")
    print(f"   one {one:.1f} s, {services} at once {all_of_them:.1f} s: ratio {all_of_them / one:.1f} (4 is asked for);", end=" ")
    print(f"the cluster's own rollouts, asked for all at once, {rollouts:.1f} s;", end=" ")
    print(f"{memory:,.0f} MB at most in the worker's processes (1,500 are asked for)")


async def _target(world: World, name: str) -> None:
    from blocks.kubernetes.platform import KubernetesPlatform

    await world.apply(deployment(name, "6.9.0"), service(name))
    await KubernetesPlatform(namespace=world.namespace, workload=name, force_conflicts=True).save(f"{name}-production", overwrite=True)


def _wave_plan(stage: Stage, names: Sequence[str]) -> Path:
    targets = [{"name": name, "platform": f"kubernetes/{name}-production", "wave": 1} for name in names]
    section = {"targets": targets, **PRODUCTION}
    return write_plan(stage.plan.parents[1], production=section, judgement=JUDGEMENT, name=f"wave-of-{len(names)}")


async def _service(stage: Stage, name: str) -> Path:
    from blocks.kubernetes.platform import KubernetesPlatform

    for world, kind in ((stage.staging, "staging"), (stage.production, "production")):
        await world.apply(deployment(name, "6.9.0"), service(name))
        platform = KubernetesPlatform(namespace=world.namespace, workload=name, force_conflicts=True)
        await platform.save(f"{name}-{kind}", overwrite=True)
    return write_plan(stage.plan.parents[1], production=PRODUCTION, judgement=JUDGEMENT, name=name, service=name)


async def _rollouts(stage: Stage, names: Sequence[str], version: str) -> float:
    """Change the images alone, staging and then production of each, and wait for the cluster: what no release can be faster than."""
    begun = time.perf_counter()

    async def roll(name: str) -> None:
        for world in (stage.staging, stage.production):
            image = {"name": "podinfo", "image": f"ghcr.io/stefanprodan/podinfo:{version}"}
            found = await world.cluster.read("Deployment", name)
            assert found is not None
            container = found["spec"]["template"]["spec"]["containers"][0] | image
            await world.merge("Deployment", name, {"spec": {"template": {"spec": {"containers": [container]}}}})
            await world.rolled_out(name)

    await asyncio.gather(*(roll(name) for name in names))
    return time.perf_counter() - begun


async def _release(plans: Sequence[Path], version: str, *, say: bool = False) -> tuple[float, float]:
    """Ask for all at once, and wait for the last; gives seconds and megabytes."""
    from prefect import get_client

    begun, most, before = time.perf_counter(), 0.0, _computed()
    async with get_client() as client:
        known = await client.read_deployment_by_name("release/release")
        asked: list[Any] = [{"plan": str(plan), "version": version, "reason": "benchmark", "requester": "bench"} for plan in plans]
        runs = [await client.create_flow_run_from_deployment(known.id, parameters=one) for one in asked]
        waiting = {run.id for run in runs}
        measured = begun
        while waiting:
            await asyncio.sleep(0.2)
            if time.perf_counter() - measured > EVERY_SECONDS:  # to read shared pages' shares costs the kernel much
                most, measured = max(most, await asyncio.to_thread(_memory)), time.perf_counter()
            run = await client.read_flow_run(next(iter(waiting)))
            if run.state and run.state.is_final():
                assert run.state.name == "Deployed", (run.state.name, run.state.message)
                waiting.discard(run.id)
    seconds, after = time.perf_counter() - begun, _computed()
    if say:
        spent = ", ".join(f"{name} {after[name] - before[name]:.0f} s" for name in after)
        print(f"   computed in {seconds:.0f} s: {spent}", flush=True)
    return seconds, most


def _computed() -> Mapping[str, float]:
    """Add up the processor's time by part of the house, with what ended children computed; `all` is the whole machine's."""
    found = dict.fromkeys((*PARTS, "this"), 0.0)
    for process, part in _processes():
        with contextlib.suppress(psutil.Error):
            found[part] += sum(process.cpu_times()[:4])
    found["this"] = sum(psutil.Process().cpu_times()[:2])
    whole = psutil.cpu_times()
    return {**found, "all": sum(whole) - whole.idle - whole.iowait}


def _memory() -> float:
    """Add up what the worker's processes hold, shared pages by their share."""
    total = 0
    for process, part in _processes():
        if part != "server":
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
    return total / MEGABYTE


def _processes() -> Iterator[tuple[psutil.Process, str]]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = " ".join(process.cmdline())
            part = next((name for name, marks in PARTS.items() if any(mark in words for mark in marks)), None)
            if part:
                yield process, part
