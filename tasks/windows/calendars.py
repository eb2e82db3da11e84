"""Calendars as a source of windows: read again at most every few minutes; the last good one is kept beside the approval key, and holds."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from blocks.errors import Refused, ShipwayError
from blocks.key_folder.kept_files import NotKept, kept_names, read_kept, remove_kept, write_kept
from blocks.key_folder.key_file import key_path
from blocks.outside_text import error_text
from tasks.lifecycle.apart import apart
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import CALENDARS
from tasks.lifecycle.kept_runs import OPEN
from tasks.rules.windows.address import address_in_words
from tasks.rules.windows.ics import Events
from tasks.rules.windows.opening import Group
from tasks.rules.windows.window import Calendar
from tasks.windows.calendar_source import AHEAD, expand, fetch

NEVER_READ = "never read"  # how the note of such a calendar begins
CONTENTS = "calendar-contents"
WHAT = "a calendar of windows"
EVERY, EVERY_FILE, AFTER_FAULT = timedelta(minutes=10), timedelta(seconds=30), timedelta(minutes=1)
EXPANDED_FOR = timedelta(days=1)
LATELY, FORGOTTEN = timedelta(days=30), timedelta(days=365)  # how long after a window asked for it, without and with open runs
AT_ONCE = 4
Result = TypeVar("Result")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Kept:
    """What is kept of one calendar.

    Fields:
        ics: Where it is, as the window says.
        zone: Of its times that name none.
        asked_at: When a window last asked for it.
        tried_at: When it was last tried to read it; None if never.
        read_at: When that last worked; None if never.
        problem: Why it did not since; "" if it did.
        digest: Of what it says.
        content: The last good one.
    """

    ics: str
    zone: str
    asked_at: datetime
    tried_at: datetime | None = None
    read_at: datetime | None = None
    problem: str = ""
    digest: str = ""
    content: bytes = b""

    @property
    def name(self) -> str:
        """Its file's name, which does not show the address."""
        return hashlib.sha256(f"{self.zone} {self.ics}".encode()).hexdigest()[:32]

    def is_due(self, at: datetime) -> bool:
        """Say if it is time to read it again."""
        every = AFTER_FAULT if self.problem else EVERY_FILE if self.ics.startswith("/") else EVERY
        return self.tried_at is None or not timedelta() <= at - self.tried_at < every

    def note(self, at: datetime) -> str:
        """Say how old it is, and why; "" if it was read when it was last tried."""
        if not self.problem:
            return ""
        if self.read_at is None:
            return f"{NEVER_READ}: {self.problem}"
        return f"as it was {_age(at - self.read_at)} ago, and not read since: {self.problem}"


_expanded: dict[tuple[str, str], tuple[datetime, Events]] = {}


async def with_calendars(groups: Sequence[Group]) -> list[Group]:
    """Give windows with what their calendars say now."""
    wanted = sorted({(window.ics, window.zone) for group in groups for window in group if window.ics})
    said = dict(zip(wanted, await _at_once(partial(_calendar, *one) for one in wanted), strict=True))
    return [tuple(replace(one, calendar=said.get((one.ics, one.zone))) for one in group) for group in groups]


async def kept_calendars() -> list[Kept]:
    """List what is kept of calendars on this machine, without their contents.

    Raises:
        Refused: One cannot be read.
    """
    found = [await asyncio.to_thread(_load_state, name) for name in await asyncio.to_thread(kept_names, CALENDARS)]
    return [one for one in found if one is not None]


async def refresh_calendars() -> None:
    """Read again the calendars of windows that were asked for lately, as far as it is time; so what they say now can wake who waits."""
    at, known = now(), list[Kept]()
    for name in await asyncio.to_thread(kept_names, CALENDARS):
        with apart(f"the kept calendar {name}"):
            known += [one for one in [await asyncio.to_thread(_load_state, name)] if one is not None]
    for kept in known:
        if at - kept.asked_at > FORGOTTEN:
            for folder in (CALENDARS, CONTENTS):
                await asyncio.to_thread(remove_kept, folder, kept.name)
    lately = FORGOTTEN if await asyncio.to_thread(kept_names, OPEN) else LATELY  # what waits may look at windows once in a year
    due = [one for one in known if at - one.asked_at < lately and one.is_due(at)]
    due.sort(key=lambda one: one.tried_at.timestamp() if one.tried_at else 0.0)  # so that those that hang keep none from its turn for ever
    await _at_once(partial(_refresh_kept, one, at) for one in due)


def kept_in_words(kept: Kept, at: datetime) -> str:
    """Say of a calendar how old it is."""
    age = f"read {_age(at - kept.read_at)} ago" if kept.read_at else ""
    return f"{address_in_words(kept.ics)}: {kept.note(at) or age}"


