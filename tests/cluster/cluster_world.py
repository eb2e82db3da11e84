"""A namespace of a real cluster for one test: manifests applied as a user would, podinfo in it, and a visitor who counts answers.

Everything here acts as the field manager `kubectl`, so that Shipway meets objects that belong to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx

from blocks.kubernetes.api.client import APPLY, MERGE_PATCH, Cluster
from blocks.kubernetes.api.errors import Changed, Missing
from blocks.kubernetes.api.watch import Seen, Source, watch_until
from blocks.kubernetes.objects.diagnosis import is_rolled_out

Json = dict[str, Any]
IMAGE = "ghcr.io/stefanprodan/podinfo"
PORT = 9898
PATH = {"name": "PATH", "value": "/home/app:/usr/local/bin:/usr/bin:/bin"}  # where podinfo's images keep the program, for a `command`
READY_SECONDS = 60.0
MANAGER = "kubectl"
IRREGULAR = {"ValidatingAdmissionPolicy": "validatingadmissionpolicies"}
CLUSTER_WIDE = {"Namespace", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ClusterRole", "ClusterRoleBinding"}


class Gateway(NamedTuple):
    """The cluster's Gateway, and where a client outside reaches it."""

    namespace: str
    name: str
    url: str
    metrics_url: str


@dataclass
class World:
    """One namespace.

    Fields:
        cluster: The client, as the cluster's administrator.
        namespace: Its name, which no other test has.
    """

    cluster: Cluster
    namespace: str

    async def apply(self, *manifests: Json, manager: str = MANAGER) -> None:
        """Apply manifests on the server's side, in their order."""
        for manifest in manifests:
            query = {"fieldManager": manager, "force": "true"}
            await self.cluster.call("PATCH", path_of(manifest, self.namespace), body=manifest, query=query, content_type=APPLY)

    async def merge(self, kind: str, name: str, patch: Json, *, manager: str = MANAGER) -> None:
        """Change an object as someone with `kubectl edit` would."""
        path = self.cluster.path(kind, name)
        await self.cluster.call("PATCH", path, body=patch, query={"fieldManager": manager}, content_type=MERGE_PATCH)

    async def remove(self, manifest: Json) -> None:
        """Delete what a manifest names, without waiting for its end."""
        with contextlib.suppress(Missing):
            await self.cluster.call("DELETE", path_of(manifest, self.namespace), query={"propagationPolicy": "Background"})

    async def podinfo(
        self,
        version: str = "6.9.0",
        *,
        name: str = "podinfo",
        replicas: int = 1,
        args: Sequence[str] = (),
        change: Mapping[str, Any] | None = None,
        ready: bool = True,
    ) -> None:
        """Apply podinfo's Deployment and Service, and wait for them.

        Args:
            version: The image's tag.
            name: The name of Deployment and Service.
            replicas: How many pods.
            args: Arguments after the port's, as `--random-error`.
            change: Fields of the Deployment's spec besides.
            ready: Whether to wait until it is rolled out.
        """
        await self.apply(deployment(name, version, replicas=replicas, args=args, change=change), service(name))
        if ready:
            await self.rolled_out(name)

    async def rolled_out(self, name: str = "podinfo", *, kind: str = "Deployment") -> Json:
        """Wait until a workload runs its newest template everywhere, and give it."""

        def decide(seen: Seen) -> Json | None:
            found = seen["workload"].get(name)
            return found if found is not None and is_rolled_out({**found, "kind": kind}) else None

        return await watch_until(
            self.cluster, [Source("workload", kind, fields=f"metadata.name={name}")], decide, timeout_seconds=READY_SECONDS
        )

    async def pods(self, name: str = "podinfo") -> list[Json]:
        """List the pods of a podinfo that are there to stay."""
        found = await self.cluster.list("Pod", labels=f"app={name}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    async def route(self, gateway: Gateway, *, name: str = "podinfo", backends: Mapping[str, int] | None = None) -> str:
        """Apply an HTTPRoute with a path of this namespace alone, wait until it answers, and give its URL.

        Args:
            gateway: What it hangs on.
            name: Its name, and that of its only Service where `backends` names none.
            backends: Weights by Service.
        """
        path = f"/{self.namespace}/{name}"
        await self.apply(http_route(gateway, name, path=path, backends=backends or {name: 1}))
        url = f"{gateway.url}{path}"
        await answering(url)
        return url


def path_of(manifest: Json, namespace: str) -> str:
    """Return the API's path of what a manifest describes."""
    kind, version, name = manifest["kind"], manifest["apiVersion"], manifest["metadata"]["name"]
    group = f"/apis/{version}" if "/" in version else f"/api/{version}"
    plural = IRREGULAR.get(kind, f"{kind.lower()}s")
    inside = "" if kind in CLUSTER_WIDE else f"/namespaces/{manifest['metadata'].get('namespace', namespace)}"
    return f"{group}{inside}/{plural}/{name}"


def deployment(
    name: str, version: str, *, replicas: int = 1, args: Sequence[str] = (), change: Mapping[str, Any] | None = None, image: str = IMAGE
) -> Json:
    """Write podinfo's Deployment, which starts and stops in about a second."""
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": _metadata(name),
            "spec": {"terminationGracePeriodSeconds": 2, "containers": [_container(version, args, image)]},
        },
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {**spec, **(change or {})}}


