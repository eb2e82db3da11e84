"""An Argo CD Application by the Kubernetes API: watched, and changed only as it was read, by its resourceVersion."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from blocks.errors import Temporary
from blocks.gitops.application import REFRESH, is_asked
from blocks.gitops.operations import is_blocked, start_steps, terminate_steps, withdraw_steps
from blocks.gitops.owners import Owner
from blocks.gitops.windows import matching
from blocks.kubernetes.api.client import JSON_PATCH, MERGE_PATCH, Cluster
from blocks.kubernetes.api.watch import Seen, Source, watch_until

Json = dict[str, Any]
KIND = "Application"
OVERLOOKED_SECONDS = 3.0


class ByCluster:
    """One Application of a cluster.

    Args:
        cluster: The namespace that Argo CD keeps it in.
        name: Its name.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        """Keep them."""
        self.cluster, self.name = cluster, name

    async def read(self) -> Json | None:
        """Read the Application, or None if it does not exist."""
        return await self.cluster.read(KIND, self.name)

    async def windows(self, application: Json) -> list[Json]:
        """Read the sync windows of its project that are this Application's."""
        home = (application.get("status") or {}).get("controllerNamespace") or self.cluster.namespace
        project = await self._in(str(home)).read("AppProject", str(application["spec"].get("project") or "default"))
        return matching(((project or {}).get("spec") or {}).get("syncWindows") or [], application)

    async def owner(self, owner: Owner) -> Json | None:
        """Read an owner, or None if it does not exist."""
        return await self._in(owner.namespace).read(owner.kind, owner.name)

    async def change(self, application: Json, steps: Sequence[Mapping[str, Any]]) -> None:
        """Change it by JSON Patch; its resourceVersion makes any other change a conflict."""
        same = {"op": "replace", "path": "/metadata/resourceVersion", "value": application["metadata"]["resourceVersion"]}
        await self.cluster.patch(KIND, self.name, [same, *steps], content_type=JSON_PATCH)

    async def refresh(self, application: Json, *, timeout_seconds: float) -> None:
        """Set the annotation that Argo CD removes once it has looked; never `hard`, which drops the caches of all.

        A request that others made may be served by a look that began before, so it is waited for and ours is made after it.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                if is_asked(application):
                    await self._looked()
                await self._annotate("normal")
                await self._looked()
        except TimeoutError:
            raise Temporary(f"Argo CD did not look at {self.cluster.namespace}/{self.name} within {timeout_seconds:g} s") from None

    async def start(self, application: Json, operation: Mapping[str, Any]) -> None:
        """Request an operation."""
        await self.change(application, start_steps(application, operation))

    async def terminate(self, application: Json) -> None:
        """Tell the operation that runs to end, or withdraw it if a sync window blocks it."""
        at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        steps = withdraw_steps(application, at=at) if is_blocked(application) else terminate_steps(application)
        if steps:
            await self.change(application, steps)

    async def wait(self, application: Json | None, *, timeout_seconds: float) -> None:
        """Watch until the Application is not as it was read."""
        version = application["metadata"]["resourceVersion"] if application else None

        def decide(seen: Seen) -> bool | None:
            found = seen[KIND].get(self.name)
            return True if (found["metadata"]["resourceVersion"] if found else None) != version else None

        with contextlib.suppress(TimeoutError):
            source = Source(KIND, KIND, fields=f"metadata.name={self.name}")
            await watch_until(self.cluster, [source], decide, timeout_seconds=timeout_seconds)

    async def _looked(self) -> None:
        """Wait until the annotation is gone; set it anew after a while: Argo CD overlooks one that comes during a look (argo-cd#28414)."""
        loop = asyncio.get_running_loop()
        again = loop.time() + OVERLOOKED_SECONDS
        while (application := await self.read()) is not None and is_asked(application):
            if loop.time() >= again:
                await self._annotate(None)
                await self._annotate("normal")
                again = loop.time() + OVERLOOKED_SECONDS
            await self.wait(application, timeout_seconds=max(again - loop.time(), 0))

    async def _annotate(self, value: str | None) -> None:
        body = {"metadata": {"annotations": {REFRESH: value}}}
        await self.cluster.patch(KIND, self.name, body, content_type=MERGE_PATCH)

    def _in(self, namespace: str) -> Cluster:
        return Cluster(self.cluster.api, namespace, renew=self.cluster.renew)
