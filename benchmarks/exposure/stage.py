"""A stage on a real cluster: podinfo in staging and production, the house beside it, and releases of it through the flows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.cluster_world import Gateway, World, answering, drop_namespace, http_route, make_namespace

PROMETHEUS_URL = os.environ.get("SHIPWAY_PROMETHEUS_URL", "http://127.0.0.1:9090")
NODE = os.environ.get("SHIPWAY_NODE", "127.0.0.1")
GATEWAY = Gateway(
    *os.environ.get("SHIPWAY_GATEWAY", "gateway/traefik").split("/"),
    os.environ.get("SHIPWAY_GATEWAY_URL", "http://127.0.0.1:8000"),
    os.environ.get("SHIPWAY_GATEWAY_METRICS_URL", "http://127.0.0.1:8001/metrics"),
)
VERSIONS = ("6.9.0", "6.9.1", "6.9.2")
FAULTS = "faults"


@dataclass
class Stage:
    """One service in two namespaces.

    Fields:
        staging: Its world.
        production: Its world.
        url: Production as a client outside reaches it.
        plan: Path of the plan.
    """

    staging: World
    production: World
    url: str
    plan: Path

    async def release(self, version: str, *, plan: Path | None = None) -> Any:
        """Release a version through the flow, in this process, and give its final state."""
        from flows.release import release

        found: Any = release(str(plan or self.plan), version=version, reason="benchmark", requester="bench", return_state=True)
        return await found

    async def break_next(self, *, broken: bool) -> None:
        """Let pods that start from now on answer a third of the requests with an error, or none."""
        for world in (self.staging, self.production):
            await world.apply(faults(broken=broken and world is self.production))


def faults(*, broken: bool) -> Any:
    """Write the configuration that podinfo's pods read when they start."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": FAULTS}, "data": {"random-error": str(broken).lower()}}


@contextlib.asynccontextmanager
async def raised(
    *,
    replicas: int,
    production: Mapping[str, Any],
    judgement: Mapping[str, Any],
    gateway: bool = True,
    change: Callable[[dict[str, Any]], None] = lambda _: None,
) -> AsyncIterator[Stage]:
    """Raise everything, and take it down at the end.

    Args:
        replicas: Pods in production; staging has one.
        production: The plan's section, but for the platform.
        judgement: The plan's section.
        gateway: Whether production is reached by a gateway and its route; else by the node's port of its Service.
        change: Changes the Deployment's `spec` before it is applied.
    """
    from blocks.kubernetes.api.auth import Access, connect
    from blocks.kubernetes.api.client import Cluster
    from blocks.server import lifecycle
    from flows.commands import up

    folder = Path(tempfile.mkdtemp(prefix="shipway-bench-"))
    cluster = connect(Access())
    worlds = [
        World(Cluster(cluster, name), name) for name in (f"bench-{kind}-{secrets.token_hex(3)}" for kind in ("staging", "production"))
    ]
    await asyncio.to_thread(up.start_stack, folder / "home", auth=False)
    try:
        await _populate(worlds, replicas, change)
        url = await (_routed(worlds[1]) if gateway else _on_the_node(worlds[1]))
        await _save_blocks(worlds, url, gateway=gateway)
        await _settled(folder / "home")
        yield Stage(*worlds, url, write_plan(folder, production=production, judgement=judgement))
    finally:
        for world in worlds:
            await drop_namespace(world.cluster)
        await asyncio.to_thread(lifecycle.stop, folder / "home", now=True)
        shutil.rmtree(folder, ignore_errors=True)


async def _settled(home: Path) -> None:
    """Wait for what a new house does once, in its second minute: it computes for seconds, and no later release meets it."""
    async with asyncio.timeout(120):
        while not (home / "run" / "block-types").exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.5)


async def _populate(worlds: list[World], replicas: int, change: Callable[[dict[str, Any]], None]) -> None:
    from tests.cluster.cluster_world import deployment, service

    for world, pods in zip(worlds, (1, replicas), strict=True):
        await make_namespace(world.cluster)
        manifest = deployment("podinfo", VERSIONS[0], replicas=pods)
        reference = {"configMapKeyRef": {"name": FAULTS, "key": "random-error"}}
        manifest["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "PODINFO_RANDOM_ERROR", "valueFrom": reference})
        change(manifest["spec"])
        await world.apply(faults(broken=False), manifest, service("podinfo"))
        await world.rolled_out()


async def _routed(world: World) -> str:
    path = f"/{world.namespace}"
    await world.apply(http_route(GATEWAY, "podinfo", path=path, backends={"podinfo": 1}))
    await answering(f"{GATEWAY.url}{path}")
    return f"{GATEWAY.url}{path}"


async def _on_the_node(world: World) -> str:
    from tests.cluster.cluster_world import service

    await world.apply(service("podinfo", type="NodePort"))
    found = await world.cluster.read("Service", "podinfo")
    assert found is not None
    url = f"http://{NODE}:{found['spec']['ports'][0]['nodePort']}"
    await answering(url)
    return url


async def _save_blocks(worlds: list[World], url: str, *, gateway: bool) -> None:
    from blocks.kubernetes.platform import KubernetesPlatform
    from blocks.prometheus.prometheus import Prometheus

    shared: Any = {"workload": "podinfo", "force_conflicts": True, "drain_seconds": 3}
    staging = KubernetesPlatform(namespace=worlds[0].namespace, **shared)
    await staging.save("bench-staging", overwrite=True)
    routed: Any = {"route": "podinfo", "gateway_metrics": GATEWAY.metrics_url, "bad_status": "[45].."} if gateway else {}
    production = KubernetesPlatform(namespace=worlds[1].namespace, url=url, **routed, **shared)
    await Prometheus(url=PROMETHEUS_URL).save("shipway", overwrite=True)
    await production.save("bench-production", overwrite=True)


def write_plan(
    folder: Path, *, production: Mapping[str, Any], judgement: Mapping[str, Any], name: str = "plan", service: str = "bench"
) -> Path:
    """Make a repository with a tag a version, and a plan in it that asks nobody."""
    repository = folder / "repository"
    if not repository.exists():
        repository.mkdir(parents=True)
        _git(repository, "init", "--quiet")
        for version in VERSIONS:
            (repository / "VERSION").write_text(f"{version}\n")
            _git(repository, "add", "VERSION")
            _git(repository, "commit", "--quiet", "-m", f"Make {version}")
            _git(repository, "tag", f"v{version}")
    plan = {
        "shipway": 1,
        "service": service,
        "change_log": {"allow_empty": True},
        "verification": {
            "health": [{"path": "/healthz"}, {"path": "/version", "expect": {"json": {"/version": "{version}"}}}],
            "stability": {"successes": 1, "interval_seconds": 0.2, "timeout_seconds": 10},
            "max_error_ratio": 1,
        },
        "judgement": judgement,
        "samples": {"judged": False},
        "staging": {"platform": f"kubernetes/{service}-staging", "strategy": "rolling"},
        "production": {**({} if "targets" in production else {"platform": f"kubernetes/{service}-production"}), **production},
        "approval": {"quorum": 0},
        "rollback": {"to": "previous", "watch_seconds": 0},
        "checklist": {"tests_passed": False, "monitoring_on": any(step["watch_seconds"] for step in production["steps"])},
    }
    path = repository / f"{name}.yaml"
    path.write_text(yaml.safe_dump(plan))
    return path


def _git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


if os.environ.get("PREFECT_API_URL"):
    del os.environ["PREFECT_API_URL"]
