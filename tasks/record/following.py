"""Follow a release from outside: what is recorded of it, as events, until it waits or ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.events import Event
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter, EventOccurredFilter, EventOrder

from blocks import progress
from tasks.lifecycle.keeper_acts import last_work
from tasks.lifecycle.run_labels import is_unclosed
from tasks.rules.lifecycle.reconcile import is_late

LOOK_SECONDS = 0.5  # how often a server is asked that sends nothing by itself
WATCH_SECONDS = 5.0  # how often the run's state is looked at while nothing is heard
STORED_SECONDS = 6.0  # a server stores events every five seconds, ours every second; where no last word came by then, none comes
UNCLOSED_SECONDS = 60.0  # a run that died is started again or settled; if that fails, or its record is closed, it is not waited for
PHASE_SECONDS = 1.5  # a phase that runs alone has no last word
LOST_SECONDS = 30.0  # a socket that broke and was opened anew may have missed something
SOON_SECONDS = (0.1, 0.3, 1.0)
LATE = timedelta(seconds=20)  # events are stored in batches, and clocks differ a little
TALE = "shipway.release."
STATES = "prefect.flow-run."
LAST_WORDS = {True: {"closed"}, False: {"gate", "approval", "refused"}}  # what a release tells right before it ends, or waits


class Told(NamedTuple):
    """One thing that was told: an entry's kind (or `progress`), what and why, and when."""

    kind: str
    what: str
    why: str
    outcome: str
    at: datetime


async def follow(client: PrefectClient, run: UUID, *, since: datetime | None = None) -> AsyncIterator[Told]:
    """Tell what happens in a release, until it waits for people or ends.

    A final state of a run that is open and has no outcome is not its end: the keeper starts the run again, or settles it. That is told, and
    waited for while the keeper does its work.

    Args:
        client: Of the server.
        run: The release's flow run id.
        since: Leave out what was told before; all from the beginning where None.

    Yields:
        What is told, in its order.
    """
    seen: set[UUID] = set()
    last, is_release = "", since is not None
    begin = since or datetime.now(UTC) - timedelta(days=30)
    rest = _Rest()
    async with _Ear.open(run, since=begin) as ear:
        while True:
            ear.bell.clear()
            found = await client.read_flow_run(run)
            stored = await _events(client, run, since=begin) if rest.state or ear.may_have_missed() else []
            begin = max([begin, *(event.occurred - LATE for event in stored)])
            for event in [*stored, *ear.take()]:
                if event.id not in seen:
                    seen.add(event.id)
                    told = _told(event)
                    last = told.kind if told.kind != "progress" else last
                    is_release = is_release or told.kind == "opened"
                    yield told
            if rest.begins(found) and is_unclosed(found):
                yield _unclosed(found)
            if await rest.is_over(client, found, last=last, is_release=is_release):
                return
            await ear.wait(LOOK_SECONDS if rest.state else WATCH_SECONDS)


class _Rest:
    """The final or waiting state that a run rests in, and since when we know."""

    def __init__(self) -> None:
        self.state: UUID | None = None
        self.since = 0.0

    def begins(self, run: FlowRun) -> bool:
        """Say if the run has come to rest in a state that was not known."""
        state = run.state
        resting = state.id if state is not None and (state.is_final() or state.is_paused()) else None
        if resting == self.state:
            return False
        self.state, self.since = resting, time.monotonic()
        return resting is not None

    async def is_over(self, client: PrefectClient, run: FlowRun, *, last: str, is_release: bool) -> bool:
        """Say if nothing more is to be expected of the run, after the kind of entry that was told last."""
        if self.state is None or run.state is None:
            return False
        seconds = time.monotonic() - self.since
        if is_unclosed(run):
            return seconds > UNCLOSED_SECONDS and (last == "closed" or is_late((await last_work(client))[0], now=datetime.now(UTC)))
        return last in LAST_WORDS[run.state.is_final()] or seconds > (STORED_SECONDS if is_release else PHASE_SECONDS)


class _Ear:
    """Hears events as the server sends them; where it sends none, who follows has to ask.

    What was told right before the ear opened may be neither sent any more nor stored yet, so the store is asked again a little later.
    """

    def __init__(self) -> None:
        self.bell = asyncio.Event()
        self._heard: list[Event] = []
        self._ask_at: list[float] | None = None  # moments on the monotonic clock; None where nothing is sent

    @classmethod
    @asynccontextmanager
    async def open(cls, run: UUID, *, since: datetime) -> AsyncIterator[_Ear]:
        """Hear what concerns a run until the block is left."""
        ear = cls()
        listening = asyncio.create_task(ear._listen(run, since=since))
        try:
            yield ear
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _listen(self, run: UUID, *, since: datetime) -> None:
        wanted = EventFilter(
            event=EventNameFilter(prefix=["shipway.", STATES]),
            any_resource=EventAnyResourceFilter(id=[f"{TALE}{run}", f"{STATES}{run}"]),
        )
        try:
            async with get_events_subscriber(filter=wanted) as subscriber:
                now = time.monotonic()
                self._ask_at = [now, now + PHASE_SECONDS, now + STORED_SECONDS]
                self.bell.set()
                async for event in subscriber:
                    self._hear(event, since=since)
        except Exception:
            logging.getLogger("shipway").debug("the server sends no events; it is asked instead", exc_info=True)
        finally:
            self._ask_at = None

    def _hear(self, event: Event, *, since: datetime) -> None:
        if event.event.startswith(STATES):  # it is sent a moment before the state can be read
            for seconds in SOON_SECONDS:
                asyncio.get_running_loop().call_later(seconds, self.bell.set)
        elif event.resource.id.startswith(TALE) and event.occurred >= since:  # what is sent begins a minute before it is asked for
            self._heard.append(event)
        self.bell.set()

    def take(self) -> list[Event]:
        """Take what was heard since it was taken last."""
        heard, self._heard = self._heard, []
        return heard

    def may_have_missed(self) -> bool:
        """Say whether the store has to be asked now."""
        if self._ask_at is None:
            return True
        due = [moment for moment in self._ask_at if moment <= time.monotonic()]
        self._ask_at = self._ask_at[len(due) :] or [time.monotonic() + LOST_SECONDS]
        return bool(due)

    async def wait(self, seconds: float) -> None:
        """Wait until something is heard or the store has to be asked, and no longer than so many seconds."""
        seconds = LOOK_SECONDS if self._ask_at is None else min(seconds, max(0.0, self._ask_at[0] - time.monotonic()))
        with suppress(TimeoutError):
            await asyncio.wait_for(self.bell.wait(), seconds)


async def _events(client: PrefectClient, run: UUID, *, since: datetime) -> list[Event]:
    wanted = EventFilter(
        any_resource=EventAnyResourceFilter(id=[f"{TALE}{run}"]), occurred=EventOccurredFilter(since=since), order=EventOrder.ASC
    )
    page = await client.read_events(wanted, limit=50)
    events: list[Event] = list(page.events)
    while page.next_page:
        page = await client.read_events_page(str(page.next_page))
        events += page.events
    return events


def _told(event: Event) -> Told:
    payload = event.payload
    kind = "progress" if event.event == progress.EVENT else str(payload.get("kind", ""))
    return Told(kind, str(payload.get("what", "")), str(payload.get("why", "")), str(payload.get("outcome", "")), event.occurred)


def _unclosed(run: FlowRun) -> Told:
    name = run.state.name if run.state else "Unknown"
    return Told("unclosed", f"{name}, but not closed", "the keeper starts it again, or settles it", "", datetime.now(UTC))
