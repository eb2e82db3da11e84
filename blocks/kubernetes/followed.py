"""The workload of a Kubernetes platform whose pod template others write: what a GitOps platform asks of the cluster."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes.leases import believed_state
from blocks.kubernetes.objects.annotations import State
from blocks.kubernetes.objects.selectors import matches
from blocks.kubernetes.observe.events import record_event
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.kubernetes.routing import own
from blocks.kubernetes.routing.traffic import drain
from blocks.kubernetes.routing.weights import Weights
from blocks.kubernetes.snapshot import expect_releasable
from blocks.kubernetes.strategies import followed
from blocks.kubernetes.strategies.canary import await_beside
from blocks.kubernetes.workload import Target, canary_of, owned
from blocks.platform import Lease
from blocks.touching import NotOwn


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


@dataclass(frozen=True)
class FollowedCanary:
    """A canary that others keep beside a followed workload: its Deployment, its Service, and the weights of the route.

    Fields:
        platform: The workload's block, with the canary's names.
    """

    platform: KubernetesPlatform

    async def touches(self) -> dict[str, str]:
        """Return both Services and the route, see `own.touched`.

        Raises:
            NotOwn: One of them is not this environment's own. What is wrong with the canary's side refuses releases alone: a rollback gives
                its requests back.
        """
        target = await self.platform.target()
        found = await own.touched(target, "canary")
        try:
            await self._expect_apart(target)
            return {**await own.touched(self._alone(target), "canary"), **found}
        except BadInput as error:
            things = {**found, **(error.things if isinstance(error, NotOwn) else {})}
            raise NotOwn(error.wrong, field=error.field, fix=error.fix, things=things, refuses_rollbacks=False) from None

    async def _expect_apart(self, target: Target) -> None:
        workload, canary = await target.read(), await self._read(target)
        if matches(workload["spec"]["selector"], canary["spec"]["template"]["metadata"].get("labels") or {}):
            fix = f"Give both Deployments a label by which they differ, in `selector` and `template`, as `track: canary` in {target.canary}"
            raise BadInput(f"the selector of {target.title} selects the pods of {target.canary}, too", field="canary_workload", fix=fix)

    async def runs(self) -> str:
        """Return the version that the canary is set to."""
        target = await self.platform.target()
        return target.version(await self._read(target))

    async def expect_startable(self, version: str) -> list[str]:
        """Let the cluster try a version's image in the canary; gives the lines of what would change."""
        return await followed.expect_startable(self._alone(await self.platform.target()), version)

    async def await_version(self, version: str, lease: Lease) -> None:
        """Wait until the canary runs a version everywhere.

        Raises:
            WorldMoved: It is not set to this version.
            RolloutFailed: The version does not come up.
        """
        target = await self.platform.target()
        runs = target.version(await self._read(target))
        if runs != version:
            raise WorldMoved(f"the Deployment {target.canary} is set to {runs}, not to {version}")
        await await_beside(target, version, lease, timeout_seconds=target.rollout_seconds)

    async def expect_share(self, percent: int) -> None:
        """Wait until the gateway gives the canary a share, see `Weights.expect`."""
        await Weights(await self.platform.target()).expect(percent)

    async def share(self) -> int:
        """Read the canary's share from the route, in percent."""
        return await Weights(await self.platform.target()).read()

    async def give_back(self, lease: Lease) -> None:
        """Write into the route itself that the baseline gets all requests, and wait until that is in force."""
        await Weights(await self.platform.target(), remembers=False).give_back(lease)

    async def drain(self) -> None:
        """Let requests in flight end."""
        await drain(await self.platform.target())

    async def _read(self, target: Target) -> dict[str, Any]:
        found = await canary_of(target)
        if found is None:
            fix = "Commit it to Git beside the workload, or name it"
            raise BadInput(f"the namespace {target.cluster.namespace} has no Deployment {target.canary}", field="canary_workload", fix=fix)
        return found

    def _alone(self, target: Target) -> Target:
        """Return the canary as a workload of its own."""
        return replace(target, workload=target.canary, service=target.canary_backend, route="", canary_workload="", canary_service="")
