"""The quietest windows of a service, for `shipway windows PLAN --quietest MINUTES`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.commands import _output

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from datetime import datetime

    from blocks.prometheus.prometheus import Prometheus
    from tasks.rules.analysis.forecast import Traffic
    from tasks.rules.analysis.rhythm import Quiet, Slot
    from tasks.rules.plan.plan import Plan
    from tasks.rules.plan.targets import Place
    from tasks.rules.windows.opening import Group

LEAST_MINUTES, MOST_MINUTES = 5, 24 * 60
BARS = " ▁▂▃▄▅▆▇█"


def add_quietest(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    parser.add_argument(
        "--quietest", type=_minutes, metavar="MINUTES", help="show the quietest windows of this length in the week, from Prometheus"
    )
    parser.add_argument("--counter", metavar="SELECTOR", help="with --quietest: the request counter (default: that of the plan's SLIs)")
    parser.add_argument(
        "--zone", metavar="ZONE", help="with --quietest: by whose time, as Europe/Berlin (default: that of the windows, else UTC)"
    )
    parser.add_argument(
        "--picture", metavar="FILE", help="with --quietest: draw the week into this SVG file; one a target, if there are several"
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure the plan's `windows.quietest` now, and keep it on this worker's machine"
    )


def _minutes(text: str) -> int:
    if not text.isdigit() or not LEAST_MINUTES <= int(text) <= MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes from {LEAST_MINUTES} to {MOST_MINUTES}")
    return int(text)


def ask_rhythm(arguments: argparse.Namespace, plan: Plan, groups: list[Group], at: datetime) -> dict[str, Any]:
    """Measure the traffic of weeks, and find the quietest windows of each environment of production.

    Raises:
        BadInput, Refused, Temporary: There is no counter, or Prometheus or the server do not answer.
    """
    import asyncio

    from tasks.rules.windows.words import zone_of_all
    from tasks.rules.windows.zones import zone_of

    wanted = plan.windows.quietest
    zone = arguments.zone or (wanted.zone if wanted else zone_of_all(tuple(window for group in groups for window in group)))
    zone_of(zone)  # refuses what is not one
    return {"zone": zone, "minutes": arguments.quietest, "environments": asyncio.run(_ask(arguments, plan, groups, at, zone=zone))}


async def _ask(arguments: argparse.Namespace, plan: Plan, groups: list[Group], at: datetime, *, zone: str) -> list[dict[str, Any]]:
    from flows.commands._power import measure_production
    from tasks.analysis.quietest import holidays_of
    from tasks.analysis.quietest_picture import draw_week
    from tasks.analysis.rhythm import read_rhythm
    from tasks.lifecycle.retries import retried
    from tasks.lifecycle.server import server
    from tasks.rules.analysis.request_counter import request_counter, words_for
    from tasks.rules.analysis.rhythm import profile
    from tasks.rules.plan.targets import production_of

    found = []
    wanted = plan.windows.quietest
    country, part = (wanted.holidays or "", wanted.subdivision or "") if wanted else ("", "")
    whose = "-".join(name for name in (country, part) if name)
    async with server():
        block = await prometheus_of(plan)
        measured = await measure_production(plan)
        async with block.client() as client:
            for place in production_of(plan):
                words = words_for(plan, place.environment)
                counter = arguments.counter or (wanted and wanted.counter_in(words)) or request_counter(plan.judgement, words)
                points = await retried(read_rhythm)(client, counter, now=at.timestamp())
                week = profile(points, zone=zone, is_holiday=holidays_of(country, part))
                known = measured.get(place.environment, ({}, True))
                facts = facts_of(plan, place, week, known, minutes=arguments.quietest, groups=groups, at=at, zone=zone)
                found.append({"environment": place.environment, "counter": counter, **facts})
                if file := getattr(arguments, "picture", None):
                    title = f"{plan.service}, {place.environment}: requests in a week"
                    minutes = arguments.quietest
                    _write(Path(file), place, draw_week(title, week, minutes=minutes, zone=zone, groups=groups, at=at, holidays=whose))
    return found


async def prometheus_of(plan: Plan) -> Prometheus:
    """Load the plan's Prometheus; the server is entered.

    Raises:
        BadInput: The block is not one, or does not exist.
    """
    from blocks.errors import BadInput
    from blocks.prometheus.prometheus import Prometheus
    from tasks.rollout.platforms import load_block

    block = await load_block(plan.judgement.prometheus, field="judgement.prometheus")
    if not isinstance(block, Prometheus):
        raise BadInput(f"{plan.judgement.prometheus} is not a Prometheus block", field="judgement.prometheus", fix="Name one.")
    return block


def _write(file: Path, place: Place, picture: str) -> None:
    """Write the picture of an environment's week; of several targets each has a file of its own.

    Raises:
        BadInput: It cannot be written.
    """
    from blocks.errors import BadInput
    from tasks.rules.plan.targets import target_of

    target = target_of(place.environment)
    path = file.with_name(f"{file.stem}-{target}{file.suffix}") if target else file
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}", field="--picture", fix="Name another file.") from None
    _output.show(f"The picture is in {path}.", error=True)


def facts_of(
    plan: Plan,
    place: Place,
    week: list[Slot | None],
    known: tuple[Mapping[str, Traffic], bool],
    *,
    minutes: int,
    groups: list[Group],
    at: datetime,
    zone: str,
) -> dict[str, Any]:
    """Say what the quietest windows are, and whether a canary could be judged in them.

    Args:
        plan: The plan.
        place: The environment.
        week: The profile of its traffic.
        known: Its traffic now, by SLI, and whether a baseline runs.
        minutes: The wanted length.
        groups: The windows of the plan and its policies.
        at: Now (UTC).
        zone: Of the profile.
    """
    from tasks.record.kept_times import history_of
    from tasks.rules.analysis.rhythm import SLOTS, best_of_each_day, probe_minutes, quiet_windows, rate_to_judge
    from tasks.rules.plan.targets import waves_of
    from tasks.rules.rollout.windows import needed_for

    seen, compared = known
    windows = quiet_windows(week, minutes=minutes)
    rate = rate_to_judge(plan.judgement, place.steps, seen, compared=compared)
    deciding = next((one for one in windows if one.per_second >= rate), None)
    too_quiet = bool(windows) and windows[0].per_second < rate
    history = history_of(plan)
    longest = max(needed_for(plan, number, history) for number in range(1, len(waves_of(plan)) + 1))
    return {
        "longest_minutes": math.ceil(longest.total_seconds() / 60),
        "measured": sum(slot is not None for slot in week[:SLOTS]) / SLOTS,
        "weeks": max((slot.weeks for slot in week[:SLOTS] if slot), default=0),
        "shape": _shape(week),
        "requests_to_judge": None if math.isinf(rate) else math.ceil(rate * minutes * 60),
        "windows": [_row(one, groups, at, rate=rate, zone=zone) for one in best_of_each_day(windows)],
        "quietest_that_decides": _row(deciding, groups, at, rate=rate, zone=zone) if deciding else None,
        "quietest_open": _quietest_open(windows, groups, at, rate=rate, zone=zone),
        "quietest_open_that_decides": _quietest_open([one for one in windows if one.per_second >= rate], groups, at, rate=rate, zone=zone),
        "probe_minutes": _finite(probe_minutes(plan.judgement, place.steps, compared=compared)) if too_quiet else None,
        "bad_ratio_known": bool(seen),
    }


def _finite(number: float) -> float | None:
    return None if math.isinf(number) else math.ceil(number)


def _quietest_open(windows: list[Quiet], groups: list[Group], at: datetime, *, rate: float, zone: str) -> dict[str, Any] | None:
    """Give the quietest window in which production is open when it comes next; None if that is never, or always."""
    rows = (_row(one, groups, at, rate=rate, zone=zone) for one in windows) if groups else ()
    return next((row for row in rows if row["open"]), None)


def _row(one: Quiet, groups: list[Group], at: datetime, *, rate: float, zone: str) -> dict[str, Any]:
    from datetime import timedelta

    from tasks.rules.windows.opening import look

    begin = one.next_begin(at, zone)
    seen = look(groups, begin)
    return {
        "when": one.words,
        "next": begin,
        "expected_requests": round(one.expected),
        "most_requests": round(one.most),
        "weeks": one.weeks,
        "decides": one.per_second >= rate,
        "open": seen.is_open and (seen.until is None or seen.until >= begin + timedelta(minutes=one.minutes)),
    }


def _shape(week: list[Slot | None]) -> list[str]:
    """Draw each day as 24 signs, an hour each; a hole where an hour was not measured."""
    hours = [[slot for slot in week[number : number + 4] if slot is not None] for number in range(0, len(week), 4)]
    means = [sum(slot.mean for slot in hour) / len(hour) if hour else None for hour in hours]
    most = max((mean for mean in means if mean is not None), default=0.0)
    signs = ["·" if mean is None else BARS[math.ceil(mean / most * 8) if most else 0] for mean in means]
    return ["".join(signs[begin : begin + 24]) for begin in range(0, len(signs), 24)]


def print_rhythm(found: dict[str, Any]) -> None:
    """Print the week of each environment, its quietest windows, and what could be judged in them."""
    from tasks.rules.windows.words import DAYS

    for one in found["environments"]:
        _output.show(f"\n{one['environment']}: traffic by the time of {found['zone']}, from {one['weeks']} week(s) of {one['counter']}")
        if not one["weeks"]:
            _output.show("  Prometheus has no such counter, so nothing is known: that is not the same as no traffic.")
            continue
        _output.show("        0     6     12    18")
        for day, signs in zip((*DAYS, "hol"), one["shape"], strict=False):
            _output.show(f"  {day}   {signs}{' (public holidays, which are no part of the days above)' if day == 'hol' else ''}")
        if one["measured"] < 1:
            _output.show(f"  {one['measured']:.0%} of the week was ever measured (`·` was not)")
        _print_windows(one, minutes=found["minutes"])


def _print_windows(one: dict[str, Any], *, minutes: int) -> None:
    if not one["windows"]:
        _output.show(f"  No {minutes} min of the week were measured in two weeks or more, so no window is proposed.")
        return
    _output.show(f"\n  The quietest {minutes} min of each day:")
    for row in one["windows"]:
        fit = "a canary can be judged" if row["decides"] else "too quiet to judge"
        closed = "" if row["open"] else ", production is closed then"
        _output.show(
            f"  {row['when']:<20} {row['expected_requests']:>10,} requests, {row['most_requests']:,} at most, in {row['weeks']} weeks: "
            f"{fit}{closed}"
        )
    _output.show(f"\n  {verdict(one, minutes=minutes)}")


def verdict(one: dict[str, Any], *, minutes: int) -> str:
    """Say in a sentence where a release belongs, or why not."""
    needed, deciding = one["requests_to_judge"], one["quietest_that_decides"]
    best, unsure = one["quietest_open"], "" if one["bad_ratio_known"] else " The ratio of bad requests is not known now, and taken as zero."
    if best and not one["windows"][0]["open"]:
        fit = "can be judged" if best["decides"] else "is too quiet to judge"
        both = one["quietest_open_that_decides"]
        also = f"; the quietest that can is {both['when']}, with {both['expected_requests']:,}" if both and not best["decides"] else ""
        when = f"{best['when']}, with {best['expected_requests']:,}"
        unsure = f" While production is open, the quietest is {when}, which {fit}{also}.{unsure}"
    is_too_long = one["longest_minutes"] > minutes
    if is_too_long:
        unsure = f" A wave takes up to {one['longest_minutes']:,} min, longer than these {minutes}.{unsure}"
    if needed is None:
        return f"No traffic would be enough: a step cannot decide at all; see `shipway check`.{unsure}"
    if one["windows"][0]["decides"]:
        begin = f"{one['windows'][0]['when']} is the quietest" if is_too_long else f"Release {one['windows'][0]['when']}"
        return f"{begin}: its steps need about {needed:,} requests in {minutes} min.{unsure}"
    probes = f"; probes would need {one['probe_minutes']:,} min" if one["probe_minutes"] is not None else ""
    still = f" The quietest time that still decides is {deciding['when']}, with {deciding['expected_requests']:,}." if deciding else ""
    return f"The quietest is too quiet to judge: the steps need about {needed:,} requests in {minutes} min{probes}.{still}{unsure}"
