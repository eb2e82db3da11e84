"""One local environment in the agent's memory: the desired state, the runs of its revisions, and who waits for a change."""

from __future__ import annotations

import asyncio
import copy
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import cast

from aiohttp import ClientSession

from blocks.errors import Temporary
from blocks.local.state.counts import Tally
from blocks.local.state.file import Facts, Revision, State, save_state
from blocks.local.state.split import deal
from blocks.local.state.view import Run


@dataclass
class Environment:
    """Everything the agent knows; all changes of `state` go through `update`, one after the other."""

    folder: Path
    state: State
    session: ClientSession
    life: str = field(default_factory=lambda: secrets.token_hex(4))
    runs: dict[str, Run] = field(default_factory=dict)
    change: int = 0
    unsaved: str = ""
    random: Random = field(default_factory=Random)
    deck: list[bool] = field(default_factory=list)
    converge: Callable[[], None] = lambda: None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def update(self, transition: Callable[[State], State]) -> State:
        """Replace the state: decided on the newest one, on disk before it is acted on.

        A change that takes traffic from the canary, or leaves it as it is, is made also if it cannot be written, as on a full disk, and is
        written as soon as it can be: a rollback needs no space.

        Raises:
            Temporary: A change that gives the canary more cannot be written; nothing was changed.
        """
        async with self._lock:
            new = transition(self.state)
            try:
                await asyncio.to_thread(save_state, self.folder, new)
                self.unsaved = ""
            except OSError as error:
                self.unsaved = f"the state cannot be written: {error.strerror}"
                if not _takes_no_more(self.state, new):
                    raise Temporary(f"{self.unsaved}. Free some space in {self.folder}", delay_seconds=5) from None
            if (new["percent"], new["canary"], new["baseline"]) != (self.state["percent"], self.state["canary"], self.state["baseline"]):
                self.deck.clear()
            self.state = new
        self.converge()
        self.notify()
        return new

    async def save(self) -> None:
        """Write what could not be written before."""
        if self.unsaved:
            await self.update(lambda state: state)

    async def note(self, revision_id: str, facts: Facts) -> None:
        """Change what is kept of one revision."""

        def transition(state: State) -> State:
            new = copy.deepcopy(state)
            new["revisions"][revision_id] = cast("Revision", {**new["revisions"][revision_id], **facts})
            return new

        await self.update(transition)

    async def forget(self, revision_id: str) -> None:
        """Drop a revision whose process has ended."""

        def transition(state: State) -> State:
            new = copy.deepcopy(state)
            del new["revisions"][revision_id]
            return new

        await self.update(transition)
        self.runs.pop(revision_id, None)

    def run_of(self, revision_id: str) -> Run:
        """Find or begin the running side of a revision."""
        if revision_id not in self.runs:
            run = Run(id=revision_id, tally=Tally(started=f"{self.life}-{revision_id}"))
            run.idle.set()
            self.runs[revision_id] = run
        return self.runs[revision_id]

    def next_run(self) -> Run | None:
        """Choose the revision of the next request; None if there is none to send it to."""
        state = self.state
        if state["stopping"]:
            chosen = None
        elif state["canary"] is None or state["percent"] == 0:
            chosen = state["baseline"]
        elif state["baseline"] is None:
            chosen = state["canary"]  # the first deployment: any share is all there is
        else:
            self.deck = self.deck or deal(state["percent"], self.random)
            chosen = state["canary"] if self.deck.pop() else state["baseline"]
        return None if chosen is None else self.run_of(chosen)

    def notify(self) -> None:
        """Wake everybody who waits for a change."""
        self.change += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait_beyond(self, seen: int, *, timeout_seconds: float) -> None:
        """Wait until something changed since `seen`, or the time is up."""
        if self.change > seen:
            return
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def tallies(self) -> dict[str, Tally]:
        """Read the tallies by version; of two revisions of one version the newer counts."""
        revisions = self.state["revisions"]
        return {revisions[key]["version"]: self.runs[key].tally for key in sorted(revisions, key=int) if key in self.runs}


def _takes_no_more(before: State, after: State) -> bool:
    """Say whether the canary gets no more traffic after a change, and nothing new runs."""
    return (
        after["baseline"] == before["baseline"]
        and after["canary"] in (None, before["canary"])
        and after["percent"] <= before["percent"]
        and after["revisions"].keys() <= before["revisions"].keys()
    )
