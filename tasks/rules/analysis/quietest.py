"""Which window of the week a plan with `windows.quietest` gets: the quietest that decides, in production's other windows."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from blocks.errors import BadInput, Refused
from tasks.rules.analysis.rhythm import SLOT_MINUTES, SLOTS, Quiet, Slot, quiet_windows
from tasks.rules.windows.opening import Group, openings
from tasks.rules.windows.quietest import Asked, Chosen

AHEAD = 5  # weeks in which production's other windows are looked at: each day of the month is among them
STAYS = 0.9  # a window stays unless another one has less than this of its requests, so that chance does not move it each week
Points = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Power:
    """What a verdict needs in one environment.

    Fields:
        rate: Requests a second at which all steps decide; infinite if none would do.
        probe_minutes: How long probes would take; infinite if they cannot decide.
    """

    rate: float
    probe_minutes: float


def summed(points: Points) -> list[tuple[float, float]]:
    """Add up the requests of all environments; a quarter of an hour that was not measured in one of them was not measured."""
    found = [dict(one) for one in points.values()]
    moments = set(found[0]).intersection(*found[1:]) if found else set[float]()
    return [(at, sum(one[at] for one in found)) for at in sorted(moments)]


def choose(
    weeks: Mapping[str, Sequence[Slot | None]],
    whole: Sequence[Slot | None],
    power: Mapping[str, Power],
    *,
    asked: Asked,
    groups: Sequence[Group],
    at: datetime,
    before: Chosen | None = None,
) -> Chosen:
    """Choose the window.

    Of those that lie in production's other windows, the quietest in which the steps of every environment can decide; if they can in
    none, the quietest.

    Args:
        weeks: The profile of each environment.
        whole: That of all of them together.
        power: What a verdict needs in each environment.
        asked: What the plan asks for.
        groups: Production's other windows.
        at: Now (UTC).
        before: What was chosen last.

    Raises:
        BadInput: Nothing was measured, or not for long enough.
        Refused: None lies in production's other windows.
    """
    quiet = quiet_windows(whole, minutes=asked.minutes)
    if not quiet:
        wrong = "Prometheus has no such counter" if not any(whole) else f"no {asked.minutes} min of the week were measured in two weeks"
        raise BadInput(wrong, field="windows.quietest", fix=f"Look at what was asked for: {', '.join(asked.counters.values())}.")
    open_ = _in_windows(quiet, groups, at, zone=asked.zone)
    known = {name: {one.minute: one for one in quiet_windows(week, minutes=asked.minutes)} for name, week in weeks.items()}
    deciding = {one.minute for one in quiet if all(_decides(known[name].get(one.minute), power[name]) for name in known)}
    found = [one for one in open_ if one.minute in deciding] or open_
    if not found:
        wrong = f"no {asked.minutes} min that were measured lie in production's other windows in the coming {AHEAD} weeks"
        raise Refused(f"{wrong}. Make a window longer, or `windows.quietest.minutes` smaller")
    best = _kept(found, before, asked)
    rate = max((one.rate for one in power.values()), default=0.0)
    probes = max((one.probe_minutes for one in power.values()), default=math.inf)
    decides = best.minute in deciding
    return Chosen(
        asked=asked, at=at, minute=best.minute, expected=best.expected, most=best.most, weeks=best.weeks, decides=decides,
        needed=None if math.isinf(rate) else math.ceil(rate * asked.minutes * 60 - 1e-6),
        probe_minutes=None if decides or math.isinf(probes) else math.ceil(probes),
        quietest=_quieter(open_, best) if decides else "",
    )  # fmt: skip


def closed_slots(groups: Sequence[Group], at: datetime, *, zone: str) -> list[int]:
    """List the quarters of an hour of the coming week, from Monday 00:00 on, in which production is not open all the time."""
    if not groups:
        return []
    slots = [Quiet(number * SLOT_MINUTES, SLOT_MINUTES, 0, 0, 0) for number in range(SLOTS)]
    spans = _Spans(groups, at)
    return [number for number, slot in enumerate(slots) if not spans.hold(slot, slot.next_begin(at, zone))]


def _in_windows(quiet: Sequence[Quiet], groups: Sequence[Group], at: datetime, *, zone: str) -> list[Quiet]:
    """List those that lie in production's other windows in the coming weeks, the quietest first.

    One counts that does in half as many weeks as any other: a freeze of some days does not move it, and it does not wait for a day of
    the month if there is one each week.
    """
    if not groups:
        return list(quiet)
    spans = _Spans(groups, at)
    weeks = [at + timedelta(days=7 * number) for number in range(AHEAD)]
    often = [sum(spans.hold(one, one.next_begin(since, zone)) for since in weeks) for one in quiet]
    least = max(1.0, max(often) / 2)
    return [one for one, times in zip(quiet, often, strict=True) if times >= least]


class _Spans:
    """When production is open in the coming weeks."""

    def __init__(self, groups: Sequence[Group], at: datetime) -> None:
        end = at + timedelta(days=7 * (AHEAD + 2))
        self._spans = [(one.begin, one.end) for one in takewhile(lambda one: one.begin < end, openings(groups, at))]
        self._begins = [begin for begin, _ in self._spans]

    def hold(self, one: Quiet, begin: datetime) -> bool:
        """Say if a window that begins at a moment lies in one of them."""
        place = bisect_right(self._begins, begin) - 1
        if place < 0:
            return False
        end = self._spans[place][1]
        return end is None or begin + timedelta(minutes=one.minutes) <= end


def _kept(found: Sequence[Quiet], before: Chosen | None, asked: Asked) -> Quiet:
    """Give the quietest, or the one that was chosen before if it is about as quiet."""
    minute = before.minute if before is not None and before.asked == asked else None
    same = next((one for one in found if one.minute == minute), None)
    return same if same is not None and found[0].expected >= same.expected * STAYS else found[0]


def _quieter(windows: Iterable[Quiet], best: Quiet) -> str:
    quieter = next((one for one in windows if one.expected < best.expected * STAYS), None)
    return quieter.words if quieter else ""


def _decides(one: Quiet | None, power: Power) -> bool:
    return one is not None and one.per_second >= power.rate
