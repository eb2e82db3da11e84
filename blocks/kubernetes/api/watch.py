"""Watches: collections kept up to date by the API server's stream, until a decision falls.

A stream continues from the last resourceVersion, which bookmarks keep fresh; if that one expired (410) the collection is
listed again. Nothing is polled. Each stream has a thread, which ends with the watch: its connection is shut down from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from blocks.bounded import is_plain
from blocks.errors import ShipwayError, Temporary
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.errors import Expired, error_of

Json = dict[str, Any]
Seen = Mapping[str, Mapping[str, Json]]
T = TypeVar("T")
STREAM_SECONDS = 50
MOST_LINE_BYTES = 16_000_000
SILENCE_SECONDS = 65.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 3.0


class Source(NamedTuple):
    """A collection to watch: a name for it, the kind, and what narrows it, as in `Cluster.list`."""

    name: str
    kind: str
    labels: str = ""
    fields: str = ""


class Again(NamedTuple):
    """Result of a decision: nothing yet, but look again after so many seconds even if nothing changes."""

    seconds: float


async def watch_until(
    cluster: Cluster, sources: Sequence[Source], decide: Callable[[Seen], T | Again | None], *, timeout_seconds: float
) -> T:
    """Watch until a decision falls.

    Args:
        cluster: The cluster.
        sources: What to watch.
        decide: Called with all objects by source and name once all were listed, and after each change. Gives the result, None, or `Again`.
        timeout_seconds: The longest wait.

    Raises:
        TimeoutError: The time is up.
        ShipwayError: The API server refuses the watch, or `decide` raised it.
    """
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[tuple[str, dict[str, Json] | ShipwayError]] = asyncio.Queue()

    def notify(name: str, what: dict[str, Json] | ShipwayError) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the watch
            loop.call_soon_threadsafe(news.put_nowait, (name, what))

    feeds = [_Feed(cluster, source, notify) for source in sources]
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _decided(news, {source.name for source in sources}, decide)
    finally:
        for feed in feeds:
            feed.close()


async def _decided(
    news: asyncio.Queue[tuple[str, dict[str, Json] | ShipwayError]], names: set[str], decide: Callable[[Seen], T | Again | None]
) -> T:
    seen: dict[str, dict[str, Json]] = {}
    patience: float | None = None
    while True:
        try:
            async with asyncio.timeout(patience):
                name, what = await news.get()
        except TimeoutError:
            if patience is None:
                raise
        else:
            if isinstance(what, ShipwayError):
                raise what
            seen[name] = what
            if not news.empty():
                continue  # take in all that is queued before deciding
        if names <= set(seen):
            found = decide(seen)
            if found is not None and not isinstance(found, Again):
                return found
            patience = max(found.seconds, 0.01) if found is not None else None


class _Feed:
    """One collection's stream, in a thread of its own."""

    def __init__(self, cluster: Cluster, source: Source, notify: Callable[[str, dict[str, Json] | ShipwayError], None]) -> None:
        self.cluster, self.source, self.notify = cluster, source, notify
        self.closed = threading.Event()
        self.answer: Any = None
        self.thread = threading.Thread(target=self._run, name=f"watch {source.name}", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End the stream; the thread wakes from its read and exits."""
        self.closed.set()
        if self.answer is not None:
            _shut(self.answer)

    def _run(self) -> None:
        held: dict[str, Json] | None = None
        version, pause = "", FIRST_PAUSE_SECONDS
        while not self.closed.is_set():
            try:
                if held is None:
                    held, version = self._list()
                    self._record(held)
                for place in self._changes(held, version):
                    version, pause = place, FIRST_PAUSE_SECONDS
                self.closed.wait(FIRST_PAUSE_SECONDS)  # backoff for a server that ends every stream at once
            except Expired:
                held = None
            except Temporary:
                self.closed.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except ShipwayError as error:
                self.notify(self.source.name, error)
                return

    def _record(self, held: dict[str, Json]) -> None:
        if not self.closed.is_set():
            self.notify(self.source.name, dict(held))

    def _query(self) -> dict[str, str]:
        return {"labelSelector": self.source.labels, "fieldSelector": self.source.fields}

    def _list(self) -> tuple[dict[str, Json], str]:
        answer = self.cluster.whole("GET", self.cluster.path(self.source.kind), query=self._query())
        try:
            found = json.loads(answer)
        except ValueError:
            raise Temporary(f"the list of {self.source.kind} is not JSON") from None
        return {one["metadata"]["name"]: one for one in found["items"]}, str(found["metadata"]["resourceVersion"])

    def _changes(self, held: dict[str, Json], version: str) -> Iterator[str]:
        """Follow one stream, keep `held` up to date, and yield the resourceVersion after each message."""
        query = {
            **self._query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(STREAM_SECONDS),
        }
        self.answer = self.cluster.send("GET", self.cluster.path(self.source.kind), query=query, timeout_seconds=SILENCE_SECONDS)
        try:
            for line in () if self.closed.is_set() else _lines(self.answer):  # `close` may not have seen this answer
                if self.closed.is_set():
                    return
                kind, found = line["type"], line["object"]
                yield self._take(kind, found, held)
        except ShipwayError:
            raise
        except Exception as error:
            raise Temporary(f"the watch of {self.source.kind} broke: {type(error).__name__}") from error
        finally:
            self.answer.close()

    def _take(self, kind: str, found: Json, held: dict[str, Json]) -> str:
        if kind == "ERROR":
            raise error_of(int(found.get("code", 500)), json.dumps(found).encode(), what=f"watching {self.source.kind}")
        name = found["metadata"].get("name", "")
        if kind == "DELETED":
            held.pop(name, None)
        elif kind != "BOOKMARK":
            held[name] = found
        if kind != "BOOKMARK":
            self._record(held)
        return str(found["metadata"]["resourceVersion"])


def _lines(answer: Any) -> Iterator[Json]:
    """Yield the messages of an open stream, one a line."""
    if not is_plain(answer.headers):
        raise Temporary("the API server compressed a watch, though a plain one was requested")
    rest = b""
    for part in answer.stream(amt=None, decode_content=False):
        *whole, rest = (rest + part).split(b"\n")
        if len(rest) > MOST_LINE_BYTES:
            raise Temporary(f"the API server sent a line of more than {MOST_LINE_BYTES:,} bytes to a watch")
        yield from (json.loads(line) for line in whole if line.strip())


def _shut(answer: Any) -> None:
    """Shut down a connection under a thread that reads from it, which closing alone would not wake."""
    connection = getattr(answer, "connection", None)
    open_socket = getattr(connection, "sock", None)
    if open_socket is not None:
        with contextlib.suppress(OSError, ValueError):
            open_socket.shutdown(socket.SHUT_RDWR)
