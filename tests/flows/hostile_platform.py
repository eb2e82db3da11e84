"""A platform in memory that logs, fails and answers in the words of a test."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr

from blocks.errors import RolloutFailed, Superseded
from blocks.hidden_values import hide_values
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position


class World:
    """What one environment is, and what its service and its platform say."""

    def __init__(self) -> None:
        """Serve the first version."""
        self.text = ""
        self.lines: list[str] = []  # more that it logs
        self.error: BaseException | None = None  # raised where it fails, in place of its own
        self.fails_at = ""
        self.forgeries: list[BaseException] = []  # each raised once by an effect of a rollback, as if others had taken the lease
        self.forged_owner = "x"
        self.reset("1.0")

    def reset(self, baseline: str) -> None:
        """Serve a version, owned by no one."""
        self.position = Position(baseline=baseline, canary=None, percent=0, ready={baseline: True}, previous=None, owner=None, generation=0)


class HostilePlatform(Block):
    """Keeps its worlds in this process, by the block's name."""

    _block_type_name = "Hostile platform, for tests"
    _block_type_slug = "hostile"
    worlds: ClassVar[dict[str, World]] = {}
    url: ClassVar[str] = ""

    model_config = ConfigDict(json_schema_extra=hide_values)

    name: str
    environment: dict[str, SecretStr] = Field(default_factory=dict)

    @property
    def world(self) -> World:
        """The environment."""
        return self.worlds[self.name]

    async def current(self) -> Position:
        """Read a copy."""
        return self.world.position.copy()

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Become the owner."""
        position = self.world.position
        if position["owner"] not in {None, owner} and not takeover:
            raise Superseded(self.world.text)
        position.update(owner=owner, generation=position["generation"] + 1)
        return Lease(owner=owner, generation=position["generation"])

    async def release_lease(self, lease: Lease) -> None:
        """Give it up."""
        if lease["owner"] == self.world.position["owner"]:
            self.world.position["owner"] = None

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Bring a canary up, or fail in the words of the test."""
        del lease, timeout_seconds
        self._act("prepare" if version != "1.0" else "", canary=version, percent=0)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Move the traffic."""
        del lease
        self._act("shift" if percent and self.world.position["canary"] != "1.0" else "", percent=percent)

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline."""
        del lease
        position = self.world.position
        if position["canary"]:
            self._act("", baseline=position["canary"], canary=None, percent=0, previous=position["baseline"])

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Take the canary away."""
        del lease, waits
        self._act("", canary=None, percent=0)

    async def endpoints(self) -> Endpoints:
        """Say where each is reached; the path says which version answers."""
        position = self.world.position
        baseline, canary = (f"{self.url}/{quote(str(position[role]), safe='')}" for role in ("baseline", "canary"))
        found = Endpoints(public=baseline, baseline=baseline)
        return Endpoints(**found, canary=canary) if position["canary"] else found

    async def counts(self) -> dict[str, Counts]:
        """Count no request."""
        return {version: Counts(started="a", requests=0, errors=0, buckets={}) for version in self.world.position["ready"]}

    async def progress(self) -> list[str]:
        """Say it in the words of the test."""
        return [self.world.text]

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
        """Log the test's words as an error of every version but the first."""
        position = self.world.position
        version = str(position["canary"] or position["baseline"])
        says_errors = self.world.fails_at == "logs" and version != "1.0"
        texts = [f"ERROR {text} ERROR" for text in (self.world.text, *self.world.lines)] if says_errors else ["INFO well"]
        for text in texts:
            take(LogLine(at=since, version=version, text=text))
        return {}

    async def run_job(self, manifest: dict[str, Any], lease: Lease, *, name: str, timeout_seconds: float) -> list[str]:
        """Run a Job that writes the words of the test, or fails with them."""
        del manifest, lease, name, timeout_seconds
        if self.world.fails_at == "job":
            raise RolloutFailed(f"the job failed: {self.world.text}", evidence=(self.world.text,))
        return [self.world.text]

    def _act(self, point: str, **changes: Any) -> None:
        if self.world.forgeries and not point:
            self.world.position["owner"] = self.world.forged_owner
            raise self.world.forgeries.pop()
        if self.world.error and self.world.fails_at == point and point:
            raise self.world.error
        if self.world.fails_at == point == "prepare":
            raise RolloutFailed(self.world.text, evidence=(self.world.text,))
        if self.world.fails_at == point == "shift":
            raise OSError(self.world.text)
        position: Any = self.world.position
        position.update(changes)
        position["ready"] = {version: True for version in (position["baseline"], position["canary"]) if version}


@contextmanager
def hostile_service(worlds: dict[str, World]) -> Iterator[str]:
    """Answer `/VERSION/version` with the version, but for the first in the words of a world that fails at `body` or `illegal`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = unquote(self.path.split("/")[1])
            illegal = next((world.text for world in worlds.values() if world.fails_at == "illegal"), None)
            if illegal is not None and version != "1.0":
                self.wfile.write(f"HTTP/1.1 200 OK\r\nX-Said: \x00 {illegal}\r\n\r\n".encode("utf-8", "replace"))
                return
            bad = next((world.text for world in worlds.values() if world.fails_at == "body"), None)
            body = json.dumps({"version": version if bad is None or version == "1.0" else bad}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            for world in worlds.values():
                said = re.sub(r"[\x00-\x1f\x7f]", " ", world.text[:2_000]).strip()
                self.send_header("X-Said", said.encode("utf-8", "replace").decode("latin-1"))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
