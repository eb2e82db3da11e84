"""Argo CD as the engine of GitOps: one Application, by the Kubernetes API or by Argo CD's own API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.errors import BadInput, Permanent, Refused, Temporary, WorldMoved
from blocks.gitops.application import is_automatic, is_held, observe, running_revision, source_index, title_of, unseen
from blocks.gitops.by_cluster import ByCluster
from blocks.gitops.by_server import ByServer
from blocks.gitops.engine import Observed
from blocks.gitops.operations import is_taken_up, operation_for
from blocks.gitops.owners import owner_of, undoes
from blocks.gitops.sync_pause import UNKNOWN, SyncPause, hold_on, hold_steps, hold_to_make, release_steps
from blocks.gitops.sync_pause_file import forget_hold, keep_hold, kept_hold
from blocks.gitops.ways import Way
from blocks.gitops.windows import Closed, closed
from blocks.key_folder.key_file import state_key
from blocks.kubernetes.api.auth import Access, connect_anew, connect_once
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.credentials import kubeconfig_from
from blocks.kubernetes.api.errors import Changed

NAME = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
URL = r"^(https?://[^\s/@?#]+(/[^\s?#]*)?)?$"
BLOCK = r"^(kubernetes-credentials/[a-z0-9-]+)?$"
TOKEN = re.compile(r"[!-~]+")
LOOPBACK = re.compile(r"http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?(/.*)?")
MOST_TRIES = 12
SETTLE_SECONDS, REFRESH_SECONDS = 2.0, 10.0
Json = dict[str, Any]
Steps = list[Json]


class ArgoCDApplication(Block):
    """An Argo CD Application that deploys what releases commit to Git."""

    _block_type_name: ClassVar[str | None] = "Argo CD Application"
    _block_type_slug: ClassVar[str | None] = "argocd-application"
    _description: ClassVar[str | None] = "An Argo CD Application that deploys what releases commit to Git."

    application: Annotated[str, Field(pattern=NAME)] = Field(description="Name of the Application.")
    namespace: Annotated[str, Field(pattern=NAME)] = Field(default="argocd", description="Namespace of the Application.")
    project: str = Field(default="", max_length=253, description="The project that it must belong to; empty accepts any.")
    source: str = Field(
        default="", max_length=253, description="Of several sources the one that releases are committed to: index from 0, or `name`."
    )
    prune: bool = Field(default=False, description="Whether a sync that Shipway starts deletes what Git no longer has.")
    kubeconfig: str = Field(
        default="", description="Path of a kubeconfig; empty takes KUBECONFIG, ~/.kube/config, or the Pod's own account."
    )
    context: str = Field(default="", max_length=500, description="Its context; empty takes the current one.")
    config: SecretStr = Field(default=SecretStr(""), description="Or the content of a kubeconfig, which takes precedence over the path.")
    credentials: Annotated[str, Field(pattern=BLOCK)] = Field(
        default="", description="Or a block of prefect-kubernetes, as `kubernetes-credentials/production`."
    )
    server: Annotated[str, Field(pattern=URL, max_length=2_000)] = Field(
        default="", description="Or the address of Argo CD's own API, with `token`; then no access to the cluster is needed."
    )
    token: SecretStr | None = Field(default=None, description="Token of an account of Argo CD that may get, sync and update it.")
    verify_tls: bool = Field(default=True, description="False trusts any certificate of `server`.")
    stop_timeout_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(
        default=60, description="How long a sync that is terminated may take to end."
    )

    async def look(self) -> Observed:
        """Read what Argo CD says now; an Application that is gone or that we may not read is a fault, not an error.

        Raises:
            Unreachable: The API does not answer.
            BadInput: The source does not exist.
        """
        return (await self._look())[1]

    async def changed(self, seen: Observed, *, timeout_seconds: float) -> Observed:
        """Return what `look` says as soon as it is not what was seen, or after the time."""
        way, until = await self._way(), asyncio.get_running_loop().time() + timeout_seconds
        while True:
            application, now = await self._look(way)
            left = until - asyncio.get_running_loop().time()
            if now != seen or left <= 0:
                return now
            await way.wait(application, timeout_seconds=left)

    async def refresh(self) -> None:
        """Ask Argo CD to look at Git, and return once it has.

        Raises:
            Temporary: It did not look within 10 s.
        """
        way = await self._way()
        await way.refresh(await self._read(way), timeout_seconds=REFRESH_SECONDS)

    async def sync(self, commit: str, *, note: str) -> None:
        """Start the sync of a commit by its full hash, if the Application does not sync by itself; one that runs for it is adopted.

        Raises:
            Refused: The Application syncs by itself.
            Temporary: Another operation runs, or a sync window forbids it.
        """
        way = await self._way()
        for _ in range(MOST_TRIES):
            application = await self._read(way)
            index = source_index(application, self.source)
            if is_taken_up(application, index, commit, note=note):
                return
            if is_automatic(application):
                raise Refused(f"the Application {title_of(application)} syncs by itself, so no sync is started for it")
            if window := closed(await way.windows(application), datetime.now(UTC), manual=True):
                raise Temporary(f"no sync of {title_of(application)} may begin: {window}", delay_seconds=30)
            try:
                await way.start(application, operation_for(application, index, commit, note=note, prune=self.prune))
            except Changed as changed:
                await asyncio.sleep(changed.delay_seconds)
        raise Temporary(f"no sync of {self._title} could be started, as others change it all the time")

    async def stop(self) -> None:
        """Terminate the operation that runs, and return once none does.

        Raises:
            Temporary: It did not end in time.
        """
        way, until = await self._way(), asyncio.get_running_loop().time() + self.stop_timeout_seconds
        while True:
            application = await way.read()
            if application is None or running_revision(application, 0) is None:
                return
            state = (application.get("status") or {}).get("operationState") or {}
            if (left := until - asyncio.get_running_loop().time()) <= 0:
                said = f"{state.get('phase', 'requested')}: {state.get('message', '')}"
                raise Temporary(
                    f"the sync of {self._title} did not end within {self.stop_timeout_seconds:g} s after it was stopped ({said})"
                )
            try:
                await way.terminate(application)
            except Changed as changed:
                await asyncio.sleep(changed.delay_seconds)
                continue
            await way.wait(application, timeout_seconds=min(left, SETTLE_SECONDS))

    async def holdable(self) -> str:
        """Return "" if a hold would stand, else who would undo it."""
        way = await self._way()
        return await self._undone(way, await self._read(way))

    async def hold(self, owner: str) -> None:
        """Switch the automatic sync off until `release_hold`. An operation that runs goes on; `stop` ends it.

        Raises:
            Refused: An owner of the Application would undo it, or another release holds it.
            WorldMoved: It does not read back.
        """
        way, key = await self._way(), await asyncio.to_thread(state_key)
        application = await self._read(way)
        if why := await self._undone(way, application):
            raise Refused(f"the Application {self._title} cannot be held: {why}")
        application = await self._change(way, partial(_hold, owner=owner, whole=False, key=key))
        if is_automatic(application):  # the API server does not know `enabled`, and dropped it
            application = await self._change(way, partial(_hold, owner=owner, whole=True, key=key))
        if owner_of(application) is not None:
            await asyncio.sleep(SETTLE_SECONDS)  # its controller sees every change, and acts at once if it does
            application = await self._read(way)
        found = _hold_or_none(application, key)
        if not is_held(application) or found is None or found.owner != owner:
            raise WorldMoved(f"the automatic sync of {self._title} was switched off and is on again. Find out what changes it")

    async def release_hold(self, owner: str) -> None:
        """Set the automatic sync back as it was; a no-op if this owner holds nothing. What others set since stays."""
        way, key = await self._way(), await asyncio.to_thread(state_key)
        application = await self._change(way, partial(_release, owner=owner, key=key))
        kept, found = await asyncio.to_thread(kept_hold, application, key), _hold_or_none(application, key)
        if kept is not None and kept.owner not in {owner, UNKNOWN.owner}:
            return  # another release holds it by now
        if found is not None and found.owner == owner and not is_automatic(application):
            raise WorldMoved(f"the hold on {self._title} was released and stands again. Find out what changes it")
        await asyncio.to_thread(forget_hold, application)

    async def identity(self) -> str:
        """Return the Application's UID, which is one in the world."""
        return f"argocd {(await self._read(await self._way()))['metadata']['uid']}"

    async def _look(self, way: Way | None = None) -> tuple[Json | None, Observed]:
        way = way or await self._way()
        try:
            application = await way.read()
        except Permanent as error:
            return None, unseen(str(error))
        if application is None:
            return None, unseen(f"the Application {self._title} does not exist")
        return application, observe(application, source=self.source, project=self.project, closed=await self._closed(way, application))

    async def _closed(self, way: Way, application: Json) -> Closed | None:
        """Read the windows only where something waits for them; that they cannot be read is not a reason to see nothing."""
        if ((application.get("status") or {}).get("sync") or {}).get("status") == "Synced" and application.get("operation") is None:
            return None
        try:
            return closed(await way.windows(application), datetime.now(UTC), manual=not is_automatic(application))
        except Permanent:
            return None

    async def _undone(self, way: Way, application: Json) -> str:
        owner = owner_of(application)
        if owner is None:
            return ""
        try:
            return undoes(owner, await way.owner(owner), application)
        except Permanent as error:
            return f"{owner} owns it, and whether it would undo a hold is not known: {error}"

    async def _change(self, way: Way, steps: Callable[[Json], Steps]) -> Json:
        """Read, change what differs, read again."""
        for _ in range(MOST_TRIES):
            application = await self._read(way)
            if not (wanted := await asyncio.to_thread(steps, application)):
                return application
            try:
                await way.change(application, wanted)
            except Changed as changed:
                await asyncio.sleep(changed.delay_seconds)
            else:
                return await self._read(way)
        raise Temporary(f"{self._title} could not be changed, as others change it all the time")

    async def _read(self, way: Way) -> Json:
        application = await way.read()
        if application is None:
            raise BadInput(f"the Application {self._title} does not exist", field="application", fix="Make it, or name another one")
        return application

    @property
    def _title(self) -> str:
        return f"{self.namespace}/{self.application}"

    async def _way(self) -> Way:
        if self.server:
            return ByServer(
                self.server.rstrip("/"), self._sendable(), namespace=self.namespace, name=self.application, verify_tls=self.verify_tls
            )
        if self.token is not None:
            raise BadInput("a token is for Argo CD's API", field="token", fix="Give the address in `server`, or leave the token out")
        config = self.config.get_secret_value() or (await kubeconfig_from(self.credentials) if self.credentials else "")
        access = Access(self.kubeconfig, self.context, config)
        api = await asyncio.to_thread(connect_once, access)
        return ByCluster(Cluster(api, self.namespace, renew=partial(connect_anew, access)), self.application)

    def _sendable(self) -> str:
        token = self.token.get_secret_value().strip() if self.token is not None else ""
        if not TOKEN.fullmatch(token):
            raise BadInput("the token is missing or has unusual characters", field="token", fix="Store it alone, in one line")
        if self.server.startswith("http:") and not LOOPBACK.fullmatch(self.server):
            raise BadInput("a token would be sent unencrypted", field="server", fix="Use https")
        if self.kubeconfig or self.context or self.credentials or self.config.get_secret_value():
            raise BadInput("both Argo CD's API and access to the cluster are given", field="server", fix="Give one of them")
        return token


def _hold(application: Json, *, owner: str, whole: bool, key: bytes) -> Steps:
    """Write what holds an Application, and keep who does before; it reads and writes files."""
    kept = kept_hold(application, key)
    made = hold_to_make(application, owner, whole=whole, key=key, kept=kept)
    if made is None:
        return []
    keep_hold(application, made, key)
    return hold_steps(application, owner, whole=whole, key=key, kept=kept)


def _release(application: Json, *, owner: str, key: bytes) -> Steps:
    return release_steps(application, owner, key=key, kept=kept_hold(application, key))


def _hold_or_none(application: Json, key: bytes) -> SyncPause | None:
    """Read a hold back; what others wrote since is none of ours."""
    try:
        return hold_on(application, key)
    except Refused:
        return None
