"""An Argo CD Application by Argo CD's own API, bounded in time and size.

https://argo-cd.readthedocs.io/en/stable/developer-guide/api-docs/
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from jsonpointer import JsonPointer

from blocks.errors import BadInput, Refused, Temporary, Unreachable, refusing
from blocks.gitops.application import REFRESH, is_asked
from blocks.gitops.operations import is_blocked
from blocks.gitops.owners import Owner
from blocks.gitops.windows import matching, without_zones
from blocks.json_http import Faults, Received, send
from blocks.outside_text import outside

Json = dict[str, Any]
MOST_BYTES = 16_000_000
MOST_WORDS = 500
ANSWER_SECONDS = 15.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 5.0
GOOD = {HTTPStatus.OK}


class ByServer:
    """One Application by Argo CD's API, with the token of an account.

    Args:
        url: Base address.
        token: The account's token.
        namespace: The Application's namespace.
        name: Its name.
        verify_tls: Whether the server's certificate must be trusted.
    """

    def __init__(self, url: str, token: str, namespace: str, name: str, *, verify_tls: bool) -> None:
        """Keep them."""
        self.url, self.namespace, self.name = url, namespace, name
        self._token, self._verify_tls = token, verify_tls

    async def read(self) -> Json | None:
        """Read the Application, or None if it does not exist."""
        return await self._found("GET", self._path())

    async def windows(self, application: Json) -> list[Json]:
        """Read the sync windows of its project that are this Application's; without a right to the project, without time zones."""
        try:
            found = await self._found("GET", f"/api/v1/projects/{quote(str(application['spec'].get('project') or 'default'), safe='')}")
        except Refused:
            said = await self._asked("GET", self._path("/syncwindows"))
            return without_zones(said.get("assignedWindows") or [], said.get("activeWindows") or [], datetime.now(UTC))
        return matching(((found or {}).get("spec") or {}).get("syncWindows") or [], application)

    async def owner(self, owner: Owner) -> Json | None:
        """Read an owner, or None if it does not exist."""
        kind = "applicationsets" if owner.kind == "ApplicationSet" else "applications"
        query = {"appsetNamespace" if owner.kind == "ApplicationSet" else "appNamespace": owner.namespace}
        return await self._found("GET", f"/api/v1/{kind}/{quote(owner.name, safe='')}", query=query)

    async def change(self, application: Json, steps: Sequence[Mapping[str, Any]]) -> None:
        """Write the Application with the steps applied; not validated, as Argo CD would ask Git for that, which may be away."""
        changed = _applied(application, steps)
        await self._asked("PUT", self._path(), query={"validate": "false"}, body=changed)

    async def refresh(self, application: Json, *, timeout_seconds: float) -> None:
        """Ask Argo CD to look at Git; it answers once it has looked.

        It overlooks a request that comes during a look (argo-cd#28414), and the same once more changes nothing, so it is withdrawn.
        """
        del application
        query = {"refresh": "normal"}
        with contextlib.suppress(Unreachable):
            await self._asked("GET", self._path(), query=query, timeout_seconds=timeout_seconds / 2)
            return
        found = await self.read()
        if found is not None and is_asked(found):
            await self.change(found, [{"op": "remove", "path": f"/metadata/annotations/{REFRESH.replace('/', '~1')}"}])
        await self._asked("GET", self._path(), query=query, timeout_seconds=timeout_seconds / 2)

    async def start(self, application: Json, operation: Mapping[str, Any]) -> None:
        """Request an operation; Argo CD adds the account as who began it."""
        sync = operation["sync"]
        body: Json = {"prune": sync["prune"], "strategy": sync["syncStrategy"], "infos": operation["info"]}
        if "revisions" in sync:
            body |= {"revisions": sync["revisions"], "sourcePositions": [str(number + 1) for number in range(len(sync["revisions"]))]}
        else:
            body["revision"] = sync["revision"]
        del application
        await self._asked("POST", self._path("/sync"), body={**body, "appNamespace": self.namespace, "name": self.name})

    async def terminate(self, application: Json) -> None:
        """Tell the operation that runs to end.

        Raises:
            Temporary: A sync window blocks it; Argo CD's API cannot withdraw it then.
        """
        if is_blocked(application):
            raise Temporary("a sync window blocks the operation, so Argo CD terminates it only when the window ends", delay_seconds=30)
        if ((application.get("status") or {}).get("operationState") or {}).get("phase") != "Terminating":
            await self._asked("DELETE", self._path("/operation"), accept={HTTPStatus.BAD_REQUEST})  # none runs any more

    async def wait(self, application: Json | None, *, timeout_seconds: float) -> None:
        """Ask again after 1 s, then at most each 5 s, until the Application is not as it was read."""
        version, pause = _version(application), FIRST_PAUSE_SECONDS
        until = asyncio.get_running_loop().time() + timeout_seconds
        while (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
            if _version(await self.read()) != version:
                return

    def _path(self, below: str = "") -> str:
        return f"/api/v1/applications/{quote(self.name, safe='')}{below}"

    async def _found(self, method: str, path: str, *, query: Mapping[str, str] | None = None) -> Json | None:
        received = await self._send(method, path, query=query)
        return None if received.status == HTTPStatus.NOT_FOUND else self._judged(received, f"{method} {path}")

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        accept: set[HTTPStatus] | None = None,
        timeout_seconds: float | None = None,
    ) -> Json:
        received = await self._send(method, path, query=query, body=body, timeout_seconds=timeout_seconds)
        return {} if received.status in (accept or set()) else self._judged(received, f"{method} {path}")

    async def _send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, timeout_seconds: float | None = None
    ) -> Received:
        headers = {"Authorization": f"Bearer {self._token}"}
        if method != "GET":
            headers["Content-Type"] = "application/json"  # also without a body: Argo CD refuses forms of web pages by it
        timeout_seconds = timeout_seconds or ANSWER_SECONDS
        faults = Faults(
            too_long=f"Argo CD at {self.url} answers with more than {MOST_BYTES:,} bytes, or encoded",
            late=f"Argo CD at {self.url} did not answer {method} {path} within {timeout_seconds:g} s",
            silent=f"Argo CD at {self.url} does not answer {method} {path}",
            field="server",
        )
        return await send(
            method,
            f"{self.url}{path}",
            headers=headers,
            query={"appNamespace": self.namespace, **(query or {})},
            body=body,
            verify_tls=self._verify_tls,
            timeout_seconds=timeout_seconds,
            most_bytes=MOST_BYTES,
            faults=faults,
        )

    def _judged(self, received: Received, what: str) -> Json:
        status, answer = received.status, received.body
        said = outside(answer.get("message", "") if isinstance(answer, dict) else "", limit=MOST_WORDS)
        if status in GOOD and isinstance(answer, dict):
            return answer
        if status == HTTPStatus.UNAUTHORIZED:
            raise refusing(
                BadInput(f"Argo CD at {self.url} does not accept the token", field="token", fix="Make a new one for the account")
            )
        if status == HTTPStatus.FORBIDDEN:
            fix = "Give the account the rights that docs/gitops.md lists"
            raise refusing(Refused(f"Argo CD at {self.url} refuses {what} for {self.namespace}/{self.name}: {said}. {fix}"))
        if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.REQUEST_TIMEOUT} or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"Argo CD at {self.url} answered {what} with {status}: {said}")
        if status in GOOD:
            raise Unreachable(f"the answer of {self.url} to {what} is not that of Argo CD's API")
        raise Refused(f"Argo CD at {self.url} refused {what} with {status}: {said}")


def _version(application: Json | None) -> str | None:
    return str(application["metadata"]["resourceVersion"]) if application else None


def _applied(application: Json, steps: Sequence[Mapping[str, Any]]) -> Json:
    """Apply the steps of a JSON Patch that add, replace and remove members."""
    changed: Json = copy.deepcopy(application)
    for step in steps:
        inside, last = JsonPointer(step["path"]).to_last(changed)
        if step["op"] == "remove":
            del inside[last]
        else:
            inside[last] = step["value"]
    return changed
