"""Whether a wave begins, in what words it waits, and which windows no release could ever use."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tasks.rules.windows.decision import TO_BEGIN, TooShort, decide, fault
from tasks.rules.windows.opening import look
from tasks.rules.windows.window import Window
from tasks.rules.windows.words import look_in_words, window_in_words
from tests.rules.windows.oracle import utc

NIGHTLY = Window("allow", "Europe/Berlin", "few customers", "shop-team", cron="0 22 * * 1-5", lasts=timedelta(hours=4))
FREEZE = Window(
    "deny", "Europe/Berlin", "Christmas", "ada", origin="policy shop",
    begins=datetime(2026, 12, 20), ends=datetime(2027, 1, 2),  # noqa: DTZ001 - the wall's
)  # fmt: skip
OPEN_FREEZE = Window("deny", "UTC", "an incident", "ada", begins=datetime(2026, 12, 20))  # noqa: DTZ001 - the wall's
HOUR = timedelta(hours=1)
LONGEST = timedelta(hours=4) - TO_BEGIN  # what fits in an opening of four hours


@pytest.mark.parametrize(
    ("at", "needed", "if_too_short", "until"),
    [
        (utc(2026, 11, 30, 12), HOUR, "wait", utc(2026, 11, 30, 21)),
        (utc(2026, 11, 30, 21), HOUR, "wait", None),
        (utc(2026, 12, 1, 0), HOUR, "wait", None),  # just fits
        (utc(2026, 12, 1, 0, 1), HOUR, "wait", utc(2026, 12, 1, 21)),
        (utc(2026, 12, 1, 0, 1), HOUR, "proceed", None),
        (utc(2026, 12, 25), HOUR, "proceed", utc(2027, 1, 1, 23)),
        (utc(2026, 11, 30, 12), HOUR, "ask", utc(2026, 11, 30, 21)),
        (utc(2026, 12, 1, 0), HOUR, "ask", None),
        (utc(2026, 12, 1, 0, 1), HOUR, "ask", utc(2026, 12, 1, 1)),  # people are asked until it closes
        (utc(2026, 12, 1, 0, 1), HOUR, "postpone", utc(2026, 12, 1, 21)),
        (utc(2026, 12, 1, 0, 1), 5 * HOUR, "postpone", utc(2026, 12, 1, 21)),  # none is ever long enough: they are asked again in the next
        (utc(2026, 11, 30, 12), 5 * HOUR, "ask", utc(2026, 11, 30, 21)),
        (utc(2026, 11, 30, 12), LONGEST + timedelta(minutes=1), "wait", utc(2026, 12, 1, 12)),  # it begins a moment later: looked at again
        (utc(2026, 12, 25), LONGEST, "wait", utc(2027, 1, 4, 21)),  # two hours of Friday's are left when the freeze ends
    ],
)
def test_a_wave_begins_or_waits_until_a_moment(at: datetime, needed: timedelta, if_too_short: TooShort, until: datetime | None) -> None:
    """Open and long enough, or as the plan says."""
    found = decide([(NIGHTLY,), (FREEZE,)], at, needed=needed, if_too_short=if_too_short)
    assert (found.begins, found.until) == (until is None, until)


def test_people_are_asked_only_in_a_window_that_is_open_and_may_be_too_short() -> None:
    """With the figures; a closed one is waited for."""
    found = decide([(NIGHTLY,)], utc(2026, 12, 1, 0, 30), needed=HOUR, if_too_short="ask")
    assert found.closes == utc(2026, 12, 1, 1)
    assert found.what.endswith("and people are asked whether to begin")
    assert found.why.endswith("in 30 min, and 60 min may be needed")
    others = [("ask", utc(2026, 12, 1, 0)), ("ask", utc(2026, 11, 30, 12)), ("postpone", utc(2026, 12, 1, 0, 30))]
    assert [decide([(NIGHTLY,)], at, needed=HOUR, if_too_short=way).closes for way, at in others] == [None] * 3  # type: ignore[arg-type]
    assert fault([(NIGHTLY,)], utc(2026, 12, 25), needed=5 * HOUR, if_too_short="ask") == ""
    assert "never opens" in fault([(OPEN_FREEZE,)], utc(2026, 12, 25), needed=HOUR, if_too_short="ask")


def test_the_words_name_window_reason_owner_and_time() -> None:
    """In the windows' own zone, and in UTC."""
    closed = decide([(NIGHTLY,), (FREEZE,)], utc(2026, 11, 30, 12), needed=HOUR, if_too_short="wait")
    assert closed.what == "production opens Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC)"
    assert (
        closed.why
        == "outside of the window of the plan: `0 22 * * 1-5` for 240 min in Europe/Berlin, because: few customers (ask shop-team)"
    )
    frozen = decide([(NIGHTLY,), (FREEZE,)], utc(2026, 12, 25), needed=LONGEST, if_too_short="wait")
    assert frozen.why == (
        "freeze of the policy shop: from 2026-12-20 00:00 until 2027-01-02 00:00 in Europe/Berlin, because: Christmas (ask ada)"
        "; what opens before that is too short: 235 min may be needed, and 5 min to begin"
    )
    short = decide([(NIGHTLY,)], utc(2026, 12, 1, 0, 30), needed=HOUR, if_too_short="wait")
    assert short.why == "the window closes Tue 2026-12-01 02:00 Europe/Berlin (01:00 UTC), in 30 min, and 60 min may be needed"


