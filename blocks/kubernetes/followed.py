"""The workload of a Kubernetes platform whose pod template others write: what a GitOps platform asks of the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from blocks.kubernetes.leases import believed_state
from blocks.kubernetes.objects.annotations import State
from blocks.kubernetes.observe.events import record_event
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.kubernetes.snapshot import expect_releasable
from blocks.kubernetes.strategies import followed
from blocks.kubernetes.workload import owned
from blocks.platform import Lease


@dataclass(frozen=True)
class Followed:
    """A workload that is followed, not written.

    Fields:
        platform: The block; its strategy and its hash of the configuration do not count, since both are in Git.
    """

    platform: KubernetesPlatform

    async def state(self) -> tuple[State, str | None, str]:
        """Read what a release noted on the workload, its note, and the version that the workload is set to."""
        target = await self.platform.target()
        workload = await target.read()
        state = await believed_state(target, workload)
        return state, state.gitops or None, target.version(workload)

    async def expect_owner(self, lease: Lease) -> None:
        """Fencing: read the workload once more, for its newest owner only.

        Raises:
            Superseded, Refused: Another owner holds it.
            Tampered: Others changed the state.
        """
        await owned(await self.platform.target(), lease)

    async def expect_startable(self, version: str) -> list[str]:
        """Let the cluster try a version's image; gives the lines of what would change, see `followed.expect_startable`."""
        target = await self.platform.target()
        await expect_releasable(target)
        return await followed.expect_startable(target, version)

    async def begin(self, version: str, lease: Lease, *, note: str) -> None:
        """Note the version that is to come, and what undoes it."""
        target = await self.platform.target()
        await record_event(target, reason="ShipwayPrepare", note=f"{version} is to come through Git")
        await followed.begin(target, version, lease, note=note)

    async def keep(self, lease: Lease, *, note: str | None, percent: int) -> None:
        """Write note and share."""
        await followed.keep(await self.platform.target(), lease, note=note, percent=percent)

    async def keep_note(self, lease: Lease, note: str | None) -> None:
        """Write the note alone; None removes it."""
        await followed.keep(await self.platform.target(), lease, note=note)

    async def await_version(self, version: str, lease: Lease, *, patient: bool = False) -> None:
        """Wait until the workload runs a version, see `followed.await_version`."""
        await followed.await_version(await self.platform.target(), version, lease, patient=patient)

    async def forget(self, lease: Lease) -> None:
        """Forget canary and note."""
        await followed.forget(await self.platform.target(), lease)

    async def record(self, reason: str, note: str, *, warning: bool = False) -> None:
        """Record an event on the workload."""
        await record_event(await self.platform.target(), reason=reason, note=note, warning=warning)
