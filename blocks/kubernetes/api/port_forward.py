"""Port forward to one revision: a local address whose connections end at one of its ready pods.

Like `kubectl port-forward`, it goes through the API server and needs no route, Service or node port; unlike it, each connection finds a pod
anew, so that a restarted or replaced pod only costs the connections that it had. Every user of this machine can use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import weakref
from collections.abc import Mapping
from typing import Any

from aiohttp import ClientSession

from blocks.errors import BadInput, ShipwayError
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.tunnel import LOG, Broken, close_tunnel, open_session, open_tunnel, pipe, ssl_context

Json = dict[str, Any]
LOOPBACK = "127.0.0.1"
PODS_SECONDS = 0.5
MOST_TRIES = 3
READ_BYTES = 262_144
VERBS = ("create", "get")
_Key = tuple[str, str, str, int]
_OPEN: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, _Forward]] = weakref.WeakKeyDictionary()


async def forward(cluster: Cluster, *, selector: str, port: int) -> str:
    """Open a local address, `http://127.0.0.1:PORT`, for the ready pods of a selector.

    It stays open, and is the same for the same pods, until its event loop ends or `close` is called. A connection without a
    ready pod, or which the cluster breaks, is closed; it never hangs.

    Args:
        cluster: Where the pods are.
        selector: Their labels, as the API's `labelSelector`.
        port: Their container's port.

    Raises:
        BadInput: The account may not forward ports; names the rule to add.
        Temporary: The API server does not answer.
    """
    mine = _OPEN.setdefault(asyncio.get_running_loop(), {})
    key = (cluster.host, cluster.namespace, selector, port)
    found = mine.get(key)
    if found is None or found.life.done():
        found = mine[key] = _Forward(cluster, selector, port)
    found.cluster = cluster  # its credentials may be newer
    try:
        return await asyncio.shield(found.address)
    except BaseException:
        if found.address.done() and mine.get(key) is found:
            del mine[key]
        raise


async def close() -> None:
    """Close every address of this event loop and the connections through them."""
    mine = _OPEN.pop(asyncio.get_running_loop(), {})
    for found in mine.values():
        found.life.cancel()
    await asyncio.gather(*(found.life for found in mine.values()), return_exceptions=True)


class _Forward:
    """One listener; runs as a task, which ends at the latest with the event loop."""

    def __init__(self, cluster: Cluster, selector: str, port: int) -> None:
        self.cluster, self.selector, self.port = cluster, selector, port
        self.address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.connections: set[asyncio.Task[None]] = set()
        self.pods: list[str] = []
        self.listed_at = float("-inf")
        self.listing = asyncio.Lock()
        self.turn = itertools.count()
        self.life = asyncio.create_task(self._live(), name=f"forward to {selector}")

    async def _live(self) -> None:
        try:
            await _expect_rights(self.cluster)
            context = await asyncio.to_thread(ssl_context, self.cluster.api)
            async with open_session(context) as session, await self._listen(session) as server:
                self.address.set_result(f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}")
                try:
                    await asyncio.Event().wait()
                finally:
                    server.close()
                    await self._hang_up()
        except Exception as error:
            if self.address.done():
                raise
            self.address.set_exception(error)
        finally:
            if not self.address.done():
                self.address.cancel()

    async def _listen(self, session: ClientSession) -> asyncio.Server:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = asyncio.create_task(self._serve(session, reader, writer))
            self.connections.add(connection)
            connection.add_done_callback(self.connections.discard)

        return await asyncio.start_server(accept, LOOPBACK, 0, limit=READ_BYTES, backlog=256)

    async def _hang_up(self) -> None:
        for connection in self.connections:
            connection.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    async def _serve(self, session: ClientSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection; a broken one is reset, so that a client does not take a part of an answer for the whole."""
        tunnel = None
        try:
            tunnel = await self._reach(session)
            await pipe(tunnel, reader, writer)
        except ShipwayError as error:
            LOG.info("A connection to %s in %s was closed: %s", self.selector, self.cluster.namespace, error)
            writer.transport.abort()
        finally:
            writer.close()
            if tunnel is not None:
                await close_tunnel(tunnel)
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _reach(self, session: ClientSession) -> Any:
        """Open a tunnel to a ready pod; if that one has just been deleted, to another."""
        tried: dict[str, Broken] = {}
        while True:
            pod = await self._choose(tried)
            try:
                return await open_tunnel(session, self.cluster, pod, self.port)
            except Broken as error:
                tried[pod] = error
                self.listed_at = float("-inf")
                if len(tried) == MOST_TRIES:
                    raise

    async def _choose(self, tried: Mapping[str, Broken]) -> str:
        async with self.listing:  # one list serves all connections that come at once
            if asyncio.get_running_loop().time() - self.listed_at > PODS_SECONDS:
                found = await self.cluster.list("Pod", labels=self.selector)
                self.pods = sorted(pod["metadata"]["name"] for pod in found if is_ready(pod))
                self.listed_at = asyncio.get_running_loop().time()
        left = [pod for pod in self.pods if pod not in tried]
        if not left:
            self.listed_at = float("-inf")
            raise next(iter(tried.values()), None) or Broken(f"no pod of {self.selector} in {self.cluster.namespace} is ready")
        return left[next(self.turn) % len(left)]


def is_ready(pod: Json) -> bool:
    """Return whether a pod takes requests."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


async def _expect_rights(cluster: Cluster) -> None:
    """Check our rights before the first connection: one that is refused later could not report why.

    A WebSocket is a GET, for which older servers require the verb `get`; newer ones require `create` as for other port forwards.
    """
    for verb in VERBS:
        attributes = {"namespace": cluster.namespace, "verb": verb, "resource": "pods", "subresource": "portforward"}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        answer = await cluster.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review)
        if not answer["status"].get("allowed"):
            rule = '{apiGroups: [""], resources: ["pods/portforward"], verbs: ["create", "get"]}'
            fix = f"Add the rule {rule} to its Role in this namespace; docs/kubernetes-role.yaml has the whole Role"
            raise BadInput(f"this account may not {verb} pods/portforward", field="access", fix=fix)
