"""Kubernetes platform: deploys versions of a Deployment or StatefulSet by rolling update, as a canary, or blue-green."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, Self

from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.block_copy import copied
from blocks.errors import BadInput
from blocks.key_folder.key_file import state_key
from blocks.kubernetes import jobs, snapshot
from blocks.kubernetes.api.auth import Access, connect_anew, connect_once
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.credentials import kubeconfig_from
from blocks.kubernetes.endpoints import endpoints
from blocks.kubernetes.leases import acquire_lease, release_lease
from blocks.kubernetes.objects.annotations import state_of
from blocks.kubernetes.observe import logs
from blocks.kubernetes.observe.drift import leave
from blocks.kubernetes.observe.events import record_event
from blocks.kubernetes.preview import dry_run, planned
from blocks.kubernetes.routing import own
from blocks.kubernetes.routing.select import traffic_of
from blocks.kubernetes.routing.service_counts import read_service_counts
from blocks.kubernetes.routing.traffic import Traffic
from blocks.kubernetes.strategies import beside, rolling
from blocks.kubernetes.workload import Target, orphan_of
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position, Preview

NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
MAYBE_NAME = r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$"
URL = r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$"
BLOCK = r"^(kubernetes-credentials/[a-z0-9-]+)?$"
CONFIG_OBJECT = r"^(ConfigMap|Secret)/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
Strategy = Literal["rolling", "canary", "blue-green"]


class KubernetesPlatform(Block):
    """Deploys versions of a Deployment or StatefulSet of a cluster; its manifest stays its owner's."""

    _block_type_name = "Kubernetes platform"
    _block_type_slug = "kubernetes"
    _description = "Deploys versions of a Deployment or StatefulSet: rolling, as a canary, or blue-green."

    kubeconfig: str = Field(
        default="", description="Path of a kubeconfig; empty takes KUBECONFIG, ~/.kube/config, or the Pod's own account."
    )
    context: str = Field(default="", max_length=500, description="Its context; empty takes the current one.")
    config: SecretStr = Field(default=SecretStr(""), description="Or the content of a kubeconfig, which takes precedence over the path.")
    credentials: Annotated[str, Field(pattern=BLOCK)] = Field(
        default="", description="Or a block of prefect-kubernetes, as `kubernetes-credentials/production`."
    )
    namespace: Annotated[str, Field(pattern=NAME)] = Field(default="default", description="Namespace of the workload.")
    workload: Annotated[str, Field(pattern=NAME)] = Field(default="service", description="Name of the Deployment or StatefulSet.")
    kind: Literal["Deployment", "StatefulSet"] = Field(default="Deployment", description="Its kind.")
    container: Annotated[str, Field(pattern=MAYBE_NAME)] = Field(
        default="", description="The container that carries the version; empty takes the only one, or the one with the image's repository."
    )
    image: str = Field(
        default="",
        max_length=1_000,
        description="The image with `{version}` in it; empty replaces the image's tag with the version.",
    )
    strategy: Strategy = Field(
        default="rolling",
        description="rolling: the workload's own rollout. canary: beside it, by the route's weights, or by pods without a route. "
        "blue-green: a whole second revision and one switch. A plan's `strategy` takes precedence.",
    )
    service: Annotated[str, Field(pattern=MAYBE_NAME)] = Field(
        default="", description="The Service through which users reach it; empty takes the workload's name."
    )
    route: Annotated[str, Field(pattern=MAYBE_NAME)] = Field(default="", description="The HTTPRoute whose weights split the requests.")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=0, description="The port that the version serves HTTP on; 0 takes the container's port named http or web, or its first one."
    )
    url: Annotated[str, Field(pattern=URL, max_length=2_000)] = Field(
        default="", description="Address as users reach it, for verification; empty goes through the API server to the Service's pods."
    )
    gateway_metrics: Annotated[str, Field(pattern=URL, max_length=2_000)] = Field(
        default="", description="Address of the gateway's metrics (Traefik), from which SLIs of the source `platform` are counted."
    )
    bad_status: str = Field(
        default="5..",
        max_length=200,
        description="Which of the gateway's answers are errors: a regular expression that the status matches.",
    )
    force_conflicts: bool = Field(
        default=False, description="True takes over the image if another field manager owns it; else the release is refused."
    )
    drain_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=5, description="Drain time between the last request sent to a revision and its removal; allow for the gateway's delay."
    )
    config_by_hash: bool = Field(
        default=True,
        description="True releases a change of the ConfigMaps and Secrets that the pods read, too; needs the right to read them.",
    )
    config_ignore: Annotated[list[Annotated[str, Field(pattern=CONFIG_OBJECT)]], Field(max_length=100)] = Field(
        default=[], description="Objects whose changes do not count, for example `Secret/shop-tls`; they are not read."
    )
    scheduling_seconds: Annotated[float, Field(ge=0, le=3_600)] = Field(
        default=15, description="How long a pod may be unschedulable, unless a new node was ordered for it."
    )
    unready_seconds: Annotated[float, Field(ge=0, le=3_600)] | None = Field(
        default=None, description="How long a readiness probe may fail; empty takes the probe's own threshold."
    )
    rollout_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=600, description="A rollout that takes longer has failed; most failures are detected within seconds."
    )

    _canary: tuple[str, str] = PrivateAttr(default=("", ""))

    def with_canary(self, workload: str, service: str) -> Self:
        """Return this platform as a canary whose Deployment and Service others keep beside the workload."""
        found = self.model_copy(update={"strategy": "canary"})
        found._canary = (workload, service)  # noqa: SLF001 - of this class
        return found

    def following(self, strategy: str) -> Self:
        """Return this platform with another strategy, as a plan may name it; BadInput if it does not exist."""
        if strategy not in {"rolling", "canary", "blue-green"}:
            raise BadInput(f"the strategy {strategy} does not exist", field="strategy", fix="Write rolling, canary or blue-green")
        return copied(self, strategy=strategy)

    async def current(self) -> Position:
        """Read what runs now."""
        target = await self.target()
        view = await self._look(target)
        return await snapshot.with_idle(target, view, snapshot.position_of(target, view))

    async def identity(self) -> str:
        """Return the workload's UID, which is one in the world."""
        return f"kubernetes {(await (await self._bare_target()).read())['metadata']['uid']}"

    async def touches(self) -> dict[str, str]:
        """Return the Service and the route, which no other environment may share; the errors are those of `own.touched`."""
        return await own.touched(await self._bare_target(), self.strategy)

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Acquire the lease under the next generation, which is written on every object that a release changes.

        Raises:
            Refused: Another owner holds it and `takeover` is not set.
            BadInput: Service or route are another workload's; neither a takeover nor who owns the workload already asks.
        """
        target = await self.target()
        if not takeover and state_of(await target.read()).owner != owner:
            await self.touches()
        return await acquire_lease(target, owner, takeover=takeover)

    async def release_lease(self, lease: Lease) -> None:
        """Release the lease of the workload; a no-op if it is no longer this owner's."""
        await release_lease(await self.target(), lease)

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Deploy a version without traffic; in a rolling update, only dry-run it.

        Raises:
            RolloutFailed: It does not become ready; names the reason within seconds of the cluster knowing it.
            BadInput: The version, the manifest or the block cannot be used.
            WorldMoved: Its image belongs to another field manager.
        """
        target = await self.target()
        version = target.named(version)
        await snapshot.expect_releasable(target)
        await record_event(target, reason="ShipwayPrepare", note=f"Deploying {version} ({self.strategy})")
        if self.strategy == "rolling":
            await rolling.prepare(target, version, lease)
        else:
            await beside.prepare(target, self._traffic(target), version, lease, timeout_seconds=timeout_seconds)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Shift a share of the requests to the canary, in force at return.

        Raises:
            BadInput: The strategy cannot split the requests like this.
            RolloutFailed: The pods for it do not become ready, or the gateway rejects the route.
            WorldMoved: The canary is missing, or the workload or the route was changed elsewhere.
        """
        if not 0 <= percent <= 100:  # noqa: PLR2004
            raise BadInput(f"{percent} % is not a share", field="percent", fix="Give 0 to 100")
        target = await self.target()
        if self.strategy == "rolling":
            await rolling.shift(target, percent, lease)
        else:
            await beside.shift(target, self._traffic(target), percent, lease)
        await record_event(target, reason="ShipwayShift", note=f"{percent} % of the requests go to the canary")

    async def promote(self, lease: Lease) -> None:
        """Promote the canary to baseline: the workload itself runs it, and the canary's objects are removed."""
        target = await self.target()
        if self.strategy == "rolling":
            await rolling.promote(target, lease)
        else:
            await beside.promote(target, self._traffic(target), lease)
        await leave(target, lease)
        await record_event(target, reason="ShipwayPromote", note="The canary is now the baseline")

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Shift all traffic to the baseline and remove the canary: one switch if the baseline is warm, else a rolling undo."""
        target = await self.target()
        await record_event(target, reason="ShipwayAbort", note="Rolling back to the baseline", warning=True)
        # The canary is removed whatever the strategy is now: a block may have been changed after a release died.
        if self.kind == "Deployment" and (self.strategy != "rolling" or (await orphan_of(target)) is not None):
            strategy = "canary" if self.strategy == "rolling" else self.strategy
            await beside.abort(target, traffic_of(target, strategy), lease, waits=waits)
        else:
            await rolling.abort(target, lease, waits=waits)

    async def endpoints(self) -> Endpoints:
        """Return the base URLs of the service and of each revision; a revision privately, through the API server."""
        target = await self.target()
        through = self.strategy != "rolling" or bool(self.service)
        seen = await self._look(target)
        return await endpoints(target, seen, url=self.url.rstrip("/"), port=self.port, through_service=through)

    async def counts(self) -> dict[str, Counts]:
        """Read the gateway's counts by version; none if no gateway is named, or if one Service serves both versions."""
        return await self._counted() if self.strategy == "canary" else {}

    async def counts_of_all(self) -> dict[str, Counts]:
        """Read the gateway's counts of the Service under the version that serves alone; none while another one is on its way."""
        found = await self._counted()
        return found if len(found) == 1 else {}

    async def _counted(self) -> dict[str, Counts]:
        if not self.gateway_metrics or not self.route:
            return {}
        versions = (await self._look(target := await self.target())).versions(target)
        return await read_service_counts(target, versions, url=self.gateway_metrics, bad_status=self.bad_status)

    async def labels(self) -> dict[str, dict[str, str]]:
        """Return the metric labels of each version's revision: the hash of its pod template, and the namespace."""
        target = await self.target()
        found = await snapshot.revision_labels(target, await self._look(target))
        return {version: {"revision": next(iter(labels.values())), "namespace": self.namespace} for version, labels in found.items()}

    async def progress(self) -> list[str]:
        """Report in a few lines for an operator what the platform is doing."""
        target = await self.target()
        return snapshot.progress_lines(target, await self._look(target))

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
        """Hand over the pods' own lines since a moment (seconds since the epoch, UTC), secrets masked; returns what could not be read."""
        target = await self.target()
        return await logs.read(target, await snapshot.pods_by_version(target, await self._look(target)), since, take)

    async def preview(self, version: str) -> Preview:
        """Return what a release of a version would change here, by a server-side dry run, and what others changed meanwhile."""
        target = await self.target()
        await snapshot.expect_releasable(target)
        beside.expect_deployment(target, self.strategy)
        notes = own.notes(target, self.strategy, await self.touches(), is_named=bool(self.service))
        found = await dry_run.preview(target, await planned.planned(target, self.strategy, version))
        return Preview(**{**found, "notes": [*found.get("notes", []), *notes]})

    async def run_job(self, manifest: dict[str, Any], lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
        """Run a Job once under a stable name, and return the last lines of its log; if it failed, RolloutFailed carries them."""
        return await jobs.run_job(await self.target(), manifest, lease, name=name, timeout_seconds=timeout_seconds)

    async def _look(self, target: Target) -> snapshot.View:
        if self.strategy == "rolling":
            return await snapshot.read_view(target, None, ours=True)
        return await snapshot.read_view_with(target, self._traffic(target).read)

    def _traffic(self, target: Target) -> Traffic:
        beside.expect_deployment(target, self.strategy)
        return traffic_of(target, self.strategy)

    async def target(self) -> Target:
        """Read what the block says of its workload, and the configuration that its pods read now."""
        target = await self._bare_target()
        return await snapshot.with_configuration(target, ignored=self.config_ignore) if self.config_by_hash else target

    async def _bare_target(self) -> Target:
        """Read what the block says of its workload, over a connection that is kept."""
        config = self.config.get_secret_value() or (await kubeconfig_from(self.credentials) if self.credentials else "")
        access = Access(self.kubeconfig, self.context, config)
        api = await asyncio.to_thread(connect_once, access)
        return Target(
            cluster=Cluster(api, self.namespace, renew=partial(connect_anew, access)),
            workload=self.workload,
            kind=self.kind,
            container=self.container,
            image=self.image,
            route=self.route,
            service=self.service or self.workload,
            force_conflicts=self.force_conflicts,
            drain_seconds=self.drain_seconds,
            scheduling_seconds=self.scheduling_seconds,
            unready_seconds=self.unready_seconds,
            rollout_seconds=self.rollout_timeout_seconds,
            key=await asyncio.to_thread(state_key),
            canary_workload=self._canary[0],
            canary_service=self._canary[1],
        )