def test_a_freeze_without_an_end_is_looked_at_again_in_a_day() -> None:
    """It may be lifted; the release holds, and does not end."""
    found = decide([(OPEN_FREEZE,)], utc(2026, 12, 25), needed=HOUR, if_too_short="wait")
    assert found.until == utc(2026, 12, 26)
    assert "not within 2 years; looks again in a day" in found.what
    assert window_in_words(OPEN_FREEZE) == "freeze of the plan: from 2026-12-20 00:00 without an end in UTC, because: an incident (ask ada)"


def test_if_no_opening_is_long_enough_it_says_so_and_not_that_none_comes() -> None:
    """A policy that shortened a window after the release began: production opens tonight, for less than the wave needs."""
    for at in (utc(2026, 11, 30, 12), utc(2026, 11, 30, 22)):
        found = decide([(NIGHTLY,)], at, needed=5 * HOUR, if_too_short="wait")
        assert found.until == at + timedelta(days=1)
        assert found.what == "no opening within 2 years is long enough; looks again in a day"
        assert found.why.endswith("300 min may be needed, and 5 min to begin, and the longest opening is 240 min")


def test_windows_that_no_release_could_use_are_a_fault() -> None:
    """Never open, or never for long enough; the fix is said."""
    assert fault([(NIGHTLY,), (FREEZE,)], utc(2026, 12, 25), needed=LONGEST, if_too_short="wait") == ""
    assert "production never opens: closed; opens not within 2 years. freeze" in fault(
        [(OPEN_FREEZE,)], utc(2026, 12, 25), needed=HOUR, if_too_short="proceed"
    )
    assert "no window is long enough" in fault([(NIGHTLY,)], utc(2026, 12, 25), needed=4 * HOUR, if_too_short="wait")  # it would begin late
    short = fault([(NIGHTLY,)], utc(2026, 12, 25), needed=5 * HOUR, if_too_short="wait")
    assert short.startswith(
        "no window is long enough: a wave of production takes at most 300 min, and 5 min to begin; the longest opening is 240 min."
    )
    assert fault([(NIGHTLY,)], utc(2026, 12, 25), needed=5 * HOUR, if_too_short="proceed") == ""


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (utc(2026, 11, 30, 22), "open until Tue 2026-12-01 02:00 Europe/Berlin (01:00 UTC)"),
        (utc(2026, 11, 29), "closed; opens Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC). outside of the window of the plan"),
    ],
)
def test_what_holds_now_is_one_sentence(at: datetime, words: str) -> None:
    """Open or not, until when, and why."""
    assert look_in_words(look([(NIGHTLY,)], at)).startswith(words)
