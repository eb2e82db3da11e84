"""An engine in memory: deploys a folder of a bare repository to a real namespace if told to look, and refuses what Argo CD refuses."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import dataclass, field

import yaml

from blocks.errors import Refused, Unreachable
from blocks.gitops.engine import Observed
from tests.cluster.cluster_world import World
from tests.git_remotes import Repository


@dataclass
class FakeEngine:
    """Deploys `app/` of main.

    Fields:
        repository: What it deploys.
        world: Where to.
        automatic: Whether it syncs by itself.
        unholdable: Why a hold would not stand; "" if it would.
        reaches_git: Whether it can read Git.
        holder: Who holds it, or "".
        revision: What it compared last.
        synced: Whether that runs.
        fault: What keeps it from deploying; "".
        operation: The operation that runs, or None.
        syncs: The notes of the syncs that were asked for.
        stopped: How often an operation was ended.
        late_seconds: How long after a hold a sync begins that was decided on before it; 0 for none.
    """

    repository: Repository
    world: World
    automatic: bool = True
    unholdable: str = ""
    reaches_git: bool = True
    holder: str = ""
    revision: str = ""
    synced: bool = True
    fault: str = ""
    operation: str | None = None
    syncs: list[str] = field(default_factory=list)
    stopped: int = 0
    late_seconds: float = 0.0
    late: asyncio.Task[None] | None = None

    async def look(self) -> Observed:
        """Say what was seen last."""
        fault = self.fault or ("" if self.reaches_git else "the repository does not answer")
        return Observed(
            revision="" if fault else self.revision,
            synced=self.synced and not fault,
            operation=self.operation,
            automatic=self.automatic and not self.holder,
            held=bool(self.holder),
            fault=fault,
            temporary=not self.fault,
            waiting="",
            lines=(f"at {self.revision[:7]}", fault or "fine"),
        )

    async def refresh(self) -> None:
        """Look at Git, and deploy what it says if that is done without being asked."""
        if self.late is not None:  # it looks at one thing at a time
            await self.late
        if not self.reaches_git or self.fault:
            return
        self.revision = self.repository.head
        self.synced = await self._same(self.revision)
        if self.automatic and not self.holder:
            await self._deploy(self.revision)

    async def sync(self, commit: str, *, note: str) -> None:
        """Deploy a commit."""
        if self.automatic and not self.holder:
            raise Refused("the fake syncs by itself")
        assert len(commit) == 40
        if not self.reaches_git:
            raise Unreachable("the repository does not answer")
        self.syncs.append(note)
        await self._deploy(commit)

    async def stop(self) -> None:
        """End what runs."""
        self.stopped += self.operation is not None
        self.operation = None

    async def hold(self, owner: str) -> None:
        """Sync no more without being asked."""
        if self.unholdable:
            raise Refused(self.unholdable)
        if self.holder not in {"", owner}:
            raise Refused(f"the fake is held by {self.holder}")
        if self.late_seconds and self.late is None and not self.holder:
            self.late = asyncio.create_task(self._sync_late())
        self.holder = owner

    async def release_hold(self, owner: str) -> None:
        """Sync again."""
        if self.holder == owner:
            self.holder = ""

    async def holdable(self) -> str:
        """Say what would undo a hold."""
        return self.unholdable

    async def identity(self) -> str:
        """Name this one."""
        return f"fake {self.world.namespace}"

    async def _sync_late(self) -> None:
        await asyncio.sleep(self.late_seconds)
        await self._deploy(self.revision)

    async def _deploy(self, commit: str) -> None:
        self.operation = None
        await self.world.apply(*self._manifests(commit), manager="argocd-controller")
        self.revision, self.synced = commit, True

    async def _same(self, commit: str) -> bool:
        for manifest in self._manifests(commit):
            found = await self.world.cluster.read(manifest["kind"], manifest["metadata"]["name"])
            if manifest["kind"] == "Deployment" and (found is None or _image(found) != _image(manifest)):
                return False
        return True

    def _manifests(self, commit: str) -> list[dict]:  # type: ignore[type-arg]
        shown = subprocess.run(
            ["git", "show", f"{commit}:app/podinfo.yaml"], cwd=self.repository.bare, capture_output=True, check=True, timeout=30
        )
        return list(yaml.safe_load_all(shown.stdout))


def _image(workload: dict) -> str:  # type: ignore[type-arg]
    return str(workload["spec"]["template"]["spec"]["containers"][0]["image"])
