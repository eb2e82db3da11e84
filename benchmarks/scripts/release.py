"""A release by scripts of this machine against the bare script: staging and production, whose script takes its time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import yaml

from tests.script_environments import end_service, lay_out, quotes

FIRST = "1.0"
PLACES = ("staging", "production")
SLOW = """#!/bin/sh
[ "$1" != deploy ] || sleep {seconds}
exec ./quotes.sh "$@"
"""
SCRIPTS = {
    "deploy": ["./slow.sh", "deploy", "{version}"],
    "status": ["./quotes.sh", "status"],
    "verify": ["./quotes.sh", "verify", "{version}"],
    "rollback": ["./slow.sh", "deploy", "{previous}"],
}


class Stage(NamedTuple):
    """Environments of a release, the same for the bare script, each with its port, and the plan."""

    ours: dict[Path, int]
    bare: dict[Path, int]
    plan: Path


async def compare(*, seconds: float, runs: int) -> None:
    """Release and bare script in turn; at most 1.25 is asked for beyond 10 s of script time."""
    versions = [f"1.{number + 1}" for number in range(runs + 1)]  # the first one warms up
    whole, script = [], []
    async with _raised(versions, seconds=seconds) as stage:
        from flows.release import release

        for number, version in enumerate(versions):
            begun = time.perf_counter()
            state: Any = await release(str(stage.plan), version=version, reason="benchmark", requester="bench", return_state=True)  # type: ignore[call-overload]
            whole.append(time.perf_counter() - begun)
            assert state.name == "Deployed", state
            begun = time.perf_counter()
            for folder, port in stage.bare.items():
                await _deployed(folder, port, version, by="./slow.sh")
            script.append(time.perf_counter() - begun)
            load = os.getloadavg()[0]
            print(f"   run {number}: release {whole[-1]:.1f} s, script {script[-1]:.1f} s, load {load:.1f}", flush=True)
    ratio = statistics.median(whole[1:]) / statistics.median(script[1:])
    print(f"   {len(PLACES) * seconds:g} s of script in {len(PLACES)} environments: ratio {ratio:.2f} (1.25 is asked for)")


async def _deployed(folder: Path, port: int, version: str, *, by: str) -> None:
    """Deploy as a person does, and look at it."""
    variables = {"QUOTES_PORT": str(port), "QUOTES_STATE": str(folder / "running")}
    process = await asyncio.create_subprocess_exec(
        by, "deploy", version, cwd=folder, env={**os.environ, **variables}, start_new_session=True, stdout=subprocess.DEVNULL
    )
    assert await process.wait() == 0
    async with httpx.AsyncClient(trust_env=False) as client:
        assert version in (await client.get(f"http://127.0.0.1:{port}/version")).text


@contextlib.asynccontextmanager
async def _raised(versions: list[str], *, seconds: float) -> AsyncIterator[Stage]:
    """Start the server stack, and the first version in each environment; end both."""
    from blocks.server import lifecycle
    from flows.commands import up

    folder = Path(tempfile.mkdtemp(prefix="shipway-bench-"))
    stage = Stage({}, {}, folder / "repository" / "plan.yaml")
    await asyncio.to_thread(up.start_stack, folder / "home", auth=False)
    try:
        for kind, environments in (("ours", stage.ours), ("bare", stage.bare)):
            for name in PLACES:
                place = folder / kind / name
                environments[place] = lay_out(place, FIRST, *versions)
                (place / "slow.sh").write_text(SLOW.format(seconds=seconds))
                (place / "slow.sh").chmod(0o755)
                await _deployed(place, environments[place], FIRST, by="./quotes.sh")
        for place, port in stage.ours.items():
            platform = quotes(place, port, service="bench", scripts=SCRIPTS, timeout_seconds=10 * seconds + 30)
            await platform.save(f"bench-{place.name}", overwrite=True)
        _write_plan(stage.plan, [FIRST, *versions])
        yield stage
    finally:
        for place in (*stage.ours, *stage.bare):
            end_service(place)
        await asyncio.to_thread(lifecycle.stop, folder / "home", now=True)
        shutil.rmtree(folder, ignore_errors=True)


def _write_plan(path: Path, versions: list[str]) -> None:
    """Make a repository with a tag a version, and a plan in it that asks nobody and watches nothing."""
    path.parent.mkdir()
    sli = {"name": "errors", "source": "probe", "path": "/", "indicator": "errors"}
    plan = {
        "shipway": 1,
        "service": "bench",
        "change_log": {"allow_empty": True},
        "verification": {
            "health": [{"path": "/version", "expect": {"contains": "{version}"}}],
            "stability": {"successes": 1, "interval_seconds": 0.2, "timeout_seconds": 10},
            "max_error_ratio": 1,
        },
        "judgement": {"slis": [sli]},
        "samples": {"judged": False},
        "logs": {"incomplete": "warn"},
        "staging": {"platform": "script/bench-staging"},
        "production": {"platform": "script/bench-production", "steps": [{"percent": 100, "watch_seconds": 0}]},
        "approval": {"quorum": 0},
        "rollback": {"to": "previous", "watch_seconds": 0},
        "checklist": {"tests_passed": False, "monitoring_on": False},
    }
    path.write_text(yaml.safe_dump(plan))
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"]
    commands = [["init", "--quiet"], ["add", "plan.yaml"]]
    for version in versions:
        commands += [["commit", "--quiet", "--allow-empty", "-m", f"Make {version}"], ["tag", f"v{version}"]]
    for words in commands:
        subprocess.run(["git", *identity, *words], cwd=path.parent, check=True, capture_output=True)
