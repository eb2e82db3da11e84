"""A platform that deploys through Git keeps the platform's contract: a real remote, a real cluster, an engine in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.git.git import Git
from tasks.gitops.platform import GitOpsPlatform
from tests.cluster import gitops_weights_scene
from tests.cluster.cluster_world import Gateway, World, answering
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, GitOpsScene, manifests
from tests.cluster.test_platform_contract import KubernetesContractEnvironment, shared_world
from tests.git_remotes import make_repository
from tests.local_environments import elsewhere
from tests.platform_contract.contract import PlatformContract
from tests.platform_contract.environment import ContractEnvironment

__all__ = ["shared_world"]
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


class GitOpsContractEnvironment(KubernetesContractEnvironment):
    """podinfo in a namespace, deployed from a repository."""

    abandon_seconds = (0, 0.3, 1.5)

    def __init__(self, scene: GitOpsScene) -> None:
        """Keep what a platform is made of."""
        super().__init__(scene.world, "rolling")
        self.scene = scene

    def platform(self) -> Any:
        """Give a new instance."""
        return self.scene.platform()

    def broken(self) -> tuple[Any, str]:
        """Give a version of which there is no image."""
        return self.platform(), "0.0.0-not-there"


@pytest.fixture(scope="class")
def shared_scene(shared_world: World, tmp_path_factory: pytest.TempPathFactory) -> GitOpsScene:
    """Give one repository to all tests of the class."""
    folder: Path = tmp_path_factory.mktemp("gitops")
    repository = make_repository(folder)
    repository.write({FILE: manifests(level="debug")}, "podinfo")
    engine = FakeEngine(repository, shared_world)

    async def deploy() -> None:
        await engine.refresh()
        await shared_world.rolled_out()

    elsewhere(deploy())
    return GitOpsScene(shared_world, repository, engine, {}, Git(remote=repository.url))


class TestGitOpsInOneStep(PlatformContract):
    """One commit forward, one back."""

    @pytest.fixture
    async def environment(self, shared_scene: GitOpsScene) -> ContractEnvironment:
        """Give podinfo, restored."""
        environment = GitOpsContractEnvironment(shared_scene)
        await environment.restore()
        return environment


class GitOpsByWeightsEnvironment(GitOpsContractEnvironment):
    """podinfo and its canary behind a gateway, deployed from a repository."""

    def __init__(self, scene: GitOpsScene) -> None:
        """Keep what a platform is made of."""
        KubernetesContractEnvironment.__init__(self, scene.world, "canary", **scene.kubernetes)
        self.scene = scene


@pytest.fixture(scope="class")
def routed_scene(shared_world: World, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> GitOpsScene:
    """Give one repository to all tests of the class."""
    path = f"/{shared_world.namespace}"
    repository = make_repository(tmp_path_factory.mktemp("gitops"))
    repository.write({FILE: gitops_weights_scene.manifests(gateway, path=path, level="debug")}, "podinfo")
    engine = FakeEngine(repository, shared_world)
    url = f"{gateway.url}{path}"

    async def deploy() -> None:
        await engine.refresh()
        for name in ("podinfo", gitops_weights_scene.CANARY):
            await shared_world.rolled_out(name)
        await answering(url)

    elsewhere(deploy())
    kubernetes = {"route": "podinfo", "url": url, "gateway_metrics": gateway.metrics_url, "drain_seconds": 3}
    return GitOpsScene(shared_world, repository, engine, gitops_weights_scene.settings(), Git(remote=repository.url), FILE, kubernetes)


@pytest.mark.variant
class TestGitOpsByWeights(PlatformContract):
    """A commit for each share. Each test has a key of its own, so it finds what the last one left without a note."""

    @pytest.fixture
    async def environment(self, routed_scene: GitOpsScene) -> ContractEnvironment:
        """Give podinfo, restored."""
        environment = GitOpsByWeightsEnvironment(routed_scene)
        await environment.restore()
        return environment


def test_the_platform_has_every_optional_part_that_flows_ask_for() -> None:
    """Those of Kubernetes, and those that only a deployment by commits has."""
    names = ["labels", "preview", "run_job", "identity", "informed", "parts", "edits", "rolling_back"]
    assert [name for name in names if not hasattr(GitOpsPlatform, name)] == []
