"""Follow a commit until the engine has deployed it: ask it to look, to sync where it does not by itself, and name what is wrong."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from blocks.errors import Permanent, RolloutFailed, Temporary
from blocks.git.git import Git
from blocks.git.work_copy import WorkCopy
from blocks.gitops.engine import Engine, Observed, Watched
from tasks.rules.gitops.course import State, Step, next_step

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 5.0
LOOKS_TO_CONFIRM = 2  # at Git, with the same fault each: the first may have begun before the commit was there
FETCH_SECONDS = 10.0  # between two fetches for a revision that is known not to contain the commit
Say = Callable[[tuple[str, ...]], Awaitable[None]]


async def follow(engine: Engine, git: Git, *, commit: str, note: str, timeout_seconds: float, say: Say) -> Observed:
    """Follow a commit, and return once it or a descendant is deployed and no operation runs.

    Args:
        engine: What deploys.
        git: The branch that the commit is on, to know descendants by.
        commit: The full hash.
        note: The release's id, kept with a sync that is started here.
        timeout_seconds: The longest wait.
        say: Called with lines for people, each time that they are new.

    Returns:
        What the engine says then; its `fault` may still tell of a resource that is not healthy.

    Raises:
        RolloutFailed: The engine cannot deploy it; carries its words. Or the branch no longer contains it. Or it is known to the engine and
            was not deployed in time.
        Temporary: The engine did not come to know it in time.
        Refused: A sync is not permitted.
    """
    async with _history(git, commit) as history:
        course = _Course(engine, history, note, say)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await course.run()
        except TimeoutError:
            raise course.late(timeout_seconds) from None


@dataclass
class _History:
    """Which revisions contain a commit; answers are remembered, and Git is only asked about revisions that are not the commit.

    Fields:
        absent_since: When a fetch first gave a branch without the commit, and none has given it since; None if the last one did.
    """

    git: Git
    commit: str
    stack: AsyncExitStack
    copy: WorkCopy | None = None
    known: dict[str, bool] = field(default_factory=dict)
    absent_since: float | None = None
    fetched_at: float = -math.inf

    @property
    def lost(self) -> bool:
        """Whether the branch does not contain the commit any more: looked at over some time, as a mirror may be behind."""
        return self.absent_since is not None and self.fetched_at >= self.absent_since + FETCH_SECONDS

    async def contains(self, revision: str) -> bool:
        if revision == self.commit or self.known.get(revision):
            return True
        if revision in self.known and time.monotonic() < self.fetched_at + FETCH_SECONDS:
            return False
        if self.copy is None:
            self.copy = await self.stack.enter_async_context(self.git.work_copy())
        head = await self.copy.fetch()
        self.fetched_at = time.monotonic()
        there = await self.copy.contains(self.commit, head=head)
        self.absent_since = None if there else self.absent_since or self.fetched_at
        found = await self.copy.contains(self.commit, head=revision)
        if found or await self.copy.contains(revision, head=self.commit):
            self.known[revision] = found
        return found  # if it is neither before nor after the commit, it may be newer than what was fetched


@asynccontextmanager
async def _history(git: Git, commit: str) -> AsyncIterator[_History]:
    async with AsyncExitStack() as stack:
        yield _History(git, commit, stack)


class _Course:
    """One commit on its way."""

    def __init__(self, engine: Engine, history: _History, note: str, say: Say) -> None:
        self.engine, self.history, self.note, self.say = engine, history, note, say
        self.seen: Observed | None = None
        self.asked: set[str] = set()
        self.same_faults, self.contained = 0, False
        self.trouble, self.unlooked = "", ""  # what kept us from following, and what kept the engine from looking at Git
        self.told: tuple[str, ...] = ()
        self.pause = FIRST_PAUSE_SECONDS

    async def run(self) -> Observed:
        looked = False
        while True:
            try:
                if not looked:
                    looked = True
                    await self._refresh()
                self.seen = seen = await self._look()
                step = await self._step(seen)
                self.trouble = self.unlooked
                if step == "done":
                    return seen
                if step == "failed":
                    raise RolloutFailed(seen.fault, evidence=seen.lines)
                if step == "lost":
                    raise self._lost(seen)
                await self._act(step, seen)
            except Temporary as error:
                await self._wait_out(error)

    async def _look(self) -> Observed:
        seen = await self.engine.look()
        await self._tell(seen.lines, news=(seen.revision, seen.synced, seen.operation, seen.fault, seen.waiting))
        return seen

    async def _step(self, seen: Observed) -> Step:
        contained = await self.history.contains(seen.revision) if seen.revision else None
        self.contained = self.contained or bool(contained)
        return next_step(
            State(
                revision=seen.revision,
                synced=seen.synced,
                operation=seen.operation,
                automatic=seen.automatic,
                fault=seen.fault,
                temporary=seen.temporary,
                waiting=seen.waiting,
                contained=contained,
                confirmed=self.same_faults >= LOOKS_TO_CONFIRM,
                asked=seen.revision in self.asked,
                lost=self.history.lost,
            )
        )

    def _lost(self, seen: Observed) -> RolloutFailed:
        """Say that the history was rewritten; a rollback goes on from that without Git, as from other failures of the rollout."""
        fix = "Look at the branch, then release again"
        return RolloutFailed(
            f"{self.history.commit[:12]} is not in {self.history.copy!r} any more: its history was rewritten. {fix}", evidence=seen.lines
        )

    async def _act(self, step: Step, seen: Observed) -> None:
        if step == "sync":
            await self.engine.sync(seen.revision, note=self.note)
            self.asked.add(seen.revision)
            self.pause = FIRST_PAUSE_SECONDS
            return
        if step == "refresh":
            await self._refresh()
        await self._await_change(seen)

    async def _refresh(self) -> None:
        """Have Git looked at, and count the looks that gave a fault without a revision."""
        try:
            await self.engine.refresh()
        except Temporary as error:
            self.unlooked = str(error)
            await self._wait_out(error)
            return
        except Permanent:
            pass  # the look says it as a fault
        self.unlooked = ""
        after = await self.engine.look()
        fatal = bool(after.fault) and not after.temporary and not after.revision
        self.same_faults = self.same_faults + 1 if fatal else 0

    async def _await_change(self, seen: Observed) -> None:
        if isinstance(self.engine, Watched):
            now = await self.engine.changed(seen, timeout_seconds=self.pause)
            changed = now != seen
        else:
            await asyncio.sleep(self.pause)
            changed = False
        self.pause = FIRST_PAUSE_SECONDS if changed else min(self.pause * 1.5, LONGEST_PAUSE_SECONDS)

    async def _wait_out(self, error: Temporary) -> None:
        self.trouble = str(error)
        await self._tell((self.trouble,), news=(self.trouble,))
        await asyncio.sleep(min(max(error.delay_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))

    async def _tell(self, lines: tuple[str, ...], *, news: tuple[object, ...]) -> None:
        if (now := tuple(str(one) for one in news)) != self.told:
            self.told = now
            await self.say(lines)

    def late(self, timeout_seconds: float) -> RolloutFailed | Temporary:
        """Say how far it came."""
        lines = self.seen.lines if self.seen else ()
        last = self.trouble or "; ".join(lines) or "it was never read"
        words = f"{self.history.commit[:12]} was not deployed within {timeout_seconds:g} s: {last}"
        return RolloutFailed(words, evidence=lines) if self.contained else Temporary(words)
