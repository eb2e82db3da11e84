"""Which window a plan with `windows.quietest` gets: the quietest that decides, in production's other windows, and not by chance another."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput, Refused
from tasks.rules.analysis.quietest import AHEAD, Power, choose, closed_slots, summed
from tasks.rules.analysis.request_counter import asked_in
from tasks.rules.analysis.rhythm import SLOTS, Slot
from tasks.rules.plan.plan import Plan
from tasks.rules.windows.opening import Group, look
from tasks.rules.windows.quietest import Asked, Chosen
from tasks.rules.windows.window import Window
from tests.rules.rollout.test_steps import plan_of, targets_of
from tests.rules.windows.oracle import utc

MONDAY = utc(2026, 11, 30, 12)
ASKED = Asked(minutes=60, zone="UTC", counters={"production": "x"})
EASY = {"production": Power(0.0, 1.0)}


def week_of(requests: Callable[[int], float | None], *, weeks: int = 8) -> list[Slot | None]:
    """Make a profile; the hour of the week gives the requests of each of its quarters."""
    found = (requests(number // 4) for number in range(SLOTS))
    return [None if one is None else Slot(one, one * 2, weeks) for one in found]


def by_hour(hour: int) -> float:
    """Let Tuesday be quietest from 3 to 4, and Saturday from 4 to 5 still be quieter than all other times."""
    return {24 + 3: 10.0, 5 * 24 + 4: 20.0}.get(hour, 1_000.0 - hour % 7)


def chose(requests: Callable[[int], float | None] = by_hour, **more: Any) -> Chosen:
    """Choose, by default without other windows and in a week in which every time decides."""
    week = week_of(requests)
    known: dict[str, Any] = {"weeks": {"production": week}, "whole": week, "power": EASY, "asked": ASKED, "groups": [], "at": MONDAY}
    return choose(**(known | more))


def allows(cron: str, *, minutes: int) -> Window:
    """Allow again and again."""
    return Window("allow", "UTC", "quiet", "ada", cron=cron, lasts=timedelta(minutes=minutes))


def denies(begins: str, ends: str) -> Window:
    """Deny once."""
    return Window("deny", "UTC", "freeze", "ada", begins=datetime.fromisoformat(begins), ends=datetime.fromisoformat(ends))


TUESDAY, SATURDAY = (24 + 3) * 60, (5 * 24 + 4) * 60


@pytest.mark.parametrize(
    ("groups", "minute"),
    [
        ([], TUESDAY),
        ([(allows("0 0 * * *", minutes=360),)], TUESDAY),
        ([(allows("0 4 * * 6", minutes=120),)], SATURDAY),
        ([(allows("0 0 * * *", minutes=360),), (allows("0 4 * * *", minutes=60),)], SATURDAY),  # a policy's windows count as well
        ([(denies("2026-12-01", "2026-12-02"),)], TUESDAY),  # this Tuesday is frozen: the next one is not, and it does not move
        ([(denies("2026-11-30", "2026-12-20"),)], TUESDAY),  # nor for a freeze of weeks
        ([(allows("0 3 1 * *", minutes=90),)], TUESDAY),  # the first of a month, a Tuesday
        (
            [(allows("0 3 1 * *", minutes=90), allows("0 4 * * 6", minutes=60))],
            SATURDAY,
        ),  # one each week is not passed over
    ],
)
def test_it_lies_in_productions_other_windows(groups: list[Group], minute: int) -> None:
    """Of the plan and of its policies."""
    assert chose(groups=groups).minute == minute


def test_none_is_chosen_if_none_lies_in_the_other_windows() -> None:
    """Not one that never opens: windows too short, or a freeze for longer than is looked ahead."""
    for groups in ([(allows("0 3 * * *", minutes=45),)], [(denies("2026-11-30", "2027-03-01"),)]):
        with pytest.raises(Refused, match=r"no 60 min that were measured lie in production's other windows in the coming 5 weeks"):
            chose(groups=groups)


@given(
    hours=st.lists(st.integers(0, 167), min_size=1, max_size=6),
    lasts=st.integers(30, 400),
    frozen=st.integers(0, 20),
)
def test_what_is_chosen_is_open_in_one_of_the_coming_weeks(hours: list[int], lasts: int, frozen: int) -> None:
    """From its begin to its end, as the windows alone say it."""
    windows = [allows(f"0 {hour % 24} * * {(hour // 24 + 1) % 7}", minutes=lasts) for hour in hours]
    until = MONDAY + timedelta(days=frozen)
    groups = [(*windows, denies("2026-11-01", f"{until:%Y-%m-%d}"))]
    try:
        found = chose(groups=groups)
    except Refused:
        assert lasts < 75 or frozen > 7  # a window of the week begins at a quarter of an hour
        return
    begins = [utc(2026, 11, 30) + timedelta(days=7 * week, minutes=found.minute) for week in range(AHEAD + 1)]
    seen = [look(groups, begin) for begin in begins if begin > MONDAY]
    assert any(one.is_open and (one.until is None or one.until >= one.at + timedelta(minutes=60)) for one in seen)


@pytest.mark.parametrize(
    ("rate", "minute", "decides", "quietest"),
    [
        (0.0, TUESDAY, True, ""),  # probes alone decide
        (1 / 45, SATURDAY, True, "Tue 03:00–04:00"),  # Tuesday's 40 requests are too few, Saturday's 80 do
        (1e9, TUESDAY, False, ""),
        (math.inf, TUESDAY, False, ""),
    ],
)
def test_the_quietest_that_decides_is_chosen(rate: float, minute: int, quietest: str, *, decides: bool) -> None:
    """If none decides, the quietest, and it is said with what would do."""
    found = chose(power={"production": Power(rate, 12.0)})
    assert (found.minute, found.decides, found.quietest) == (minute, decides, quietest)
    assert found.needed == (None if math.isinf(rate) else math.ceil(rate * 3_600 - 1e-6))
    assert found.probe_minutes == (None if decides else 12)


def test_every_environment_must_decide() -> None:
    """The requests of all are added up to find the quietest, and each is judged by its own."""
    busy, quiet = week_of(by_hour), week_of(lambda hour: 500.0 if hour == 24 + 3 else 1.0)
    whole = week_of(lambda hour: by_hour(hour) + (500.0 if hour == 24 + 3 else 1.0))
    power = {"a": Power(0.0, 1.0), "b": Power(1_000 / 3_600, 1.0)}
    found = chose(weeks={"a": busy, "b": quiet}, whole=whole, power=power)
    assert (found.minute, found.decides) == (TUESDAY, True)


@pytest.mark.parametrize(("before", "now", "minute"), [(105.0, 100.0, SATURDAY), (112.0, 100.0, TUESDAY), (100.0, 0.0, TUESDAY)])
def test_chance_does_not_move_it(before: float, now: float, minute: int) -> None:
    """It stays while it has about as few requests as the quietest; a tenth less moves it."""

    def requests(hour: int) -> float:
        return {24 + 3: now, 5 * 24 + 4: before}.get(hour, 1_000.0)

    kept = chose(lambda hour: 1.0 if hour == 5 * 24 + 4 else 1_000.0)
    assert kept.minute == SATURDAY
    assert chose(requests, before=kept).minute == minute
    assert chose(requests, before=kept.model_copy(update={"asked": ASKED.model_copy(update={"minutes": 45})})).minute == TUESDAY
    assert chose(requests, before=kept, groups=[(allows("0 0 * * 2", minutes=600),)]).minute == TUESDAY  # it is closed now


def test_what_was_not_measured_is_not_chosen() -> None:
    """It may be busy."""
    assert chose(lambda hour: None if hour == 24 + 3 else by_hour(hour)).minute == SATURDAY
    with pytest.raises(BadInput, match="no such counter"):
        chose(lambda _: None)
    once = week_of(by_hour, weeks=1)
    with pytest.raises(BadInput, match="no 60 min of the week were measured in two weeks"):
        chose(weeks={"production": once}, whole=once)


def test_a_quarter_that_one_environment_lacks_was_not_measured() -> None:
    """Else production would look quiet while one of its Prometheus series is away."""
    assert summed({"a": [(0, 5), (900, 7)], "b": [(0, 1), (1_800, 9)]}) == [(0, 6)]
    assert summed({}) == []


def test_what_is_closed_in_the_coming_week_is_known_by_the_quarter() -> None:
    """For the picture."""
    assert closed_slots([], MONDAY, zone="UTC") == []
    nights = closed_slots([(allows("0 0 * * *", minutes=360),)], MONDAY, zone="UTC")
    assert nights == [number for number in range(SLOTS) if number % 96 >= 24]


QUIETEST = {"minutes": 60, "zone": "Europe/Berlin", "owner": "ada"}
SCRAPED = {"slis": [{"name": "e", "source": "prometheus", "indicator": "errors", "selector": 'job="{service}",version="{version}"'}]}


def asking(plan: Plan, judgement: dict[str, Any] | None = None, **more: Any) -> Plan:
    """Let a plan ask for the quietest window."""
    changed = {"windows": {"quietest": QUIETEST | more}} | ({"judgement": judgement} if judgement else {})
    return Plan.model_validate(plan.model_dump(mode="json") | changed)


def test_a_plan_says_what_is_measured() -> None:
    """By its SLIs, or by its own counter, of each target; whose holidays count."""
    plan = asking(plan_of(), SCRAPED, holidays="DE", subdivision="BE")
    asked = asked_in(plan)
    assert asked.counters == {"production": f'http_requests_total{{job="{plan.service}",version=~".*"}}'}
    assert (asked.country, asked.subdivision) == ("DE", "BE")
    own = asked_in(asking(targets_of(1, 1), counter='requests{target="{target}"}'))
    assert own.counters == {"production/t0": 'requests{target="t0"}', "production/t1": 'requests{target="t1"}'}


def test_without_a_history_it_is_said_what_is_needed() -> None:
    """A platform's own counts have none; and two targets must not be counted as one."""
    with pytest.raises(BadInput, match=r"a platform's own counts have no history.*windows.quietest.counter"):
        asked_in(asking(plan_of()))
    with pytest.raises(BadInput, match="have the same counter, requests"):
        asked_in(asking(targets_of(1, 1), counter="requests"))
