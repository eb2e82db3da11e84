"""Calendars as a source of windows, from a real server with every fault: the last good one holds, and without one production is closed."""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr

from blocks.credential import Credential
from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle.freezes import what_holds
from tasks.lifecycle.kept_runs import keep_open
from tasks.rollout import credentials
from tasks.rules.windows.decision import decide, fault
from tasks.rules.windows.ics import Events, read_events
from tasks.rules.windows.opening import look
from tasks.rules.windows.window import Calendar, Window
from tasks.rules.windows.words import look_in_words, notes_of, windows_name
from tasks.windows import calendar_source, calendars
from tasks.windows.calendars import kept_calendars, kept_in_words, refresh_calendars, with_calendars
from tests.faulty_http import FaultyHandler, FaultyHttp, running
from tests.rules.windows.calendars import calendar
from tests.waiting import until

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)
SALE = "DTSTART:20261201T080000|DTEND:20261201T200000|SUMMARY:sale"
GOOD = calendar(SALE)
NEVER = calendar("DTSTART:00010101T000000|DURATION:PT1H|RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30|SUMMARY:never")
BOMB = gzip.compress(bytes(10_000_000))
ENDLESS = calendar("DTSTART:20200101T080000|DURATION:PT12H|RRULE:FREQ=DAILY|SUMMARY:sale")


class Handler(FaultyHandler):
    """Answers as the server says at the moment."""

    server: CalendarHttp

    def take(self, body: bytes) -> None:
        """Answer."""
        del body
        self.server.asked += 1
        self.answer(self.server.says)

    def answer_good(self) -> None:
        """Send the calendar."""
        self._reply(200, self.server.content)

    def answer_bomb(self) -> None:
        """Send 10 MB in 10 kB."""
        self._reply(200, BOMB, **{"Content-Encoding": "gzip"})

    def answer_indented(self) -> None:
        """Send the calendar with its events indented, so that each line is the rest of the one before."""
        self._reply(200, re.sub(rb"\r\n(?!END:VCALENDAR|VERSION|PRODID|$)", b"\r\n  ", GOOD))

    def answer_missing(self) -> None:
        """Send a page about that."""
        self._reply(404, b"<html>/team/token-4711.ics is not here</html>")

    def answer_elsewhere(self) -> None:
        """Point to another address."""
        self._reply(302, b"", Location="https://example.com/token-4711")

    def answer_broken(self) -> None:
        """Send a page for a calendar."""
        self._reply(200, b"<html>sign in</html>")


class CalendarHttp(FaultyHttp):
    """Serves one calendar."""

    says, content, asked = "good", GOOD, 0


@pytest.fixture
def web() -> Iterator[CalendarHttp]:
    """Serve a good calendar, until told otherwise."""
    with running(CalendarHttp(Handler)) as found:
        yield found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    """Give a clock that stands, and a key folder of the test's own."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    monkeypatch.setattr(calendars, "expand", _expand_here)
    calendars._expanded.clear()
    found = Clock()
    monkeypatch.setattr(calendars, "now", lambda: found.at)
    return found


async def _expand_here(content: bytes, *, zone: str, at: datetime) -> Events:
    """Read a calendar without a process of its own, whose start takes half a second."""
    return read_events(content, zone=zone, since=at, until=at + calendar_source.AHEAD)


class Clock:
    """Stands until it is set."""

    at = AT

    def later(self, **lasts: float) -> datetime:
        """Go on."""
        self.at += timedelta(**lasts)
        return self.at


def windows_of(ics: str) -> list[tuple[Window, ...]]:
    """Give a window that denies, by a calendar."""
    return [(Window("deny", "UTC", "by the calendar", "sales", ics=ics),)]


async def says(ics: str, at: datetime) -> str:
    """Read the calendar, and say in words what it means for production."""
    return look_in_words(look(await with_calendars(windows_of(ics)), at))


@pytest.mark.usefixtures("clock")
def test_a_calendar_that_is_kept_can_be_read_again() -> None:
    """Each control character takes six letters as JSON, which once made more than is read again."""
    kept = calendars.Kept("https://example.org/a.ics", "UTC", AT, AT, AT, content=b"\x01" * calendar_source.MOST_BYTES)
    calendars._keep(kept)
    assert calendars._with_content(kept).content == kept.content


async def test_the_events_of_a_calendar_are_windows_and_its_summary_is_the_reason(
    web: CalendarHttp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read at most every ten minutes, and says what it says then."""
    monkeypatch.setattr(calendars, "expand", calendar_source.expand)
    address = f"{web.url}/team/token-4711.ics"
    said = await says(address, clock.at)
    assert said.startswith("closed; opens Tue 2026-12-01 20:00 UTC. freeze of the plan: the events of the calendar 127.0.0.1 in UTC")
    assert said.endswith("because: by the calendar: sale (ask sales)")
    web.content = calendar("DTSTART:20261202T080000|DTEND:20261202T200000")
    assert await says(address, clock.later(minutes=9)) == said
    assert web.asked == 1
    assert (await says(address, clock.later(minutes=2))).startswith("open until Wed 2026-12-02 08:00 UTC")
    assert web.asked == 2


