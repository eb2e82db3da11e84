"""Whom a rollback tells to stop: what is kept as open, at once; what only tags name, afterwards and not without bound."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tasks.lifecycle import lock
from tasks.lifecycle.kept_runs import keep_open


class Server:
    """A server with ten thousand runs that have every tag that is asked for; counts the requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in for the server."""
        self.requests = 0
        self.runs = [SimpleNamespace(id=uuid4(), tags=[lock.OPEN], name="made up", state=None, run_count=1) for _ in range(10_000)]
        monkeypatch.setattr(lock, "get_client", self.client)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Server]:
        """Give the client."""
        yield self

    async def read_flow_runs(self, *, limit: int, offset: int, **_: Any) -> list[Any]:
        """Answer with made-up runs."""
        self.requests += 1
        return self.runs[offset : offset + limit]

    async def read_flow_run(self, run: Any) -> Any:
        """Answer with a run."""
        self.requests += 1
        return SimpleNamespace(id=run, tags=[lock.OPEN], name="a run")

    async def update_flow_run_labels(self, *_: Any) -> None:
        """Count."""
        self.requests += 1

    async def update_flow_run(self, *_: Any, **__: Any) -> None:
        """Count."""
        self.requests += 1


async def test_before_a_rollback_acts_it_tells_only_what_is_kept_as_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand runs with the tags of a release would hold it up for minutes."""
    server, release = Server(monkeypatch), str(uuid4())
    await keep_open(release, service="shop")
    found = await lock.under_way.fn("shop", besides="rollback")
    assert await lock.request_stop.fn(found, by="rollback") == found == [release]
    assert server.requests <= 3


async def test_what_only_tags_name_is_told_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is left: what it could do to an environment is refused there."""
    server = Server(monkeypatch)
    assert len(await lock.request_stop_by_tags.fn("shop", by="rollback")) == lock.PAGE
    assert server.requests <= 2 + 3 * lock.PAGE
