"""Follow a release from outside: its story as events, until it waits or ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.events import Event
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventOccurredFilter, EventOrder

LOOK_SECONDS = 0.5
STORED_SECONDS = 6.0  # a server stores events every five seconds, ours every second; where no last word came by then, none comes
PHASE_SECONDS = 1.5  # a phase that runs alone has no last word
LATE = timedelta(seconds=20)  # events are stored in batches, and clocks differ a little
TALE = "shipway.release."
PROGRESS = "shipway.progress"
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
    rested: tuple[UUID, float] | None = None  # the state that it rests in, and since when we know
    while True:
        found = await client.read_flow_run(run)
        for event in await _events(client, run, since=begin):
            if event.id not in seen:
                seen.add(event.id)
                begin = max(begin, event.occurred - LATE)
                told = _told(event)
                last = told.kind if told.kind != "progress" else last
                is_release = is_release or told.kind == "opened"
                yield told
        if found.state is None or not (found.state.is_final() or found.state.is_paused()):
            rested = None
        elif last in LAST_WORDS[found.state.is_final()]:
            return
        elif rested is None or rested[0] != found.state.id:
            rested = (found.state.id, time.monotonic())
        elif time.monotonic() - rested[1] > (STORED_SECONDS if is_release else PHASE_SECONDS):
            return
        await asyncio.sleep(LOOK_SECONDS)


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
    kind = "progress" if event.event == PROGRESS else str(payload.get("kind", ""))
    return Told(kind, str(payload.get("what", "")), str(payload.get("why", "")), str(payload.get("outcome", "")), event.occurred)