FAULTS = {
    "hang": "127.0.0.1 does not answer within 0.3 s",
    "drip": "127.0.0.1 does not answer within 0.3 s",
    "torn": "127.0.0.1 does not answer (RemoteProtocolError)",
    "gigabyte": "the calendar of 127.0.0.1 has more than 3 MB",
    "bomb": "127.0.0.1 answers in a compressed form",
    "missing": "127.0.0.1 answers 404: see that the address is right",
    "elsewhere": "127.0.0.1 answers 302, and points elsewhere",
    "broken": "it is not a whole iCalendar file",
    "indented": "an event of it does not begin or end on a line of its own",
}


@pytest.mark.parametrize(("wrong", "said"), FAULTS.items())
async def test_the_last_good_calendar_holds_whatever_its_server_does(
    web: CalendarHttp, clock: Clock, wrong: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its age is said, and nothing shows the address, which may be a secret."""
    address = f"{web.url}/team/token-4711.ics"
    assert (await says(address, clock.at)).startswith("closed")
    web.says = wrong
    if wrong in {"hang", "drip"}:
        monkeypatch.setattr(calendar_source, "SECONDS", 0.3)
    clock.later(hours=3, minutes=5)
    groups = await with_calendars(windows_of(address))
    seen = look(groups, clock.at)
    assert (seen.is_open, seen.until) == (False, datetime(2026, 12, 1, 20, tzinfo=UTC))
    assert f" in UTC (as it was 3 h ago, and not read since: {said}" in look_in_words(seen).replace("ics: ", "")
    [note] = notes_of(groups)
    assert note.startswith("the calendar 127.0.0.1: as it was 3 h ago, and not read since: ")
    [kept] = await kept_calendars()
    assert kept_in_words(kept, clock.at) == note
    assert "token" not in note + look_in_words(seen)
    web.says = "good"
    clock.later(minutes=2)
    assert notes_of(await with_calendars(windows_of(address))) == []


@pytest.mark.parametrize("kind", ["allow", "deny"])
async def test_without_a_good_calendar_production_is_closed(web: CalendarHttp, clock: Clock, kind: str) -> None:
    """Whether the window allows or denies; a release waits, `shipway check` refuses, and a minute later it is read again."""
    web.says = "missing"
    [group] = windows_of(f"{web.url}/team.ics")
    plain = [tuple(Window(kind, one.zone, one.reason, one.owner, ics=one.ics) for one in group)]  # type: ignore[arg-type]
    groups = await with_calendars(plain)
    assert not look(groups, clock.at).is_open
    assert not decide(groups, clock.at, needed=timedelta(), if_too_short="proceed").begins
    said = "production stays closed by the calendar 127.0.0.1: never read: 127.0.0.1 answers 404"
    assert fault(groups, clock.at, needed=timedelta(), if_too_short="wait").startswith(said)
    assert not look(plain, clock.at).is_open  # nor if no one asked
    web.says = "good"
    clock.later(seconds=59)
    assert not look(await with_calendars(plain), clock.at).is_open
    clock.later(seconds=2)
    assert look(await with_calendars(plain), clock.at).until == datetime(2026, 12, 1, 20, tzinfo=UTC)


@pytest.mark.slow
async def test_a_rule_that_matches_nothing_is_stopped_and_one_that_never_ends_is_cut_off(
    web: CalendarHttp, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first would be looked for until the year 9999."""
    monkeypatch.setattr(calendars, "expand", calendar_source.expand)
    monkeypatch.setattr(calendar_source, "PROCESS_SECONDS", 1.5)
    web.content = NEVER
    began = time.monotonic()
    assert "takes too much time or memory" in await says(f"{web.url}/never.ics", clock.at)
    assert time.monotonic() - began < 10
    monkeypatch.setattr(calendar_source, "PROCESS_SECONDS", 30)
    web.content = ENDLESS
    [[window]] = await with_calendars(windows_of(f"{web.url}/endless.ics"))
    assert isinstance(window.calendar, Calendar)
    assert 730 < len(window.calendar.spans) < 742


def holding(address: str, host: str) -> Credential:
    """Give a block that holds an address."""
    return Credential(value=SecretStr(address), services=["shop"], hosts=[host])


async def test_a_secret_address_is_in_no_word_and_in_no_file(web: CalendarHttp, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither if the calendar is read nor if it is not."""
    address = f"{web.url}/token-4711.ics"
    server: list[str | None] = [None, "http://127.0.0.1:1/api"]
    monkeypatch.setattr(calendar_source, "PREFECT_API_URL", SimpleNamespace(value=lambda: server[0]))
    assert "no Prefect server is configured here" in await says("credential/far-away", clock.at)
    del server[0]
    monkeypatch.setattr(credentials, "load_block", lambda *_, **__: asyncio.sleep(0, holding(address, web.url)))
    said = await says("credential/team-calendar", clock.at)
    assert "the calendar credential/team-calendar in UTC" in said
    web.says = "missing"
    said += await says("credential/team-calendar", clock.later(hours=1))
    assert "not read since" in said
    assert "token" not in said
    assert not [path for path in key_path().parent.rglob("*") if path.is_file() and b"token" in path.read_bytes()]
    monkeypatch.setattr(credentials, "load_block", lambda *_, **__: asyncio.sleep(0, holding("token-4711", web.url)))
    said = await says("credential/other", clock.at)
    assert "the block credential/other does not hold the address of a calendar" in said
    monkeypatch.setattr(credentials, "load_block", lambda *_, **__: asyncio.sleep(0, holding(address, "elsewhere.example")))
    said = await says("credential/another", clock.at)
    assert "holds the address of a calendar at a host that its `hosts` do not list" in said
    assert "token" not in said


async def test_a_file_is_read_as_long_as_others_cannot_change_it(tmp_path: Path, clock: Clock) -> None:
    """Whoever can write it decides when production opens."""
    path = tmp_path / "team.ics"
    path.write_bytes(GOOD)
    assert "by the calendar: sale" in await says(str(path), clock.at)
    path.write_bytes(GOOD + bytes(50_000_000))
    assert "has more than 3 MB" in await says(str(path), clock.later(minutes=11))
    path.write_bytes(GOOD)
    path.chmod(0o666)
    assert "as it was less than 1 h ago, and not read since: others can change" in await says(str(path), clock.later(minutes=11))
    path.unlink()
    assert "cannot be read: No such file" in await says(str(path), clock.later(minutes=11))


async def test_the_keeper_reads_calendars_again_and_another_content_wakes_who_waits(web: CalendarHttp, clock: Clock) -> None:
    """What holds a service has another name then; a server that writes its own moment into each answer wakes no one."""
    address = f"{web.url}/team.ics"
    groups = await with_calendars(windows_of(address))
    name, held = windows_name(groups), what_holds("shop")
    web.content = calendar(f"{SALE}|DTSTAMP:20261201T120000Z")
    clock.later(minutes=11)
    await refresh_calendars()
    assert (web.asked, what_holds("shop")) == (2, held)
    web.content = calendar(SALE.replace("T20", "T21"))
    clock.later(minutes=11)
    await refresh_calendars()
    assert what_holds("shop") != held
    assert windows_name(await with_calendars(windows_of(address))) != name  # so an override of the earlier one does not count
    web.says = "missing"
    clock.later(hours=5)
    aged = await with_calendars(windows_of(address))
    assert windows_name(aged) == windows_name(await with_calendars(windows_of(address)))
    clock.later(days=31)
    asked = web.asked
    await refresh_calendars()
    assert web.asked == asked  # no window named it for a month
    await keep_open("r1")
    await refresh_calendars()
    assert web.asked == asked + 1  # a release may wait for it for longer


async def test_a_kept_calendar_that_others_changed_counts_as_unknown(web: CalendarHttp, clock: Clock) -> None:
    """It is authenticated under the key."""
    address = f"{web.url}/team.ics"
    await says(address, clock.at)
    web.says = "missing"
    [path] = (key_path().parent / calendars.CONTENTS).iterdir()
    path.write_bytes(b"x" * 100)
    said = await says(address, clock.later(hours=1))
    assert "never read" in said
    assert said.startswith("closed; opens not within 2 years")


@pytest.mark.parametrize("folder", [calendars.CALENDARS, calendars.CONTENTS])
@pytest.mark.parametrize("wrong", [b"", b"torn", "another key"])
async def test_a_kept_calendar_that_is_not_ours_is_read_again(web: CalendarHttp, clock: Clock, folder: str, wrong: bytes | str) -> None:
    """It was cut short, or is of another key: the address answers, so production need not stay closed."""
    address = f"{web.url}/team.ics"
    said = await says(address, clock.at)
    [path] = (key_path().parent / folder).glob("*.kept")
    path.write_bytes(wrong if isinstance(wrong, bytes) else Fernet(Fernet.generate_key()).encrypt(b"{}"))
    assert await says(address, clock.later(seconds=1)) == said
    assert await says(address, clock.later(seconds=1)) == said
    assert web.asked == 2
    assert [one.problem for one in await kept_calendars()] == [""]


async def test_one_that_others_could_write_is_not_replaced_and_its_fix_is_named(web: CalendarHttp, clock: Clock) -> None:
    """Who wrote it may want it read again."""
    address = f"{web.url}/team.ics"
    await says(address, clock.at)
    [path] = (key_path().parent / calendars.CALENDARS).glob("*.kept")
    path.chmod(0o666)
    assert f"chmod go-w {path}" in await says(address, clock.later(minutes=11))
    assert web.asked == 1


@pytest.mark.parametrize("folder", [calendars.CALENDARS, calendars.CONTENTS])
async def test_a_kept_calendar_that_cannot_be_read_keeps_no_other_from_its_turn(
    web: CalendarHttp, clock: Clock, tmp_path: Path, folder: str
) -> None:
    """The keeper reads the others again."""
    await says(f"{web.url}/team.ics", clock.at)
    [path] = (key_path().parent / folder).glob("*.kept")
    file = tmp_path / "team.ics"
    file.write_bytes(GOOD)
    await says(str(file), clock.at)
    path.write_bytes(b"torn")
    file.write_bytes(calendar(SALE.replace("T20", "T21")))
    clock.later(minutes=11)
    held = what_holds("shop")
    await refresh_calendars()
    assert what_holds("shop") != held
    assert web.asked == (1 if folder == calendars.CALENDARS else 2)


async def test_what_did_not_change_is_not_read_by_another_process(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A keeper, which begins with nothing in mind, looks at a file each half a minute."""
    path, read = tmp_path / "team.ics", list[datetime]()

    async def counted(content: bytes, *, zone: str, at: datetime) -> Events:
        read.append(at)
        return await _expand_here(content, zone=zone, at=at)

    monkeypatch.setattr(calendars, "expand", counted)
    path.write_bytes(GOOD)
    await says(str(path), clock.at)
    for content in (GOOD, GOOD, calendar(SALE.replace("T20", "T21"))):
        calendars._expanded.clear()
        path.write_bytes(content)
        clock.later(minutes=1)
        await refresh_calendars()
        assert [one.tried_at for one in await kept_calendars()] == [clock.at]
    assert read == [AT, clock.at]


async def test_a_calendar_that_takes_longer_than_a_turn_is_noted_as_tried(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each turn of the keeper would begin with it, and be cut off."""
    path = tmp_path / "team.ics"
    path.write_bytes(GOOD)
    await says(str(path), clock.at)
    path.write_bytes(calendar(SALE.replace("T20", "T21")))
    monkeypatch.setattr(calendars, "expand", lambda *_, **__: asyncio.sleep(3600))
    calendars._expanded.clear()
    clock.later(minutes=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await refresh_calendars()
    [kept] = await kept_calendars()
    assert (kept.tried_at, kept.read_at) == (clock.at, AT)
    assert "as it was less than 1 h ago, and not read since: there was no time for it" in kept_in_words(kept, clock.at)
    await refresh_calendars()  # it is not due


async def test_many_calendars_that_hang_keep_none_from_its_turn_for_ever(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn ends before the last of them; the next one begins with those that waited longest."""
    paths = [tmp_path / f"{number}.ics" for number in range(12)]
    for path in paths:
        path.write_bytes(GOOD)
        await says(str(path), clock.later(seconds=1))
    tried: list[str] = []

    async def hang(ics: str) -> bytes:
        tried.append(ics)
        await asyncio.sleep(3600)
        raise AssertionError

    monkeypatch.setattr(calendars, "fetch", hang)
    for turn in range(1, -(-len(paths) // calendars.AT_ONCE) + 1):
        clock.later(minutes=2)  # all are due again
        refresh = asyncio.create_task(refresh_calendars())
        await until(lambda wanted=turn * calendars.AT_ONCE: len(tried) == wanted)
        refresh.cancel()
        with pytest.raises(asyncio.CancelledError):
            await refresh
    assert set(tried) == {str(path) for path in paths}


async def test_without_a_key_nothing_is_kept(web: CalendarHttp, clock: Clock) -> None:
    """As on the machine of a developer, who checks a plan."""
    key_path().unlink()
    assert "by the calendar: sale" in await says(f"{web.url}/team.ics", clock.at)
    assert list(key_path().parent.iterdir()) == []
