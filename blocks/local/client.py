"""Talks to the agent of a local environment over its Unix socket, and brings a dead agent back on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import httpx

from blocks.bounded import PLAIN, read_chunks
from blocks.errors import Refused, ShipwayError, Superseded, Temporary, WorldMoved
from blocks.local.agent.launch import check_folder, ensure_agent, short_socket_path, wait_for_end
from blocks.local.state.file import STOPPED, new_state
from blocks.local.state.view import View, view

ANSWER_TIMEOUT_SECONDS = 10.0
LONG_POLL_SECONDS = 20.0
MOST_BYTES = 16_000_000
TRIES = 4
ERRORS: dict[str, type[ShipwayError]] = {kind.__name__: kind for kind in (Refused, Superseded, Temporary, WorldMoved)}


class LocalClient:
    """The client of one environment.

    Args:
        folder: The environment's folder.
        service: The service that it belongs to.
        port: Public port, 0 for the system's choice.
    """

    def __init__(self, folder: Path, *, service: str, port: int) -> None:
        """Keep where the environment is; nothing is opened yet."""
        self.folder, self.service, self.port = folder, service, port

    async def order(self, name: str, **what: Any) -> View:
        """Give one order, which is accepted whole or not at all; giving it again changes nothing.

        Raises:
            Refused, Superseded, WorldMoved, Temporary: As the agent says.
        """
        return cast("View", await self._ask("PUT", "/desired", json={"order": name, **what}))

    async def view(self) -> View:
        """See the environment; one that was stopped, or is yet to be made, is seen without being started."""
        asleep = await asyncio.to_thread(self._asleep)
        return asleep if asleep is not None else cast("View", await self._ask("GET", "/view"))

    async def read(self, path: str) -> Any:
        """Read `/ready` or `/counts`; empty if the environment is stopped."""
        return {} if await asyncio.to_thread(self._asleep) is not None else await self._ask("GET", path)

    async def wait_until(self, condition: Callable[[View], bool], *, timeout_seconds: float) -> View:
        """Wait for a condition on what is seen, without asking more often than things change.

        Args:
            condition: Says of a view whether it is the awaited one.
            timeout_seconds: After this time the last view is returned as it is.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_seconds
        seen = cast("View", await self._ask("GET", "/view"))
        while not condition(seen) and (left := deadline - loop.time()) > 0:
            wait = min(left, LONG_POLL_SECONDS)
            query = {"seen": str(seen["change"]), "wait": f"{wait:.3f}"}
            seen = cast("View", await self._ask("GET", "/view", params=query, timeout=wait + ANSWER_TIMEOUT_SECONDS))
        return seen

    async def stop(self) -> None:
        """Drain and end everything of this environment; its folder stays, and the next order starts it again."""
        if await asyncio.to_thread(self._asleep) is None:
            with suppress(Temporary):  # the answer may be lost with the agent's end; what counts is that it ended
                await self._ask("POST", "/stop")
            await asyncio.to_thread(wait_for_end, self.folder)
            if await asyncio.to_thread(self._asleep) is None:
                raise Temporary(f"{self.service} in {self.folder} was started again while it was being stopped. Stop it again")

    def _asleep(self) -> View | None:
        state = check_folder(self.folder, service=self.service, port=self.port)
        if state is None:
            return view(new_state(self.service, port=self.port), {}, change=0)
        return view(state, {}, change=0) if (self.folder / STOPPED).exists() else None

    async def _ask(self, method: str, path: str, *, timeout: float = ANSWER_TIMEOUT_SECONDS, **what: Any) -> Any:  # noqa: ASYNC109 - httpx's word
        await asyncio.to_thread(check_folder, self.folder, service=self.service, port=self.port)
        for _ in range(TRIES):
            try:
                with short_socket_path(self.folder) as socket_path:
                    transport = httpx.AsyncHTTPTransport(uds=socket_path, verify=False)
                    async with (
                        asyncio.timeout(timeout),
                        httpx.AsyncClient(
                            transport=transport, base_url="http://agent", timeout=timeout, trust_env=False, headers=PLAIN
                        ) as client,
                        client.stream(method, path, **what) as answer,
                    ):
                        return _content(answer, *await read_chunks(answer.aiter_raw(), most_bytes=MOST_BYTES))
            except (httpx.TransportError, FileNotFoundError, TimeoutError):
                await asyncio.to_thread(ensure_agent, self.folder, service=self.service, port=self.port)
        message = f"the agent in {self.folder} does not answer; its log says why"
        raise Temporary(message, delay_seconds=2)


def _content(answer: httpx.Response, body: bytes, cut: bool) -> Any:  # noqa: FBT001 - as `read_chunks` gives it
    if answer.status_code == httpx.codes.CONFLICT:
        said = json.loads(body)
        raise ERRORS[said["error"]](said["message"])
    if answer.is_error or cut:
        raise Temporary(f"the agent failed over {answer.request.url.path} with status {answer.status_code}; its log says why")
    return json.loads(body)
