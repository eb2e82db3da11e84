"""What a release costs beside its rollouts: `python -m benchmarks.rollout [--part release|wave|many] [--runs N] [--services N]`.

release: staging and production, rolling, without watch times, against a bare script of `kubectl set image`, `kubectl rollout status` and
`curl`, in turn on the same cluster; with the rollout that podinfo is published with, and with pods that are ready at once, beside which
everything else shows most; and the time from asking for a run to its first line. wave: so many Deployments released at once as the
targets of one wave, against one alone. many: so many services released at once by one worker, each by a release of its own. KUBECONFIG
names the cluster, KUBECTL the program where it is not on the path.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import time
from typing import Any

import httpx

from benchmarks.exposure.stage import Stage, raised
from benchmarks.rollout.many import compare_many, compare_wave
from tests.cluster.cluster_world import PORT

ROLLING = {"strategy": "rolling", "steps": [{"percent": 100, "watch_seconds": 0}]}
JUDGEMENT = {"slis": [{"name": "errors", "indicator": "errors"}]}
KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl") or "kubectl"


def as_published(spec: dict[str, Any]) -> None:
    """Set the times of a Deployment to those of podinfo's own manifest, https://github.com/stefanprodan/podinfo/blob/master/kustomize/deployment.yaml."""
    spec |= {"minReadySeconds": 3, "progressDeadlineSeconds": 60, "strategy": {"rollingUpdate": {"maxUnavailable": 0}}}
    container = spec["template"]["spec"]["containers"][0]
    ready = {"initialDelaySeconds": 5, "timeoutSeconds": 5}
    container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": PORT}, **ready}
    container["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": PORT}, **ready}


async def compare(*, runs: int, manifest: str) -> None:
    """Release and script in turn; at most 1.25 is asked for."""
    ours, bare, rollouts = [], [], []
    change = as_published if manifest == "published" else lambda _: None
    print(f"pods that are ready {'as published' if manifest == 'published' else 'at once'}")
    async with raised(replicas=4, production=ROLLING, judgement=JUDGEMENT, change=change) as stage:
        for number in range(runs + 1):  # the first one warms up
            begun = time.perf_counter()
            state = await stage.release("6.9.1")
            ours.append(time.perf_counter() - begun)
            assert state.name == "Deployed", state
            await script(stage, "6.9.0")
            bare.append(await script(stage, "6.9.1"))
            await script(stage, "6.9.0")
            rollouts.append(await _effects(stage))
            print(f"   run {number}: release {ours[-1]:.2f} s, script {bare[-1]:.2f} s, effects alone {rollouts[-1]:.2f} s", flush=True)
        whole, base, effects = (statistics.median(values[1:]) for values in (ours, bare, rollouts))
        print(
            f"   ratio {whole / base:.2f} (1.25 is asked for); of the release {effects:.2f} s are its effects, "
            f"{whole - effects:.2f} s the rest"
        )
        waits = [await _first_line(stage, number) for number in range(runs)]
        print(f"   from asking for a run to its first line: {statistics.median(waits):.2f} s (3 s are asked for)")


async def script(stage: Stage, version: str) -> float:
    """Do with kubectl and curl what a person would."""
    begun = time.perf_counter()
    for world in (stage.staging, stage.production):
        await _run(KUBECTL, "-n", world.namespace, "set", "image", "deployment/podinfo", f"podinfo=ghcr.io/stefanprodan/podinfo:{version}")
        await _run(KUBECTL, "-n", world.namespace, "rollout", "status", "deployment/podinfo", "--timeout=120s")
    await _run(
        "curl", "--silent", "--fail", "--retry", "5", "--retry-all-errors", f"{stage.url}/version"
    )  # its own rollout may cost an answer
    return time.perf_counter() - begun


async def _effects(stage: Stage) -> float:
    """Do the release's effects alone, through the platform, and take them back."""
    from tasks.rollout.platforms import load_platform

    spans = []
    for version in ("6.9.1", "6.9.0"):
        begun = time.perf_counter()
        for name in ("staging", "production"):
            platform = await load_platform(f"kubernetes/bench-{name}", field=name, strategy="rolling")
            lease = await platform.acquire_lease("bench", takeover=True)
            await platform.prepare(version, lease, timeout_seconds=120)
            await platform.shift(100, lease)
            await platform.promote(lease)
            await platform.release_lease(lease)
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{stage.url}/version")).is_success
        spans.append(time.perf_counter() - begun)
    return spans[0]


async def _first_line(stage: Stage, number: int) -> float:
    """Ask for a run of `verify` and wait until it has begun; the worker of the house takes it."""
    from prefect import get_client

    async with get_client() as client:
        known = await client.read_deployment_by_name("verify/verify")
        asked = time.time()
        parameters: Any = {"plan": str(stage.plan), "environment": "staging" if number % 2 else "production"}
        run = await client.create_flow_run_from_deployment(known.id, parameters=parameters)
        while (found := await client.read_flow_run(run.id)).start_time is None:  # noqa: ASYNC110 - the server tells by being asked
            await asyncio.sleep(0.05)
        assert found.start_time is not None
        return float(found.start_time.timestamp() - asked)


async def _run(*words: str) -> None:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["release", "wave", "many", "all"], default="all")
    parser.add_argument("--manifest", choices=["published", "at-once", "both"], default="both")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--targets", type=int, default=50)
    parser.add_argument("--services", type=int, default=25)
    arguments = parser.parse_args()
    if arguments.part in {"release", "all"}:
        for one in ("published", "at-once"):
            if arguments.manifest in {one, "both"}:
                asyncio.run(compare(runs=arguments.runs, manifest=one))
    if arguments.part in {"wave", "all"}:
        asyncio.run(compare_wave(targets=arguments.targets))
    if arguments.part in {"many", "all"}:
        asyncio.run(compare_many(services=arguments.services))
