"""Measure a service's quietest time: read its traffic of weeks, choose the window, and keep it beside the key."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import partial
from typing import NamedTuple

from blocks.key_folder.places import whole_settings
from blocks.prometheus.prometheus import Prometheus
from tasks.analysis.rhythm import read_rhythm
from tasks.approval.protection import load_policies
from tasks.lifecycle.quietest import KeptQuietest
from tasks.lifecycle.retries import retried
from tasks.record.borders import hold
from tasks.rules.analysis.forecast import Traffic
from tasks.rules.analysis.quietest import Power, choose, summed
from tasks.rules.analysis.request_counter import asked_in
from tasks.rules.analysis.rhythm import Slot, probe_minutes, profile, rate_to_judge
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import production_of
from tasks.rules.policy.windows import groups_of
from tasks.rules.windows.holidays import is_holiday
from tasks.rules.windows.opening import Group
from tasks.rules.windows.quietest import Asked
from tasks.windows.calendars import with_calendars

Measured = Mapping[str, tuple[Mapping[str, Traffic], bool]]


class Weeks(NamedTuple):
    """The profile of each environment, and that of all together."""

    each: dict[str, list[Slot | None]]
    whole: list[Slot | None]


class Measuring(NamedTuple):
    """What is to be kept, and the profile of production's week."""

    kept: KeptQuietest
    week: list[Slot | None]


async def measure_quietest(plan: Plan, prometheus: Prometheus, traffic: Measured, *, at: datetime) -> Measuring:
    """Measure for the first time, or by another plan, as a person asked for.

    Args:
        plan: The plan, which has `windows.quietest`.
        prometheus: Its block, as that person saw it.
        traffic: What is measured now in each environment, for its ratio of bad requests, and whether a baseline runs.
        at: Now (UTC).

    Raises:
        BadInput, Refused, Temporary: Nothing can be chosen, or Prometheus does not answer.
    """
    asked, power = asked_in(plan), power_of(plan, traffic)
    weeks = await _read(asked, prometheus, at)
    chosen = await asyncio.to_thread(choose, weeks.each, weeks.whole, power, asked=asked, groups=await windows_of(plan), at=at)
    kept = KeptQuietest(
        plan=plan.model_dump(mode="json"),
        prometheus=whole_settings(prometheus),
        rates={name: _finite(one.rate) for name, one in power.items()},
        probe_minutes={name: _finite(one.probe_minutes) for name, one in power.items()},
        chosen=chosen,
        tried=at,
    )
    return Measuring(kept, weeks.whole)


async def measure_again(kept: KeptQuietest, *, at: datetime) -> Measuring:
    """Measure again by what is kept, whatever was done to plan and block since; the windows of policies are those of now.

    Raises:
        BadInput, Refused, Temporary: Nothing can be chosen, or Prometheus does not answer.
        ValueError: What is kept is of another version of Shipway.
    """
    plan, prometheus = Plan.model_validate(kept.plan), Prometheus.model_validate(kept.prometheus)
    hold(prometheus)
    asked = kept.chosen.asked
    power = {name: Power(_or_infinite(rate), _or_infinite(kept.probe_minutes.get(name))) for name, rate in kept.rates.items()}
    weeks = await _read(asked, prometheus, at)
    chosen = await asyncio.to_thread(
        choose, weeks.each, weeks.whole, power, asked=asked, groups=await windows_of(plan), at=at, before=kept.chosen
    )
    return Measuring(kept.model_copy(update={"chosen": chosen, "tried": at, "fault": ""}), weeks.whole)


def power_of(plan: Plan, traffic: Measured) -> dict[str, Power]:
    """Give what a verdict needs in each environment of production."""
    found: dict[str, Power] = {}
    for place in production_of(plan):
        seen, compared = traffic.get(place.environment, ({}, True))
        rate = rate_to_judge(plan.judgement, place.steps, seen, compared=compared)
        found[place.environment] = Power(rate, probe_minutes(plan.judgement, place.steps, compared=compared))
    return found


def holidays_of(country: str, subdivision: str = "") -> Callable[[date], bool] | None:
    """Give what says whether a day is a public holiday; None if none counts."""
    return partial(is_holiday, country=country, subdivision=subdivision) if country else None


async def windows_of(plan: Plan) -> list[Group]:
    """Give production's other windows, with what their calendars say."""
    return await with_calendars(groups_of(plan, load_policies()))


async def _read(asked: Asked, prometheus: Prometheus, at: datetime) -> Weeks:
    async with prometheus.client() as client:
        read = [retried(read_rhythm)(client, counter, now=at.timestamp()) for counter in asked.counters.values()]
        points = dict(zip(asked.counters, await asyncio.gather(*read), strict=True))
    make = partial(profile, zone=asked.zone, is_holiday=holidays_of(asked.country, asked.subdivision))
    return Weeks({name: make(one) for name, one in points.items()}, make(summed(points)))


def _finite(number: float) -> float | None:
    return None if math.isinf(number) else number


def _or_infinite(number: float | None) -> float:
    return math.inf if number is None else number
