"""Progress artifact of a script's run: made at its first reading, moved once a second at most, and left where the run ended.

It is published beside the script, by one task of each event loop: whether the server answers changes nothing for script and release. What
could not be published is tried again for a while, and once more as the loop ends.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.exceptions import ObjectNotFound
from prefect.utilities.context import get_task_and_flow_run_ids

from blocks.outside_text import said

EVERY_SECONDS, ANSWER_SECONDS, LAST_SECONDS = 1.0, 5.0, 2.0
MOST_FAILURES, SLOWEST_SECONDS = 10, 30.0
WORDS_LIMIT, KEY_LIMIT, DIGITS = 200, 80, 8
KEPT_ID = "artifact"
ALL_PERCENT = 100.0


def key_of(whose: str, folder: Path) -> str:
    """Name the artifact of an environment, or of one of its hosts: the same for each of its runs.

    Args:
        whose: For people, as `shop on web-1`.
        folder: What no other environment has.
    """
    name = re.sub(r"[^a-z0-9]+", "-", whose.lower()).strip("-")[:KEY_LIMIT].rstrip("-")
    return f"script-{name or 'unnamed'}-{hashlib.sha256(str(folder).encode()).hexdigest()[:DIGITS]}"


class Moved(NamedTuple):
    """How far a script is, None for as far as it was, what it says of that, and whether it has ended."""

    percent: float | None
    words: str
    is_over: bool = False


class ProgressArtifact:
    """The artifact of one run; call it in the run of a flow.

    Args:
        key: See `key_of`.
        name: What is run, for people.
        kept: The run's folder, which keeps which artifact it is: who follows the run after a crash moves the same one.
    """

    def __init__(self, key: str, name: str, kept: Path) -> None:
        """Publish nothing before the first reading."""
        self.key, self.name, self.kept = key, name, kept
        self.task_run, self.flow_run = get_task_and_flow_run_ids()
        self.newest: Moved | None = None
        self.published: Moved | None = None
        self.id: UUID | None = None
        self.has_reading = False  # else it is only left where it ended, if there is one

    def move(self, percent: float, words: str) -> None:
        """Show a reading as soon as the last one was shown for a second; of those that come before, the newest."""
        self.newest, self.has_reading = Moved(percent, words), True
        _publisher().add(self)

    def end(self, words: str, *, is_done: bool) -> None:
        """Leave it at 100 %, or where it failed; one that had no reading is not made, and one that was left is not moved again."""
        if self.newest is None and not (self.kept / KEPT_ID).exists():
            return
        before = self.newest or Moved(None, "")
        self.newest = Moved(ALL_PERCENT if is_done else before.percent, "; ".join(filter(None, (words, before.words))), is_over=True)
        _publisher().add(self)

    async def publish(self, client: PrefectClient) -> None:
        """Make it, or move it."""
        moved = self.newest
        if moved is None or moved == self.published:
            return
        if self.id is None:
            self.id = await asyncio.to_thread(self._read_id)
        values = {"description": _shown(self.name, moved.words)} | ({} if moved.percent is None else {"data": moved.percent})
        try:
            if self.id is not None:
                await client.update_artifact(self.id, ArtifactUpdate(**values))
        except ObjectNotFound:
            self.id = None
        if self.id is None and self.has_reading:
            runs = {"flow_run_id": self.flow_run, "task_run_id": self.task_run}
            self.id = (await client.create_artifact(ArtifactCreate(type="progress", key=self.key, **values, **runs))).id
        await asyncio.to_thread(self._keep_id, is_over=moved.is_over)
        self.published = moved

    def _read_id(self) -> UUID | None:
        with suppress(OSError, ValueError):
            return UUID((self.kept / KEPT_ID).read_text())
        return None

    def _keep_id(self, *, is_over: bool) -> None:
        with suppress(OSError):  # as on a full disk: then who follows it after a crash makes another one
            if is_over:
                (self.kept / KEPT_ID).unlink(missing_ok=True)
            else:
                (self.kept / KEPT_ID).write_text(str(self.id))


class Publisher:
    """Publishes what moved in one event loop, one after the other, in rounds of a second at least."""

    def __init__(self) -> None:
        """Nothing moved yet."""
        self.waiting: dict[ProgressArtifact, None] = {}
        self.task: asyncio.Task[None] | None = None

    def add(self, artifact: ProgressArtifact) -> None:
        """Publish this one in the next round."""
        self.waiting[artifact] = None
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        failures = 0
        try:
            while self.waiting:
                began = time.monotonic()
                failures = 0 if await self._round(ANSWER_SECONDS) else failures + 1
                if failures > MOST_FAILURES:
                    self.waiting.clear()
                wait = min(SLOWEST_SECONDS, EVERY_SECONDS * 2 ** max(0, failures - 1))
                await asyncio.sleep(max(0.0, began + wait - time.monotonic()))
        except asyncio.CancelledError:  # the loop ends
            await self._round(LAST_SECONDS)
            raise
        finally:
            self.task = None

    async def _round(self, seconds: float) -> bool:
        """Publish what waits; False if the server did not take it all, which is tried again."""
        left = dict(self.waiting)
        try:
            async with asyncio.timeout(seconds) as limit, get_client(httpx_settings={"timeout": seconds}) as client:
                for artifact in left:
                    self.waiting.pop(artifact, None)
                    try:
                        await artifact.publish(client)
                    except BaseException:
                        self.waiting[artifact] = None
                        raise
                    limit.reschedule(asyncio.get_running_loop().time() + seconds)
        except Exception:  # noqa: BLE001 - whatever it was, neither script nor release wait for it
            return False
        return True


_PUBLISHERS: dict[asyncio.AbstractEventLoop, Publisher] = {}


def _publisher() -> Publisher:
    """Give the publisher of this event loop."""
    for other in [one for one in list(_PUBLISHERS) if one.is_closed()]:
        _PUBLISHERS.pop(other, None)
    return _PUBLISHERS.setdefault(asyncio.get_running_loop(), Publisher())


def _shown(name: str, words: str) -> str:
    """Write what is run and what it says of itself; a code span is plain text for whatever renders Markdown."""
    return ": ".join(f"`{said(one, limit=WORDS_LIMIT).replace('`', chr(39))}`" for one in (name, words) if one.strip())
