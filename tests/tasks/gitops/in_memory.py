"""A workload in memory, and a GitOps platform over it: the branch is real, the cluster is not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from blocks.errors import WorldMoved
from blocks.git.git import Git
from blocks.gitops.gitops import FileEdit, GitOps
from blocks.kubernetes.objects.annotations import State
from blocks.platform import Lease, Position
from tasks.gitops.parts import Parts
from tests.cluster.cluster_world import IMAGE
from tests.cluster.fake_engine import FakeEngine
from tests.cluster.gitops_scene import FILE, PATH, GitOpsScene, manifests
from tests.git_remotes import Repository

LEASE: Lease = {"owner": "run-1", "generation": 1}
OWNED = State(owner=LEASE["owner"], generation=LEASE["generation"])


@dataclass
class Workload:
    """What stands in for a namespace and for its followed workload.

    Fields:
        kept: The state and the note on the workload.
        objects: What was applied, by kind and name.
        events: What was recorded on the workload.
    """

    kept: State = field(default_factory=lambda: OWNED)
    objects: dict[str, Any] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)
    namespace: str = "shop"
    workload: str = "podinfo"

    @property
    def cluster(self) -> Workload:
        """Read from here, too."""
        return self

    async def apply(self, *manifests: dict[str, Any], manager: str) -> None:
        """Deploy."""
        del manager
        self.objects |= {f"{one['kind']}/{one['metadata']['name']}": one for one in manifests}

    async def read(self, kind: str, name: str) -> Any:
        """Read an object."""
        return self.objects.get(f"{kind}/{name}")

    @property
    def runs(self) -> str:
        """The version that is set."""
        return self.version_of("podinfo")

    def version_of(self, name: str) -> str:
        """The version that a Deployment is set to."""
        return str(self.objects[f"Deployment/{name}"]["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]

    async def state(self) -> tuple[State, str | None, str]:
        """Read it as `Followed` does."""
        return self.kept, self.kept.gitops or None, self.runs

    async def current(self) -> Position:
        """Read it as the platform does."""
        one = self.kept
        at: dict[str, Any] = {"ready": {self.runs: True}, "previous": None, "owner": one.owner, "generation": one.generation}
        return Position(baseline=one.baseline or self.runs, canary=one.canary or None, percent=one.percent, **at)

    async def expect_owner(self, lease: Lease) -> None:
        """Take each owner."""

    async def expect_startable(self, version: str) -> list[str]:
        """Take each version."""
        del version
        return []

    async def begin(self, version: str, lease: Lease, *, note: str) -> None:
        """Note the version that is to come."""
        del lease
        self.kept = replace(self.kept, baseline=self.runs, canary=version, percent=0, gitops=note)

    async def keep(self, lease: Lease, *, note: str | None, percent: int) -> None:
        """Write note and share."""
        del lease
        self.kept = replace(self.kept, gitops=note or "", percent=percent)

    async def keep_note(self, lease: Lease, note: str | None) -> None:
        """Write the note alone."""
        del lease
        self.kept = replace(self.kept, gitops=note or "")

    async def await_version(self, version: str, lease: Lease, *, patient: bool = False) -> None:
        """Find it there at once."""
        del lease, patient
        if version != self.runs:
            raise WorldMoved(f"it is set to {self.runs}, not to {version}")

    async def forget(self, lease: Lease) -> None:
        """Forget canary and note."""
        del lease
        self.kept = OWNED

    async def record(self, reason: str, note: str, *, warning: bool = False) -> None:
        """Keep an event."""
        del warning
        self.events.append(f"{reason}: {note}")


@dataclass(frozen=True)
class PartsInMemory(Parts):
    """Parts whose workload is in memory; `kubernetes` is that workload."""

    @property
    def followed(self) -> Any:  # type: ignore[override]
        """Give the workload."""
        return self.kubernetes

    @property
    def workload(self) -> Any:  # type: ignore[override]
        """Give the workload."""
        return self.kubernetes


async def deployed(repository: Repository, **settings: Any) -> tuple[GitOpsScene, Any]:
    """Commit podinfo and deploy it.

    Returns:
        The scene, for its commits and its engine; and the parts.
    """
    repository.write({FILE: manifests()}, "podinfo")
    workload: Any = Workload()
    engine = FakeEngine(repository, workload)
    await engine.refresh()
    scene = GitOpsScene(workload, repository, engine, settings, Git(remote=repository.url))
    edits = [FileEdit(file=FILE, path=PATH, resource="Deployment/podinfo", value=IMAGE + ":{version}")]
    named: dict[str, Any] = {"git": "git/podinfo", "engine": "argocd-application/podinfo", "platform": "kubernetes/podinfo"}
    return scene, PartsInMemory(GitOps(**{**named, "edits": edits, "sync_timeout_seconds": 20, **settings}), scene.git, engine, workload)
