"""Rules of RFC 5545 agree with a second opinion, which goes through every day and asks whether it is one of the rule's."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import groupby

from hypothesis import assume, example, given
from hypothesis import strategies as st

from tasks.rules.windows.rrule import misread, rule_fault, starts_of

DAY, SPAN = timedelta(days=1), timedelta(days=500)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
Parts = dict[str, str]


def one_of(*values: object) -> st.SearchStrategy[str]:
    """Draw one to three of these, parted by commas."""
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(lambda found: ",".join(map(str, found)))


RULES = st.fixed_dictionaries(
    {"FREQ": st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])},
    optional={
        "INTERVAL": st.sampled_from(["1", "2", "3", "7"]),
        "WKST": st.sampled_from(DAYS),
        "BYMONTH": one_of(1, 2, 6, 11, 12),
        "BYMONTHDAY": one_of(1, 13, 28, 29, 30, 31, -1, -2, -31),
        "BYYEARDAY": one_of(1, 60, 365, 366, -1, -366),
        "BYDAY": one_of(*DAYS) | one_of("1MO", "-1FR", "2SU", "5TH", "-5WE", "+3TU") | one_of("FR", "MO", "-1FR", "1MO"),
        "BYSETPOS": one_of(1, 2, -1, -2),
        "COUNT": st.sampled_from(["1", "3", "20"]),
        "UNTIL": st.dates(date(2027, 1, 1), date(2029, 6, 1)).map("{:%Y%m%d}".format),
    },
)


@given(RULES, st.datetimes(datetime(2027, 1, 1), datetime(2028, 3, 1)))  # noqa: DTZ001 - the wall's
@example({"FREQ": "YEARLY", "BYMONTH": "2", "BYMONTHDAY": "29"}, datetime(2028, 2, 29, 3))  # noqa: DTZ001
@example({"FREQ": "WEEKLY", "INTERVAL": "2", "WKST": "SU", "BYDAY": "SU,TU"}, datetime(2027, 1, 5, 3))  # noqa: DTZ001
@example({"FREQ": "MONTHLY", "BYDAY": "MO,TU,WE", "BYSETPOS": "-1", "COUNT": "3"}, datetime(2027, 1, 1, 22))  # noqa: DTZ001
@example({"FREQ": "DAILY", "UNTIL": "20270110"}, datetime(2027, 1, 1, 22))  # noqa: DTZ001
def test_a_rule_has_the_days_that_a_naive_reading_has(rule: Parts, about: datetime) -> None:
    """From the first of them on, with each end that a rule may have; what is refused is not read at all."""
    assume(not misread({name: value.split(",") for name, value in rule.items()}))
    begin = about.replace(second=0, microsecond=0)
    plain = {name: value for name, value in rule.items() if name not in {"COUNT", "UNTIL"}}
    first = next(naive(plain, begin), None)
    assume(first is not None and ("BYSETPOS" not in rule or any(name in rule for name in ("BYDAY", "BYMONTHDAY", "BYYEARDAY"))))
    assert first is not None
    text = ";".join(f"{name}={value}" for name, value in rule.items())
    # The periods of INTERVAL are counted from the first day, so the days are looked for once more from there.
    wanted = list(naive(plain, first))[: int(rule.get("COUNT", 1_000))]
    wanted = [start for start in wanted if f"{start:%Y%m%d}" <= rule.get("UNTIL", "9")]
    assert (rule_fault(text, first) is None) == (bool(wanted) and wanted[0] == first)
    if wanted and wanted[0] == first:
        assert list(starts_of(text, first, first, first + SPAN)) == [start for start in wanted if start <= first + SPAN]


def naive(rule: Parts, first: datetime) -> Iterator[datetime]:
    """Go through every day of the periods around a first one, and give the starts from it on."""
    day, end = first.date().replace(month=1, day=1) - 7 * DAY, date(first.year + 3, 1, 1)
    days = [day + DAY * number for number in range((end - day).days)]
    for number, period in groupby(days, lambda one: period_of(rule, first, one)):
        fits = [one for one in period if fits_in(rule, first, one)] if number % int(rule.get("INTERVAL", 1)) == 0 else []
        places = [int(place) for place in rule["BYSETPOS"].split(",")] if "BYSETPOS" in rule else None
        for place, one in enumerate(fits, start=1):
            start = datetime.combine(one, time(first.hour, first.minute))
            if start >= first and (places is None or place in places or place - len(fits) - 1 in places):
                yield start


def period_of(rule: Parts, first: datetime, day: date) -> int:
    """Count the rule's periods from that of its first start on."""
    if rule["FREQ"] == "DAILY":
        return (day - first.date()).days
    if rule["FREQ"] == "WEEKLY":
        begin = first.date() - DAY * ((first.weekday() - DAYS.index(rule.get("WKST", "MO"))) % 7)
        return (day - begin).days // 7
    months = (day.year - first.year) * 12 + day.month - first.month
    return months if rule["FREQ"] == "MONTHLY" else day.year - first.year


def fits_in(rule: Parts, first: datetime, day: date) -> bool:
    """Say if a day has all that the rule asks for; what it leaves out is that of its first start."""
    month, year = calendar.monthrange(day.year, day.month)[1], 366 if calendar.isleap(day.year) else 365
    of_year = day.timetuple().tm_yday
    by_month = rule["FREQ"] == "MONTHLY" or "BYMONTH" in rule
    place, length = (day.day, month) if by_month else (of_year, year)
    numbers = {"", f"{(place - 1) // 7 + 1}", f"+{(place - 1) // 7 + 1}", f"-{(length - place) // 7 + 1}"}
    own = {
        "BYMONTH": {day.month},
        "BYMONTHDAY": {day.day, day.day - month - 1},
        "BYYEARDAY": {of_year, of_year - year - 1},
        "BYDAY": {f"{number}{DAYS[day.weekday()]}" for number in numbers},
    }
    asked = {**left_out(rule, first), **rule}
    return all({str(one) for one in values} & set(asked[name].split(",")) for name, values in own.items() if name in asked)


def left_out(rule: Parts, first: datetime) -> Parts:
    """Give the parts that a rule without any day takes from its first start."""
    if rule["FREQ"] == "DAILY" or {"BYMONTHDAY", "BYYEARDAY", "BYDAY"} & rule.keys():
        return {}
    if rule["FREQ"] == "WEEKLY":
        return {"BYDAY": DAYS[first.weekday()]}
    return {"BYMONTHDAY": str(first.day)} | ({"BYMONTH": str(first.month)} if rule["FREQ"] == "YEARLY" else {})
