"""Schedules: times as people write them, and a release that begins in its time or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.windows.decision import decide
from tasks.rules.windows.opening import Group
from tasks.rules.windows.schedule import Due, Needs, decide_due, due_in, next_window, outlasting, read_moment, scheduled, wakes_for
from tasks.rules.windows.window import Calendar, Window
from tests.rules.windows.oracle import utc

NIGHT = Window("allow", "Europe/Berlin", "few customers", "ada", cron="0 22 * * 1-5", lasts=timedelta(hours=4))
MONDAY = utc(2026, 11, 30, 12)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("22:00", utc(2026, 11, 30, 21)),
        ("3:00", utc(2026, 12, 1, 2)),
        ("12:59", utc(2026, 12, 1, 11, 59)),  # it is 13:00 in Berlin
        ("today 22:00", utc(2026, 11, 30, 21)),
        ("Tomorrow  03:00", utc(2026, 12, 1, 2)),
        ("mon 22:00", utc(2026, 11, 30, 21)),
        ("monday 03:00", utc(2026, 12, 7, 2)),
        ("fri 22:30", utc(2026, 12, 4, 21, 30)),
        ("in 90 min", utc(2026, 11, 30, 13, 30)),
        ("in 2h", utc(2026, 11, 30, 14)),
        ("2026-12-01T03:00", utc(2026, 12, 1, 2)),
        ("2026-12-01 03:00", utc(2026, 12, 1, 2)),
        ("2026-12-01T03:00Z", utc(2026, 12, 1, 3)),
        ("2026-12-01T03:00+05:30", utc(2026, 11, 30, 21, 30)),
        ("2027-03-28T02:30", utc(2027, 3, 28, 1)),  # in the gap: the first instant behind it
        ("2027-10-31T02:30", utc(2027, 10, 31, 0, 30)),  # twice: the first
    ],
)
def test_a_time_is_read_as_people_write_it(text: str, found: datetime) -> None:
    """By the wall of the zone, unless it names its own."""
    assert read_moment(text, at=MONDAY, zone="Europe/Berlin") == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "noon",
        "25:00",
        "3",
        "someday 03:00",
        "tomorrow",
        "in 5",
        "2026-02-30T03:00",
        "03:00:00 x",
        "in -5 min",
        "9999-12-31T23:59-05:00",
        "0001-01-01T00:00+05:00",
    ],
)
def test_what_is_not_a_time_is_refused(text: str) -> None:
    """With what can be written."""
    with pytest.raises(BadInput, match=r"is not a time\. Write `03:00`"):
        read_moment(text, at=MONDAY, zone="Europe/Berlin")


@pytest.mark.parametrize("text", ["today 12:00", "2026-11-30T13:00", "2026-11-30T12:00Z", "in 0 min", "2020-01-01T00:00"])
def test_a_time_that_has_passed_is_refused(text: str) -> None:
    """Also this very moment."""
    with pytest.raises(BadInput, match="has passed"):
        read_moment(text, at=MONDAY, zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (Window("allow", "UTC", "slots", "ada", ics="https://h/x", calendar=Calendar(note="never read: h answers 404")), "h answers 404"),
        (Window("deny", "UTC", "the quietest time was never measured", "ada", is_unknown=True), "the quietest time was never measured"),
    ],
)
def test_a_next_window_that_is_not_known_says_why(window: Window, said: str) -> None:
    """And not that none is long enough."""
    with pytest.raises(BadInput, match=said) as wrong:
        next_window([(window,)], MONDAY, needed=HOUR)
    assert "on the worker's machine" in str(wrong.value)


def test_the_next_window_is_the_first_that_is_long_enough() -> None:
    """From its opening to its end; too long a wave, or no window, is refused."""
    assert next_window([(NIGHT,)], MONDAY, needed=HOUR) == Due(utc(2026, 11, 30, 21), utc(2026, 12, 1, 1))
    assert next_window([(NIGHT,)], utc(2026, 12, 1, 0, 30), needed=HOUR) == Due(utc(2026, 12, 1, 21), utc(2026, 12, 2, 1))
    with pytest.raises(BadInput, match="no window is long enough"):
        next_window([(NIGHT,)], MONDAY, needed=5 * HOUR)
    with pytest.raises(BadInput, match="neither the plan nor a policy"):
        next_window([], MONDAY, needed=HOUR)


def test_a_schedule_lasts_until_its_window_closes() -> None:
    """Or as long as the person says; without windows for an hour."""
    at = utc(2026, 11, 30, 23)
    assert scheduled([(NIGHT,)], at, None, zone="UTC") == Due(at, utc(2026, 12, 1, 1))
    assert scheduled([(NIGHT,)], at, at + HOUR / 2, zone="UTC") == Due(at, at + HOUR / 2)
    assert scheduled([], at, None, zone="UTC") == Due(at, at + HOUR)


def test_between_freezes_alone_a_schedule_lasts_for_an_hour() -> None:
    """Open until Christmas is not a window: a worker that was down at night does not begin at noon, nor three weeks later."""
    freeze = Window("deny", "UTC", "Christmas", "ada", begins=utc(2026, 12, 20).replace(tzinfo=None))
    at = utc(2026, 12, 1, 3)
    assert scheduled([(freeze,)], at, None, zone="UTC", needs=Needs(HOUR / 2, HOUR / 2)) == Due(at, at + HOUR)
    assert scheduled([(freeze,)], at, at + 9 * HOUR, zone="UTC") == Due(at, at + 9 * HOUR)
    soon = utc(2026, 12, 19, 23, 30)
    assert scheduled([(freeze,)], soon, None, zone="UTC") == Due(soon, utc(2026, 12, 20))
    with pytest.raises(BadInput, match=r"90 min for staging before it.*does not fit in until Tue 2026-12-01 04:00 UTC"):
        scheduled([(freeze,)], at, None, zone="UTC", needs=Needs(1.5 * HOUR, HOUR / 2))
    assert next_window([(freeze,)], at, needed=HOUR) == Due(at, None)
    assert scheduled([(NIGHT, freeze)], utc(2026, 11, 30, 23), None, zone="UTC").latest == utc(2026, 12, 1, 1)


def test_what_is_scheduled_while_production_is_closed_is_refused() -> None:
    """Unless a window opens before the latest moment."""
    with pytest.raises(BadInput, match=r"closed at Mon 2026-11-30 13:00 UTC, and opens Mon 2026-11-30 21:00 UTC\. outside of the"):
        scheduled([(NIGHT,)], MONDAY + HOUR, None, zone="UTC")
    assert scheduled([(NIGHT,)], MONDAY + HOUR, utc(2026, 12, 1), zone="UTC").latest == utc(2026, 12, 1)
    with pytest.raises(BadInput, match="Name a later time"):
        scheduled([], MONDAY, MONDAY - HOUR, zone="UTC")


@pytest.mark.parametrize(
    ("at", "latest", "before", "wave", "fits"),
    [
        (utc(2026, 11, 30, 21), None, 0, 90, True),
        (utc(2026, 12, 1, 0), None, 0, 90, False),  # an hour is left
        (utc(2026, 12, 1, 0), utc(2026, 12, 2), 0, 90, True),  # the next night
        (utc(2026, 12, 1, 0), None, 0, 0, True),  # it proceeds whether it fits or not
        (utc(2026, 11, 30, 21), None, 180, 30, True),
        (utc(2026, 11, 30, 21), None, 180, 90, False),  # staging takes what production needs
        (utc(2026, 11, 30, 21), None, 300, 0, False),
        (utc(2026, 11, 30, 23, 25), None, 0, 90, True),
        (utc(2026, 11, 30, 23, 26), None, 0, 90, False),  # the keeper wakes it a moment later
    ],
)
def test_what_may_not_fit_is_not_scheduled(at: datetime, latest: datetime | None, before: int, wave: int, *, fits: bool) -> None:
    """At night, without an alert: the time that staging and the wave take is looked at when it is scheduled."""
    needs = Needs(timedelta(minutes=before), timedelta(minutes=wave))
    if fits:
        assert scheduled([(NIGHT,)], at, latest, zone="UTC", needs=needs).begin == at
        return
    with pytest.raises(BadInput, match=rf"{before} min for staging before it, {wave} min for itself.*`--prepare`"):
        scheduled([(NIGHT,)], at, latest, zone="UTC", needs=needs)


def decided(groups: list[Group], due: Due, at: datetime):  # type: ignore[no-untyped-def] # noqa: ANN201 - a helper
    """Decide for a wave of an hour."""
    return decide_due(lambda moment: decide(groups, moment, needed=HOUR, if_too_short="wait"), due, at)


def test_what_was_due_at_night_never_begins_at_noon() -> None:
    """With and without windows; it says when it was due."""
    due = Due(utc(2026, 12, 1, 2), utc(2026, 12, 1, 3))
    assert decided([], due, utc(2026, 12, 1, 2)).begins
    assert decided([], due, utc(2026, 12, 1, 3)).begins
    late = decided([], due, utc(2026, 12, 1, 12))
    assert not late.begins
    assert late.missed == (
        "it was scheduled to begin production not before Tue 2026-12-01 02:00 UTC and not later than Tue 2026-12-01 03:00 UTC, "
        "and it is Tue 2026-12-01 12:00 UTC now, 540 min too late"
    )


def test_a_release_that_is_ready_early_waits_for_its_time() -> None:
    """Also if a window is open already; if none opens then, until it does."""
    due = Due(utc(2026, 11, 30, 23), utc(2026, 12, 1, 1))
    early = decided([(NIGHT,)], due, utc(2026, 11, 30, 21, 30))
    assert (early.begins, early.until, early.missed) == (False, due.begin, "")
    freeze = Window("deny", "UTC", "stocktaking", "ada", begins=datetime(2026, 11, 30, 22), ends=datetime(2026, 11, 30, 23, 30))  # noqa: DTZ001
    held = decided([(NIGHT, freeze)], due, utc(2026, 11, 30, 21, 30))
    assert (held.until, held.missed) == (utc(2026, 11, 30, 23, 30), "")


def test_a_freeze_that_outlasts_the_latest_moment_is_said_at_once() -> None:
    """With its reason and whom to ask."""
    freeze = Window("deny", "UTC", "stocktaking", "ada", begins=datetime(2026, 11, 30, 22))  # noqa: DTZ001 - the wall's
    missed = decided([(NIGHT, freeze)], Due(utc(2026, 11, 30, 23), utc(2026, 12, 1, 1)), utc(2026, 11, 30, 21, 30)).missed
    assert "but production opens not within 2 years; looks again in a day: freeze of the plan" in missed
    assert "stocktaking (ask ada)" in missed


minutes = st.integers(0, 3 * 24 * 60).map(lambda number: MONDAY + timedelta(minutes=number))


@given(at=minutes, begin=st.none() | minutes, latest=st.none() | minutes, frozen=st.booleans())
def test_a_scheduled_wave_begins_only_in_its_time_and_while_production_is_open(
    at: datetime,
    begin: datetime | None,
    latest: datetime | None,
    frozen: bool,  # noqa: FBT001 - drawn
) -> None:
    """And if it waits, then for a moment at which that may be so; else it says that it is missed."""
    groups: list[Group] = [(NIGHT, Window("deny", "UTC", "x", "y", ends=datetime(2026, 12, 1, 23)))] if frozen else [(NIGHT,)]  # noqa: DTZ001
    found = decided(groups, Due(begin, latest), at)
    in_time = (begin is None or at >= begin) and (latest is None or at <= latest)
    if found.begins:
        assert in_time
        assert decide(groups, at, needed=HOUR, if_too_short="wait").begins
    elif not found.missed:
        assert found.until is not None
        assert found.until > at
        assert found.until >= (begin or at)
        assert latest is None or found.until <= latest
    else:
        assert latest is not None


def test_a_record_says_when_its_release_is_due() -> None:
    """By the names of the release's parameters; one that was not scheduled says nothing."""
    at = utc(2026, 12, 1)
    assert due_in({"version": "1.1"}) is None
    assert due_in({"not_before": at.isoformat()}) == Due(at, None)
    assert due_in({"not_later_than": at.isoformat()}) == Due(None, at)
    for wrong in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "2026-12-01T03:00", "soon"):
        with pytest.raises(ValueError, match=r"zone|years|format"):
            due_in({"not_before": wrong})


