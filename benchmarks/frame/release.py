"""A whole release against its bare effects, and what a waiting release holds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from benchmarks.frame import bare


async def compare(*, runs: int) -> None:
    """A release without watch times against the bare sequence of its effects; at most 3 is asked for."""
    async with _stage() as plan:
        from flows.release import release

        ours, effects, prefect = [], [], []
        for number in range(runs + 1):
            await _reset()
            begun = time.perf_counter()
            state = await release(str(plan), version="1.1.0", reason="benchmark", requester="bench", return_state=True)
            ours.append(time.perf_counter() - begun)
            assert state.name == "Deployed", state
            await _reset()
            begun = time.perf_counter()
            await bare.act(plan, "1.1.0")
            effects.append(time.perf_counter() - begun)
            prefect.append(await _skeleton())
            print(
                f"   run {number}: release {ours[-1]:.2f} s, bare {effects[-1]:.2f} s, empty flows and tasks {prefect[-1]:.2f} s",
                flush=True,
            )
        whole, base, frame = (statistics.median(values[1:]) for values in (ours, effects, prefect))
        print(
            f"   ratio {whole / base:.2f}; of the release {base:.2f} s are the effects, {frame:.2f} s Prefect's own runs, "
            f"{max(whole - base - frame, 0):.2f} s the record, the claims and the rest of ours"
        )


async def waiting(*, runs: int) -> None:  # noqa: ARG001
    """What a release that waits for people holds: no process is asked for."""
    import psutil

    async with _stage(approvals=True) as plan:
        from prefect import get_client

        async with get_client() as client:
            known = await client.read_deployment_by_name("release/release")
            before = _processes(psutil)
            wanted = {"plan": str(plan), "version": "1.1.0", "reason": "benchmark", "requester": "bench"}
            run = await client.create_flow_run_from_deployment(known.id, parameters=wanted)
            while not (found := await client.read_flow_run(run.id)).state.is_paused():
                assert not found.state.is_final(), found.state
                await asyncio.sleep(0.5)
            await asyncio.sleep(3)
            more = {pid: name for pid, name in _processes(psutil).items() if pid not in before and str(run.id) in name}
            print(f"   a suspended release holds {len(more)} processes {list(more.values())}")


def _processes(psutil: Any) -> dict[int, str]:
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            found[process.pid] = " ".join([*process.cmdline(), *process.environ().values()])
    return found


@contextlib.asynccontextmanager
async def _stage(*, approvals: bool = False) -> AsyncIterator[Path]:
    from blocks.server import lifecycle
    from flows.commands import _demo, up

    plan = await asyncio.to_thread(bare.prepare)
    await asyncio.to_thread(up.start_stack, bare.HOME, auth=False)
    try:
        await _demo.serve_first(bare.HOME, plan.parent)
        await _demo.save_blocks(bare.HOME, plan.parent)
        yield bare.REPOSITORY / "shipway.yaml" if approvals else plan
    finally:
        await asyncio.to_thread(_demo.stop, bare.HOME)
        await asyncio.to_thread(lifecycle.stop, bare.HOME, now=True)


async def _reset() -> None:
    from flows.commands import _demo

    await _demo.serve_first(bare.HOME, bare.REPOSITORY)


async def _skeleton() -> float:
    """Run as many empty child flows and tasks as a release has."""
    from prefect import flow, task

    from tasks.lifecycle.retries import OBSERVE

    @task(**OBSERVE)
    async def nothing() -> None: ...

    @flow(persist_result=True)
    async def phase(tasks: int) -> int:
        for _ in range(tasks):
            await nothing()
        return tasks

    @flow(persist_result=True)
    async def whole() -> None:
        for tasks in (7, 5, 7, 10, 6, 5):
            await phase(tasks)
        for _ in range(20):
            await nothing()

    begun = time.perf_counter()
    await whole()
    return time.perf_counter() - begun


if os.environ.get("PREFECT_API_URL"):
    del os.environ["PREFECT_API_URL"]
