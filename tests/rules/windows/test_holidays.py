"""Public holidays: which local dates are one, by country and part."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest

from tasks.rules.windows.holidays import Holidays, days_of, holiday_on, holidays_fault, is_holiday


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