@pytest.mark.parametrize(
    ("latest", "until", "said"),
    [
        (None, None, ""),
        (None, MONDAY + 99 * HOUR, ""),
        (MONDAY + HOUR, None, ""),  # it may be lifted in time
        (MONDAY + HOUR, MONDAY + HOUR, ""),
        (MONDAY, None, ""),
        (MONDAY + HOUR, MONDAY + 2 * HOUR, "but frozen"),
        (MONDAY - HOUR, None, "60 min too late: frozen"),
    ],
)
def test_a_freeze_that_outlasts_a_scheduled_release_ends_it_at_once(latest: datetime | None, until: datetime | None, said: str) -> None:
    """Else it would wait for days with the lock and with staging."""
    found = outlasting(Due(None, latest), MONDAY, until=until, what="frozen")
    assert found.endswith(said) if said else found == ""
    assert outlasting(None, MONDAY, until=until, what="frozen") == ""


def test_what_is_frozen_looks_again_right_after_its_latest_moment() -> None:
    """By which it is to be lifted, or the release is skipped."""
    later = MONDAY + 24 * HOUR
    assert wakes_for(Due(None, MONDAY + HOUR), later) == MONDAY + HOUR + timedelta(seconds=1)
    assert wakes_for(Due(None, later + HOUR), later) == later
    assert wakes_for(Due(MONDAY, None), later) == wakes_for(None, later) == later