async def _at_once(wanted: Iterable[Callable[[], Awaitable[Result]]]) -> list[Result]:
    """Call and await some at a time, so that many hosts that do not answer take no longer than a few."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(call: Callable[[], Awaitable[Result]]) -> Result:
        async with free:
            return await call()

    return await asyncio.gather(*map(one, wanted))


async def _calendar(ics: str, zone: str) -> Calendar:
    """Give what a calendar says; what is kept holds while it cannot be read. Whatever goes wrong, it is not known what it says."""
    at = now()
    kept = Kept(ics, zone, asked_at=at)
    try:
        kept = await asyncio.to_thread(_load, kept)
        if kept.is_due(at):
            kept = await _refreshed(replace(kept, asked_at=at), at)
        if kept.read_at is None:
            return Calendar(note=kept.note(at))
        events, since = await _events(kept, at)
    except Exception as error:  # noqa: BLE001 - see above
        return Calendar(note=f"{NEVER_READ}: {error_text(error)}")
    return Calendar(events.spans, since + AHEAD, events.digest, kept.note(at))


async def _refresh_kept(kept: Kept, at: datetime) -> None:
    with apart(f"the calendar {address_in_words(kept.ics)}"):
        kept = await asyncio.to_thread(_load, kept)
        try:
            await _refreshed(kept, at)
        except asyncio.CancelledError:  # noted at once, so that the next turn begins with others
            with contextlib.suppress(Refused):
                _keep(replace(kept, tried_at=at, problem="there was no time for it in a turn of the keeper"))
            raise


async def _refreshed(kept: Kept, at: datetime) -> Kept:
    """Read a calendar again; if that fails, the last good one stays."""
    try:
        content = await fetch(kept.ics)
        is_known = kept.read_at is not None and kept.digest and content == kept.content  # then no process need read it once more
        digest = kept.digest if is_known else (await _events(replace(kept, content=content), at))[0].digest
    except Exception as error:  # noqa: BLE001 - whatever it is, the last good one holds
        kept = replace(kept, tried_at=at, problem=str(error) if isinstance(error, ShipwayError) else error_text(error))
    else:
        kept = replace(kept, tried_at=at, read_at=at, problem="", digest=digest, content=content)
    with contextlib.suppress(Refused):  # then it holds for now
        await asyncio.to_thread(_keep, kept)
    return kept


async def _events(kept: Kept, at: datetime) -> tuple[Events, datetime]:
    """Give the events of a calendar from some moment of the last day on, and that moment."""
    key = (kept.zone, hashlib.sha256(kept.content).hexdigest())
    since, events = _expanded.get(key, (None, None))
    if since is None or events is None or not timedelta() <= at - since < EXPANDED_FOR:
        since, events = at, await expand(kept.content, zone=kept.zone, at=at)
        if len(_expanded) > 20:  # noqa: PLR2004 - calendars that changed many times
            _expanded.clear()
        _expanded[key] = since, events
    return events, since


def _load(wanted: Kept) -> Kept:
    """Read what is kept of a calendar; nothing on a machine without a key."""
    if not key_path().exists():
        return wanted
    try:
        found = _load_state(wanted.name)
        return wanted if found is None else _with_content(found)
    except NotKept:  # there is no last good one: as if it was never read, and what is read now replaces it
        return replace(wanted, tried_at=None, read_at=None, content=b"")


def _load_state(name: str) -> Kept | None:
    found = read_kept(CALENDARS, name, what=WHAT)
    if found is None:
        return None
    times = {key: datetime.fromisoformat(found[key]) if found[key] else None for key in ("tried_at", "read_at")}
    asked_at = datetime.fromisoformat(found["asked_at"])
    return Kept(found["ics"], found["zone"], asked_at, times["tried_at"], times["read_at"], found["problem"], found["digest"])


def _with_content(kept: Kept) -> Kept:
    if kept.read_at is None:
        return kept
    found = read_kept(CONTENTS, kept.name, what=WHAT)
    if found is None:
        return replace(kept, read_at=None, tried_at=None)
    return replace(kept, content=base64.b64decode(found["base64"]))


def _keep(kept: Kept) -> None:
    """Keep a calendar: its contents first, so that what is kept beside them is true; nothing on a machine without a key."""
    if not key_path().exists():
        return
    if kept.read_at and not kept.problem:
        write_kept(CONTENTS, kept.name, {"base64": base64.b64encode(kept.content).decode()}, what=WHAT)  # as text, \x01 takes six bytes
    times = {"asked_at": kept.asked_at, "tried_at": kept.tried_at, "read_at": kept.read_at}
    said = {"ics": kept.ics, "zone": kept.zone, "problem": kept.problem, "digest": kept.digest}
    write_kept(CALENDARS, kept.name, said | {key: at.isoformat() if at else "" for key, at in times.items()}, what=WHAT)


def _age(lasts: timedelta) -> str:
    """Say how long something is; coarsely, as what waits is told again when it changes."""
    if lasts < HOUR:
        return "less than 1 h"
    return f"{lasts // HOUR} h" if lasts < 2 * DAY else f"{lasts // DAY} days"
