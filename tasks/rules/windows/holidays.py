"""Holidays: the public holidays of a country or one of its parts, by the package `holidays`, which is loaded at the first question."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

DAY = timedelta(days=1)
COUNTRY = r"^[A-Z]{2}$"
FIX = "Write a country as in ISO 3166, as `DE`, and one of its parts as in ISO 3166-2 without the country, as `BE`."
LANGUAGE = "en_US"  # else the names would follow the language of the machine
MOST_NAMED = 60  # parts that are named in one error


@dataclass(frozen=True)
class Holidays:
    """Whose holidays.

    Fields:
        country: Its code, as `DE`.
        subdivision: The code of its part, as `BE`; "" for those of the whole country.
        days_before: How many days before each holiday count as well.
    """

    country: str
    subdivision: str = ""
    days_before: int = 0


def holiday_on(day: date, *, country: str, subdivision: str = "") -> str:
    """Give the name of the public holiday on a local date; "" if it is not one.

    Raises:
        ValueError: The country or its part is not known.
    """
    return _of_year(country, subdivision, day.year).get(day, "")


def is_holiday(day: date, *, country: str, subdivision: str = "") -> bool:
    """Say if a local date is a public holiday.

    Raises:
        ValueError: The country or its part is not known.
    """
    return bool(holiday_on(day, country=country, subdivision=subdivision))


def days_of(whose: Holidays, since: date, until: date) -> Iterator[tuple[date, str]]:
    """List the days that count, from the first to the last one, each with its holiday's name, or that it lies before it.

    Raises:
        ValueError: The country or its part is not known.
    """
    day = since
    while day <= until:
        for before in range(whose.days_before + 1):
            if name := holiday_on(day + DAY * before, country=whose.country, subdivision=whose.subdivision):
                yield day, name if not before else f"{before} day{'s' * (before > 1)} before {name}"
                break
        day += DAY


def holidays_fault(country: str, subdivision: str = "") -> str | None:
    """Say what is wrong with a country or its part; None if its holidays are known."""
    try:
        _of_year(country, subdivision, 2024)
    except ValueError as error:
        return str(error)
    return None


@lru_cache(maxsize=1_000)
def _of_year(country: str, subdivision: str, year: int) -> dict[date, str]:
    import holidays  # noqa: PLC0415 - it takes longer than all rules of windows together

    known = getattr(holidays, country, None) if re.fullmatch(COUNTRY, country) else None
    if known is None:
        raise ValueError(f"the holidays of the country `{country}` are not known")
    parts = (*known.subdivisions, *known.subdivisions_aliases)
    if subdivision and subdivision not in parts:
        raise ValueError(
            f"`{subdivision}` is not a part of {country} with holidays of its own; these are: {', '.join(parts[:MOST_NAMED]) or 'none'}"
        )
    language = LANGUAGE if LANGUAGE in known.supported_languages else None
    return dict(holidays.country_holidays(country, subdiv=subdivision or None, years=year, language=language))
