"""A workload with its canary in memory, and a GitOps platform by weights over both: the branch is real, the cluster is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from blocks.errors import WorldMoved
from blocks.git.git import Git
from blocks.gitops.gitops import FileEdit, GitOps
from blocks.platform import Lease, Position
from tests.cluster.cluster_world import IMAGE
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, PATH, GitOpsScene
from tests.cluster.gitops_weights_scene import CANARY, manifests, settings
from tests.git_remotes import Repository
from tests.tasks.gitops.in_memory import OWNED, PartsInMemory, Workload


@dataclass
class Routed(Workload):
    """A workload with a canary beside it.

    Fields:
        shares: Each share of the canary that was applied with what ran on both sides then, in their order.
        drained: The share, and the canary's version, each time that requests in flight were waited for.
    """

    shares: list[tuple[int, str, str]] = field(default_factory=list)
    drained: list[tuple[int, str]] = field(default_factory=list)

    async def apply(self, *manifests: dict[str, Any], manager: str) -> None:
        """Deploy."""
        await super().apply(*manifests, manager=manager)
        now = self.share, self.runs, self.version_of(CANARY)
        if [now] != self.shares[-1:]:
            self.shares.append(now)

    @property
    def share(self) -> int:
        """The canary's share by the route."""
        first, second = self.objects["HTTPRoute/podinfo"]["spec"]["rules"][0]["backendRefs"]
        assert first["weight"] + second["weight"] == 100
        return int(second["weight"])

    async def shift(self, percent: int, lease: Lease) -> None:
        """Restore the baseline's template, as the Kubernetes platform does for 0 %."""
        del lease
        assert percent == 0
        spec = self.objects["Deployment/podinfo"]["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = f"{IMAGE}:{self.kept.baseline}"

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Do so, and forget the canary."""
        del waits
        if self.kept.canary:
            await self.shift(0, lease)
            self.kept = replace(OWNED, gitops=self.kept.gitops)

    async def promote(self, lease: Lease) -> None:
        """Forget the baseline from before."""
        del lease
        if self.kept.canary:
            assert (self.kept.percent, self.runs) == (100, self.kept.canary)
            self.kept = replace(OWNED, gitops=self.kept.gitops, previous=self.kept.baseline)


@dataclass(frozen=True)
class Beside:
    """The canary of a workload in memory, and both as they are read."""

    of: Routed

    async def touches(self) -> dict[str, str]:
        """Find nothing wrong."""
        return {}

    async def runs(self) -> str:
        """Read its version."""
        return self.of.version_of(CANARY)

    async def expect_startable(self, version: str) -> list[str]:
        """Take each version."""
        del version
        return []

    async def await_version(self, version: str, lease: Lease) -> None:
        """Find it there at once."""
        del lease
        if version != await self.runs():
            raise WorldMoved(f"the canary is set to {await self.runs()}, not to {version}")

    async def expect_share(self, percent: int) -> None:
        """Find it there at once."""
        if self.of.share != percent:
            raise WorldMoved(f"the HTTPRoute podinfo gives the canary {self.of.share} % of the requests, not {percent} %")

    async def share(self) -> int:
        """Read it."""
        return self.of.share

    async def give_back(self, lease: Lease) -> None:
        """Write the route itself."""
        del lease
        for one, weight in zip(self.of.objects["HTTPRoute/podinfo"]["spec"]["rules"][0]["backendRefs"], (100, 0), strict=True):
            one["weight"] = weight

    async def drain(self) -> None:
        """Note what runs then."""
        self.of.drained.append((self.of.share, self.of.version_of(CANARY)))

    async def current(self) -> Position:
        """Read it as the platform does."""
        position = await self.of.current()
        return Position(**{**position, "percent": self.of.share if position["canary"] else 0})


@dataclass(frozen=True)
class WeightsInMemory(PartsInMemory):
    """Parts whose workload and canary are in memory."""

    @property
    def canary(self) -> Any:  # type: ignore[override]
        """Give the canary."""
        return Beside(self.kubernetes)  # type: ignore[arg-type]

    @property
    def beside(self) -> Any:  # type: ignore[override]
        """Give both."""
        return self.canary


async def deployed_by_weights(repository: Repository, **more: Any) -> tuple[GitOpsScene, Any]:
    """Commit podinfo and its canary, and deploy them.

    Returns:
        The scene, for its commits and its engine; and the parts.
    """
    repository.write({FILE: manifests()}, "podinfo")
    workload: Any = Routed()
    engine = FakeEngine(repository, workload)
    await engine.refresh()
    fields = {**settings(), **more}
    scene = GitOpsScene(workload, repository, engine, fields, Git(remote=repository.url))
    edits = [FileEdit(file=FILE, path=PATH, resource="Deployment/podinfo", value=IMAGE + ":{version}")]
    named: dict[str, Any] = {"git": "git/podinfo", "engine": "argocd-application/podinfo", "platform": "kubernetes/podinfo"}
    block = GitOps(**{**named, "edits": edits, "sync_timeout_seconds": 20, **fields})
    return scene, WeightsInMemory(block, scene.git, engine, workload)
