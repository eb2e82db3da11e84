"""Watches on a real cluster: they go on after every fault, list no more than they must, and end with whoever asked."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
from urllib3 import HTTPHeaderDict

from blocks.errors import BadInput
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.watch import Again, Seen, Source, watch_until
from tests.cluster.cluster_world import World
from tests.cluster.cut_line import line_to

pytestmark = pytest.mark.cluster
SERVICES = [Source("services", "Service")]


class Recording(Cluster):
    """A client that remembers what it asked: `list`, or the place from which a watch went on."""

    def __init__(self, cluster: Cluster, *, stale: bool = False) -> None:
        """Ask the first watch for a place that is too old, where `stale`."""
        super().__init__(cluster.api, cluster.namespace)
        self.asked: list[str] = []
        self._stale = stale

    def send(self, method: str, path: str, *, query: Mapping[str, str] | None = None, **more: Any) -> Any:
        """Remember and ask."""
        asked = dict(query or {})
        self.asked.append(asked.get("resourceVersion", "") if "watch" in asked else "list")
        if self._stale and "watch" in asked:
            self._stale, asked["resourceVersion"] = False, "1"
        return super().send(method, path, query=asked, **more)


def service(name: str) -> dict[str, Any]:
    """Write a Service without pods."""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}


def has(name: str) -> Any:
    """Decide that an object is there; gives the moment."""
    return lambda seen: time.monotonic() if name in seen["services"] else None


async def test_a_change_is_seen_as_soon_as_it_is_made(world: World) -> None:
    """Nothing is polled: a second after a write, at the latest, the decision has fallen, with one list and one watch."""
    cluster = Recording(world.cluster)
    waiting = asyncio.create_task(watch_until(cluster, SERVICES, has("late"), timeout_seconds=20))
    await asyncio.sleep(1)
    written = time.monotonic()
    await world.apply(service("late"))
    assert await waiting - written < 1
    assert cluster.asked[0] == "list"
    assert len(cluster.asked) == 2


async def test_a_cut_stream_goes_on_from_its_last_place(world: World) -> None:
    """What happened while no one watched is seen after the line is back, without another list."""
    async with line_to(world.cluster) as line:
        cluster = Recording(line.cluster)
        waiting = asyncio.create_task(watch_until(cluster, SERVICES, has("late"), timeout_seconds=20))
        await world.apply(service("early"))
        await asyncio.sleep(0.5)
        line.cut()
        await asyncio.sleep(0.5)
        line.open = False
        line.cut()
        await world.apply(service("late"))
        await asyncio.sleep(1)
        assert not waiting.done()
        line.open = True
        began = time.monotonic()
        assert await waiting - began < 5
        assert cluster.asked.count("list") == 1
        assert len(cluster.asked) > 2


async def test_the_server_may_be_away_when_the_watch_begins(world: World) -> None:
    """A list that fails, or breaks off, is tried again until the time is up."""
    await world.apply(service("there"))
    async with line_to(world.cluster) as line:
        line.open = False
        waiting = asyncio.create_task(watch_until(line.cluster, SERVICES, has("there"), timeout_seconds=20))
        await asyncio.sleep(1)
        line.open = True
        began = time.monotonic()
        assert await waiting - began < 5


async def test_a_place_that_is_too_old_is_listed_anew(world: World) -> None:
    """410 Gone costs one more list, and no change is missed, neither what came nor what went meanwhile."""
    cluster = Recording(world.cluster, stale=True)
    await world.apply(service("gone"))
    seen_gone = asyncio.Event()

    def decide(seen: Seen) -> bool | None:
        if "gone" in seen["services"]:
            seen_gone.set()
            return None
        return True if "late" in seen["services"] else None

    waiting = asyncio.create_task(watch_until(cluster, SERVICES, decide, timeout_seconds=20))
    await asyncio.wait_for(seen_gone.wait(), 5)
    await world.remove(service("gone"))
    await world.apply(service("late"))
    assert await waiting
    assert cluster.asked.count("list") == 2


async def test_a_decision_may_ask_for_another_look(world: World) -> None:
    """`Again` is asked after its time even if nothing changes."""
    began = time.monotonic()

    def decide(_: Seen) -> bool | Again:
        return True if time.monotonic() - began > 1 else Again(0.3)

    assert await watch_until(world.cluster, SERVICES, decide, timeout_seconds=20)
    assert time.monotonic() - began < 3


async def test_threads_end_with_the_watch_however_it_ends(world: World) -> None:
    """A decision, the end of the time, an error of the decision and a cancellation leave no thread behind."""

    def fail(_: Seen) -> None:
        raise BadInput("no", field="decision", fix="Decide")

    await watch_until(world.cluster, SERVICES, lambda _: True, timeout_seconds=5)
    with pytest.raises(TimeoutError):
        await watch_until(world.cluster, SERVICES, lambda _: None, timeout_seconds=0.5)
    with pytest.raises(BadInput):
        await watch_until(world.cluster, SERVICES, fail, timeout_seconds=5)
    waiting = asyncio.create_task(watch_until(world.cluster, SERVICES, lambda _: None, timeout_seconds=20))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    deadline = time.monotonic() + 5
    for thread in [one for one in threading.enumerate() if one.name.startswith("watch ")]:
        await asyncio.to_thread(thread.join, deadline - time.monotonic())
        assert not thread.is_alive()


async def test_bookmarks_move_the_place_and_wake_no_one(world: World) -> None:
    """A bookmark of the server is where the next stream begins, though nothing of ours changed."""
    cluster, decisions = Recording(world.cluster), []
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Service", "metadata": {"resourceVersion": "987654321"}}}

    class Stream:
        """A stream that has one bookmark and ends."""

        status, connection, headers = 200, None, HTTPHeaderDict()

        def stream(self, **_: Any) -> Any:
            yield json.dumps(bookmark).encode()[:20]
            yield json.dumps(bookmark).encode()[20:] + b"\n"

        def close(self) -> None:
            """Be closed."""

    def send(method: str, path: str, *, query: Mapping[str, str] | None = None, **more: Any) -> Any:
        answer = Recording.send(cluster, method, path, query=query, **more)
        return Stream() if len(cluster.asked) == 2 else answer

    cluster.send = send  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        await watch_until(cluster, SERVICES, lambda seen: decisions.append(dict(seen)), timeout_seconds=1.5)
    assert cluster.asked[2] == "987654321"
    assert len(decisions) == 1
