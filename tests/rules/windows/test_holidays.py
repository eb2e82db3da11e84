"""Public holidays: which local dates are one, by country and part."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta

import pytest

from tasks.rules.windows.calendar import events_of
from tasks.rules.windows.holidays import Holidays, days_of, holiday_on, holidays_fault, is_holiday
from tasks.rules.windows.opening import look
from tasks.rules.windows.window import Window, intervals
from tasks.rules.windows.words import look_in_words


@pytest.mark.parametrize(
    ("day", "country", "subdivision", "name"),
    [
        (date(2026, 12, 25), "DE", "", "Christmas Day"),
        (date(2026, 12, 24), "DE", "", ""),
        (date(2027, 3, 8), "DE", "BE", "Women's Day"),  # of Berlin alone
        (date(2027, 3, 8), "DE", "BY", ""),
        (date(2027, 1, 6), "DE", "BY", "Epiphany"),
        (date(2027, 5, 6), "DE", "", "Ascension Day"),  # by Easter
        (date(2026, 11, 26), "US", "", "Thanksgiving Day"),
        (date(2027, 1, 26), "AU", "SA", "Australia Day"),
        (date(2028, 2, 29), "DE", "", ""),
    ],
)
def test_a_local_date_is_a_holiday_by_country_and_part(day: date, country: str, subdivision: str, name: str) -> None:
    """Fixed ones, those by Easter, and those of one part."""
    assert holiday_on(day, country=country, subdivision=subdivision) == name
    assert is_holiday(day, country=country, subdivision=subdivision) == bool(name)


def test_the_days_before_a_holiday_count_if_wanted_and_the_holiday_itself_wins() -> None:
    """Christmas in Germany has two days."""
    found = list(days_of(Holidays("DE", days_before=1), date(2026, 12, 20), date(2027, 1, 2)))
    assert found == [
        (date(2026, 12, 24), "1 day before Christmas Day"),
        (date(2026, 12, 25), "Christmas Day"),
        (date(2026, 12, 26), "Second Day of Christmas"),
        (date(2026, 12, 31), "1 day before New Year's Day"),
        (date(2027, 1, 1), "New Year's Day"),
    ]


@pytest.mark.parametrize(
    ("country", "subdivision", "said"),
    [
        ("XX", "", "the holidays of the country `XX` are not known"),
        ("de", "", "the country `de`"),
        ("__class__", "", "are not known"),
        ("DE", "XX", "`XX` is not a part of DE with holidays of its own; these are: BB, BE"),
    ],
)
def test_an_unknown_country_or_part_is_refused(country: str, subdivision: str, said: str) -> None:
    """Never taken as one without holidays."""
    assert said in str(holidays_fault(country, subdivision))
    with pytest.raises(ValueError, match="not"):
        is_holiday(date(2026, 1, 1), country=country, subdivision=subdivision)


def test_the_names_do_not_follow_the_language_of_the_machine() -> None:
    """So that two workers say the same; and the package is not loaded before it is needed."""
    said = "import sys, datetime; from tasks.rules.windows.holidays import holiday_on; assert 'holidays' not in sys.modules;"
    ask = "print(holiday_on(datetime.date(2026, 12, 25), country='DE'))"
    ended = subprocess.run(
        [sys.executable, "-c", f"{said} {ask}"], env={"LANGUAGE": "de", "LANG": "de_DE.UTF-8"}, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "Christmas Day"


@pytest.mark.parametrize(
    ("zone", "country", "part", "around", "wanted"),
    [
        ("Europe/Berlin", "DE", "", "2026-12-25", "2026-12-24T23:00 2026-12-25T23:00 Christmas Day"),
        ("Australia/Adelaide", "AU", "SA", "2026-12-25", "2026-12-24T13:30 2026-12-25T13:30 Christmas Day"),
        # Clocks go forward on Easter Sunday in Berlin (2024), which is a holiday in Brandenburg, and go back on it in Adelaide (2026).
        ("Europe/Berlin", "DE", "BB", "2024-03-31", "2024-03-30T23:00 2024-03-31T22:00 Easter Sunday"),
        ("Australia/Adelaide", "AU", "SA", "2026-04-05", "2026-04-04T13:30 2026-04-05T14:30 Easter Sunday"),
        ("Australia/Lord_Howe", "AU", "NSW", "2026-04-05", "2026-04-04T13:00 2026-04-05T13:30 Easter Sunday"),
    ],
)
def test_a_holiday_is_a_day_by_the_wall(zone: str, country: str, part: str, around: str, wanted: str) -> None:
    """Of 23 or 25 hours on a daylight-saving night, or of half an hour more."""
    at = datetime.fromisoformat(f"{around}T06:00+00:00")
    window = Window("deny", zone, "public holiday", "ada", holidays=Holidays(country, part))
    found = next(one for one in intervals(window, at, at) if one.begin <= at < one.end)
    assert f"{found.begin:%Y-%m-%dT%H:%M} {found.end:%Y-%m-%dT%H:%M} {found.reason}" == wanted


def test_a_holiday_holds_with_its_name_and_the_next_one_has_its_own() -> None:
    """Days that touch stay apart, as their names differ."""
    window = Window("deny", "Europe/Berlin", "public holiday", "ada", holidays=Holidays("DE", "", 1))
    at = datetime(2026, 12, 24, 12, tzinfo=UTC)
    seen = look([(window,)], at)
    assert look_in_words(seen) == (
        "closed; opens Sun 2026-12-27 00:00 Europe/Berlin (23:00 UTC). "
        "freeze of the plan: the public holidays of DE and 1 day before each in Europe/Berlin, "
        "because: public holiday: 1 day before Christmas Day (ask ada)"
    )
    titles = [one.title for one in events_of("shop", [(window,)], at, at + timedelta(days=3))]
    assert titles == [
        "shop: freeze (public holiday: 1 day before Christmas Day)",
        "shop: freeze (public holiday: Christmas Day)",
        "shop: freeze (public holiday: Second Day of Christmas)",
    ]