def _metadata(name: str) -> Json:
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(PORT)}
    return {"labels": {"app": name}, "annotations": scraped}


def _container(version: str, args: Sequence[str], image: str) -> Json:
    probe = {"httpGet": {"path": "/readyz", "port": PORT}, "periodSeconds": 1, "failureThreshold": 3}
    return {
        "name": "podinfo",
        "image": f"{image}:{version}",
        "imagePullPolicy": "IfNotPresent",
        "env": [_variable(one) for one in ("--level=warn", *args)],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": probe,
    }


def _variable(arg: str) -> Json:
    """Write an argument as the variable that means the same: podinfo's published image has no entrypoint that could take arguments."""
    name, _, value = arg.removeprefix("--").partition("=")
    return {"name": f"PODINFO_{name.replace('-', '_').upper()}", "value": value or "true"}


def service(name: str, *, selector: Mapping[str, str] | None = None, type: str = "ClusterIP") -> Json:  # noqa: A002 - the API's word
    """Write a Service on port 80 for podinfo's pods."""
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    spec = {"type": type, "selector": dict(selector or {"app": name}), "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def http_route(gateway: Gateway, name: str, *, path: str, backends: Mapping[str, int]) -> Json:
    """Write an HTTPRoute that cuts its path prefix off and splits what comes by weights."""
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "filters": [rewrite],
        "backendRefs": [{"name": one, "port": 80, "weight": weight} for one, weight in backends.items()],
    }
    spec = {"parentRefs": [{"name": gateway.name, "namespace": gateway.namespace}], "rules": [rule]}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


async def answering(url: str, *, timeout_seconds: float = READY_SECONDS) -> None:
    """Ask a URL until it answers with 200 several times in a row: nothing tells a client outside when a gateway has taken a route in."""
    good = 0
    async with asyncio.timeout(timeout_seconds), httpx.AsyncClient(verify=False, trust_env=False, timeout=5) as client:  # noqa: S501
        while good < 3:
            try:
                good = good + 1 if (await client.get(f"{url}/version")).status_code == httpx.codes.OK else 0
            except httpx.HTTPError:
                good = 0
            await asyncio.sleep(0.02)


class Answer(NamedTuple):
    """One request: when it was sent (seconds since the epoch), its status (0 without an answer), the version that gave it, or ""."""

    at: float
    status: int
    version: str


@dataclass
class Visitor:
    """Someone who asks for `/version` so many times a second, whatever comes back, and remembers it.

    Fields:
        url: The service's address.
        per_second: Requests a second, sent on time also while earlier ones are unanswered.
        keep_alive: Whether connections are used again; a Service without a gateway splits connections, not requests.
        answers: What came back, in the order of the answers.
    """

    url: str
    per_second: float = 50.0
    keep_alive: bool = True
    answers: list[Answer] = field(default_factory=list)

    @property
    def bad(self) -> list[Answer]:
        """The answers that were none, or were errors."""
        return [one for one in self.answers if one.status != httpx.codes.OK]

    @property
    def versions(self) -> set[str]:
        """The versions that answered well."""
        return {one.version for one in self.answers if one.status == httpx.codes.OK}

    def since(self, moment: float) -> list[Answer]:
        """Return the answers to what was sent since a moment, in seconds since the epoch."""
        return [one for one in self.answers if one.at >= moment]

    @contextlib.asynccontextmanager
    async def visiting(self) -> AsyncIterator[Visitor]:
        """Visit in the background; at the end wait for what is still unanswered."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50 if self.keep_alive else 0)
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=10, limits=limits) as client:  # noqa: S501
            open_requests: set[asyncio.Task[None]] = set()
            round_trip = asyncio.create_task(self._send(client, open_requests))
            try:
                yield self
            finally:
                round_trip.cancel()
                await asyncio.gather(round_trip, *open_requests, return_exceptions=True)

    async def _send(self, client: httpx.AsyncClient, open_requests: set[asyncio.Task[None]]) -> None:
        due = time.monotonic()
        while True:
            task = asyncio.create_task(self._ask(client))
            open_requests.add(task)
            task.add_done_callback(open_requests.discard)
            due += 1 / self.per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _ask(self, client: httpx.AsyncClient) -> None:
        at = time.time()
        try:
            response = await client.get(f"{self.url}/version")
            version = str(response.json()["version"]) if response.status_code == httpx.codes.OK else ""
            self.answers.append(Answer(at, response.status_code, version))
        except (httpx.HTTPError, ValueError, KeyError):
            self.answers.append(Answer(at, 0, ""))


async def make_namespace(cluster: Cluster) -> None:
    """Make the cluster's namespace, with the account that pods need, which the cluster may give it later."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}}
    await cluster.call("POST", "/api/v1/namespaces", body=namespace)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    with contextlib.suppress(Changed):  # the cluster was faster
        await cluster.call("POST", f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts", body=account)


async def drop_namespace(cluster: Cluster) -> None:
    """Delete the namespace in the background."""
    with contextlib.suppress(Missing):
        await cluster.call("DELETE", f"/api/v1/namespaces/{cluster.namespace}", body={"propagationPolicy": "Background"})
