"""Client of one cluster: plain JSON in and out, over the official client's credentials and connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlencode

from blocks.bounded import EncodedError, TooLongError, read_open
from blocks.errors import Unreachable
from blocks.kubernetes.api.errors import Missing, error_of, unanswered

Json = dict[str, Any]
T = TypeVar("T")
CALL_TIMEOUT_SECONDS = 10.0
READ_SECONDS = 60.0
MOST_BYTES, MOST_ERROR_BYTES = 256_000_000, 1_000_000  # a list of 5,000 pods has about 50 MB
MANAGER = "shipway"
APPLY, JSON_PATCH, MERGE_PATCH = "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"
KINDS = {
    "Deployment": ("apis/apps/v1", "deployments"),
    "StatefulSet": ("apis/apps/v1", "statefulsets"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "ControllerRevision": ("apis/apps/v1", "controllerrevisions"),
    "Pod": ("api/v1", "pods"),
    "Service": ("api/v1", "services"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "Event": ("api/v1", "events"),
    "Job": ("apis/batch/v1", "jobs"),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices"),
    "HTTPRoute": ("apis/gateway.networking.k8s.io/v1", "httproutes"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "Application": ("apis/argoproj.io/v1alpha1", "applications"),
    "ApplicationSet": ("apis/argoproj.io/v1alpha1", "applicationsets"),
    "Rollout": ("apis/argoproj.io/v1alpha1", "rollouts"),
    "AppProject": ("apis/argoproj.io/v1alpha1", "appprojects"),
}
# The official client blocks; its calls run here, so that a slow cluster does not block the process's other threads. Not more at once:
# threads that all compute, as when connections are made, keep the event loop waiting for its turn.
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="kubernetes")


class Asked(TypedDict, total=False):
    """Options of a call beside its method and path; `Cluster.send` has the defaults."""

    body: Any
    query: Mapping[str, str] | None
    content_type: str
    timeout_seconds: float


class Cluster:
    """One namespace of a cluster.

    Args:
        api: The official client, from `connect`.
        namespace: The namespace of all objects.
        renew: Makes a fresh client, which is tried once on status 401; None if there is no other.
    """

    def __init__(self, api: Any, namespace: str, *, renew: Callable[[], Any] | None = None) -> None:
        """Keep them."""
        self.api, self.namespace, self.renew = api, namespace, renew

    @property
    def host(self) -> str:
        """The API server's address."""
        return str(self.api.configuration.host)

    def path(self, kind: str, name: str = "", *, below: str = "") -> str:
        """Return the path of an object, of a collection, or of what is below an object."""
        group, plural = KINDS[kind]
        parts = [group, "namespaces", self.namespace, plural, *([name] if name else []), *([below] if below else [])]
        return "/" + "/".join(quote(part, safe="/:.") for part in parts)

    async def read(self, kind: str, name: str) -> Json | None:
        """Read an object, or None if it does not exist."""
        try:
            found = await self.call("GET", self.path(kind, name))
        except Missing:
            return None
        if not isinstance(found.get("metadata"), dict):
            raise Unreachable(f"what answers as the API server gave no {kind}; a proxy may stand before it")
        return found

    async def list(self, kind: str, *, labels: str = "", fields: str = "") -> list[Json]:
        """List the objects of a kind, by label and field selectors."""
        found = await self.call("GET", self.path(kind), query={"labelSelector": labels, "fieldSelector": fields})
        if not isinstance(items := found.get("items"), list):
            raise Unreachable(f"what answers as the API server gave no list of {kind}; a proxy may stand before it")
        return items

    async def patch(
        self, kind: str, name: str, body: Any, *, content_type: str, dry_run: bool = False, force: bool | None = None, status: str = ""
    ) -> Json:
        """Patch or apply an object as the field manager `shipway`."""
        query = {"fieldManager": MANAGER, "dryRun": "All" if dry_run else "", "force": "" if force is None else str(force).lower()}
        return await self.call("PATCH", self.path(kind, name, below=status), body=body, query=query, content_type=content_type)

    async def delete(self, kind: str, found: Json) -> None:
        """Delete exactly this object as it was read; a no-op if it does not exist."""
        metadata = found["metadata"]
        exactly = {name: metadata[name] for name in ("uid", "resourceVersion")}
        body = {"preconditions": exactly, "propagationPolicy": "Background"}
        try:
            await self.call("DELETE", self.path(kind, metadata["name"]), body=body)
        except Missing:
            return

    async def call(self, method: str, path: str, **asked: Unpack[Asked]) -> Json:
        """Send one request and return the JSON answer; the errors are those of `error_of`, and `Unreachable` without an answer."""

        def ask() -> Json:  # a list of thousands is parsed here, too, outside the event loop
            content = self.whole(method, path, **asked)
            try:
                found = json.loads(content)
            except (ValueError, RecursionError):
                found = None
            if not isinstance(found, dict):
                raise Unreachable(f"the API server's answer to {method} {path} is not a JSON object")
            return found

        return await _in_thread(ask, to_its_end=method != "GET")

    async def content(self, method: str, path: str, **asked: Unpack[Asked]) -> bytes:
        """Send one request and return the answer as bytes."""

        def ask() -> bytes:
            return self.whole(method, path, **asked)

        return await _in_thread(ask)

    def whole(self, method: str, path: str, **asked: Unpack[Asked]) -> bytes:
        """Send a request, blocking, and return the whole body."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        answer = self.send(method, path, **asked)
        try:
            return _body_of(answer, most_bytes=MOST_BYTES)
        except (HTTPError, OSError, TooLongError, EncodedError) as error:
            raise Unreachable(f"the API server at {self.host} broke off its answer to {method} {path}: {type(error).__name__}") from error

    def send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        timeout_seconds: float = CALL_TIMEOUT_SECONDS,
    ) -> Any:
        """Send a request, blocking, and return urllib3's open answer, whose body is not read yet."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        def ask() -> Any:
            url, headers = self.signed(method, path, query)
            headers["Content-Type"] = content_type
            return self.api.call_api(method, url, header_params=headers, body=body, _request_timeout=(5, timeout_seconds)).response

        try:
            answer = ask()
            if answer.status == HTTPStatus.UNAUTHORIZED and self.renew is not None:
                answer.release_conn()
                self.api = self.renew()
                answer = ask()
            if answer.status < HTTPStatus.BAD_REQUEST:
                return answer
            content = _body_of(answer, most_bytes=MOST_ERROR_BYTES)
        except (HTTPError, OSError, TooLongError, EncodedError) as error:
            raise unanswered(self.host, f"{method} {path}", getattr(error, "reason", None) or error) from error
        raise error_of(answer.status, content, what=f"{method} {path.partition('/namespaces/')[2] or path}")

    def signed(self, method: str, path: str, query: Mapping[str, str] | None) -> tuple[str, dict[str, str]]:
        """Return the URL of a path and the headers with the credentials."""
        asked = {name: value for name, value in (query or {}).items() if value}
        accept = {"Accept": "application/json"}
        _, url, headers, _, _ = self.api.param_serialize(method, path, header_params=accept, auth_settings=["BearerToken"])
        return f"{url}?{urlencode(asked)}" if asked else url, dict(headers)


def _body_of(answer: Any, *, most_bytes: int) -> bytes:
    """Read a body as it came, and give its connection back for another request, or close it if it is not read to its end."""
    try:
        content = read_open(answer, headers=answer.headers, most_bytes=most_bytes, seconds=READ_SECONDS)
    except BaseException:
        answer.close()
        raise
    answer.release_conn()
    return content


async def _in_thread(ask: Callable[[], T], *, to_its_end: bool = False) -> T:
    """Run a blocking call in a thread; a cancellation drops a call that has not started, and waits for a write to end.

    So no late write happens behind the next step, for example a rollback.
    """
    sent = _THREADS.submit(ask)
    asked = asyncio.wrap_future(sent)
    if not to_its_end:
        return await asked
    try:
        return await asyncio.shield(asked)
    except asyncio.CancelledError:
        if not sent.cancel():
            while not asked.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([asked])
            asked.exception()
        raise
