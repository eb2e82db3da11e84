"""Kubernetes keeps the platform's contract in each strategy."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

import httpx
import pytest

from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.platform import KubernetesPlatform
from tests.cluster.cluster_world import Gateway, World, deployment, drop_namespace, make_namespace, service
from tests.cluster.scene import FIRST, SECOND, THIRD, platform_of
from tests.cluster.test_jobs import BAD, GOOD, job
from tests.local_environments import elsewhere
from tests.platform_contract.contract import PlatformContract
from tests.platform_contract.environment import ALL, ContractEnvironment

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


class KubernetesContractEnvironment(ContractEnvironment):
    """podinfo in a namespace that the tests of one strategy use one after the other."""

    first, second, third = FIRST, SECOND, THIRD
    ready_seconds = 60.0
    abandon_seconds = (0, 0.1, 0.6)
    strategies: ClassVar[tuple[str, ...]] = ("rolling", "canary", "blue-green")

    def __init__(self, world: World, strategy: str, **settings: Any) -> None:
        """Keep what a platform is made of."""
        self.world, self.strategy, self.settings = world, strategy, settings
        self.in_place = strategy == "rolling"
        self.steps = (50, ALL) if strategy == "canary" else (ALL,)
        self.counts = "gateway_metrics" in settings
        self.settle_seconds = 5.0 if "route" in settings else 0.0  # Traefik takes changes in every two seconds at most

    def platform(self) -> KubernetesPlatform:
        """Give a new block."""
        return platform_of(self.world, self.strategy, **{"drain_seconds": 0.5, **self.settings})

    def broken(self) -> tuple[KubernetesPlatform, str]:
        """Give a version of which there is no image."""
        return self.platform(), "0.0.0-not-there"

    async def ask(self, url: str) -> str:
        """Ask podinfo for its version."""
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=10) as client:  # noqa: S501
            answer = await client.get(f"{url}/version")
        return str(answer.raise_for_status().json()["version"])

    async def write_line(self, url: str, text: str) -> bool:
        """Ask for an address that podinfo logs."""
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=10) as client:  # noqa: S501
            await client.get(f"{url}/version?{text}")
        return True

    def job(self, *, succeeds: bool) -> dict[str, Any]:
        """Run podinfo with an option that it has, or has not."""
        return job(GOOD if succeeds else BAD)

    async def job_runs(self) -> int:
        """Count the Jobs of the namespace."""
        return len(await self.world.cluster.list("Job"))


def talkative(version: str) -> dict[str, Any]:
    """Write a podinfo that logs every request."""
    found = deployment("podinfo", version)
    (container,) = found["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": "PODINFO_LEVEL", "value": "debug"}]
    return found


@pytest.fixture(scope="class")
def shared_world(cluster_api: Any, request: pytest.FixtureRequest) -> Iterator[World]:
    """Give a namespace with podinfo to all tests of a class."""
    words = re.sub(r"[^a-z]+", "-", request.cls.__name__.lower()).strip("-")
    cluster = Cluster(cluster_api, f"t-{words[:45]}-{secrets.token_hex(3)}")
    world = World(cluster, cluster.namespace)

    async def make() -> None:
        await make_namespace(cluster)
        await world.apply(talkative(FIRST), service("podinfo"))
        await world.rolled_out()

    elsewhere(make())
    try:
        yield world
    finally:
        elsewhere(drop_namespace(cluster))


@pytest.fixture(scope="class")
def routed(shared_world: World, gateway: Gateway) -> str:
    """Give the address of a route to the podinfo of a class."""
    found: list[str] = []

    async def route() -> None:
        found.append(await shared_world.route(gateway))

    elsewhere(route())
    return found[0]


class KubernetesContract(PlatformContract):
    """The contract over one strategy."""

    strategy: ClassVar[str]

    @pytest.fixture
    async def environment(self, shared_world: World) -> ContractEnvironment:
        """Give podinfo, reached through the API server, restored."""
        environment = KubernetesContractEnvironment(shared_world, self.strategy)
        await environment.restore()
        return environment


class TestRolling(KubernetesContract):
    """The workload's own rollout."""

    strategy = "rolling"


@pytest.mark.variant
class TestCanaryByPods(KubernetesContract):
    """Shares by the number of pods behind the Service."""

    strategy = "canary"


@pytest.mark.variant
class TestBlueGreen(KubernetesContract):
    """One switch of the Service."""

    strategy = "blue-green"


class TestCanaryByWeights(KubernetesContract):
    """Shares by an HTTPRoute's weights, counted by the gateway."""

    strategy = "canary"

    @pytest.fixture
    async def environment(self, shared_world: World, gateway: Gateway, routed: str) -> ContractEnvironment:
        """Give podinfo behind the gateway, restored."""
        settings = {"drain_seconds": 3, "route": "podinfo", "url": routed, "gateway_metrics": gateway.metrics_url}
        environment = KubernetesContractEnvironment(shared_world, self.strategy, **settings)
        await environment.restore()
        return environment
