"""Backtest of the expected end: `python -m benchmarks.estimate [--releases N] [--home FOLDER]`.

Each release of a history is estimated from those before it alone, when it begins, and while it is under way: after a quarter, a half and
three quarters of the median of those before it, as nothing that is known only at its end may choose the moment. Each estimate is compared
with what was left in fact. Without `--home` the history is made: several services, whose phases vary as
lognormal times do, share slow days, and become slower at some time. With it, it is what the key folder of that home directory knows.

The ninetieth percentile must cover 85 to 95 % of the releases.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tasks.rules.rollout.expected import FEW, Ahead, work_left
from tasks.rules.rollout.history import AFTERWARDS, MOST, Measured, Took

LEAST_SHARE, MOST_SHARE = 0.85, 0.95
MOMENTS = (0.0, 0.25, 0.5, 0.75)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


class Coverage(NamedTuple):
    """Of how many estimates the median, and the ninetieth percentile, were not exceeded."""

    number: int
    middle: float
    most: float


def backtest(history: Sequence[Measured], *, at: float) -> list[tuple[bool, bool]]:
    """Estimate each release from those before it, after a part of their median; gives whether median and ninetieth percentile held."""
    ordered, totals, found = sorted(history, key=lambda one: one.at), list[float](), list[tuple[bool, bool]]()
    for number, one in enumerate(ordered):
        phases = [phase for phase in one.phases if phase.phase != AFTERWARDS]  # the last wave has it
        ends = list(accumulate(phase.seconds for phase in phases))
        moment = at * median(totals[-MOST:]) if totals else 0.0
        totals.append(ends[-1])
        if moment >= ends[-1]:
            continue  # it is over by then
        present = next(place for place, end in enumerate(ends) if end > moment)
        elapsed = moment - (ends[present - 1] if present else 0.0)
        left = work_left(ordered[:number], [Ahead(phase.phase, phase.steps) for phase in phases[present:]], elapsed)
        if left.counted >= FEW:
            found.append((ends[-1] - moment <= left.middle, ends[-1] - moment <= left.most))
    return found


def coverage(histories: Iterable[Sequence[Measured]], *, at: float) -> Coverage:
    """Backtest several services together."""
    found = [one for history in histories for one in backtest(history, at=at)]
    number = max(1, len(found))
    return Coverage(len(found), sum(middle for middle, _ in found) / number, sum(most for _, most in found) / number)


def made(number: int, draw: random.Random) -> list[Measured]:
    """Make the history of a service: 5 minutes of preparation, waves of 10 and 20 minutes, which a slow day makes longer together."""
    found = []
    for place in range(number):
        day = draw.lognormvariate(0, 0.15) * (1.0 if place < number // 2 else 1.1)
        seconds = [day * middle * draw.lognormvariate(0, width) for middle, width in ((300, 0.3), (600, 0.15), (1_200, 0.2))]
        phases = [Took(phase="preparation", seconds=seconds[0])]
        phases += [Took(phase=f"wave {wave}", seconds=seconds[wave], steps=f"steps {wave}") for wave in (1, 2)]
        found.append(Measured(run=f"r{place}", at=BEGIN + timedelta(hours=place), phases=tuple(phases)))
    return found


def _kept(home: Path) -> list[list[Measured]]:
    from tasks.record.kept_times import all_times

    os.environ["SHIPWAY_KEY_FILE"] = str(home / "keys" / "approvals.key")
    times = all_times()
    return [[one for name, one in times if name == service] for service in sorted({name for name, _ in times})]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=400)
    parser.add_argument("--services", type=int, default=25)
    parser.add_argument("--home", type=Path)
    arguments = parser.parse_args()
    draw = random.Random(14)
    histories = _kept(arguments.home) if arguments.home else [made(arguments.releases, draw) for _ in range(arguments.services)]
    is_good = True
    for at in MOMENTS:
        found = coverage(histories, at=at)
        is_right = LEAST_SHARE <= found.most <= MOST_SHARE
        is_good &= is_right
        said = f"the median held in {found.middle:.1%}, the ninetieth percentile in {found.most:.1%}"
        words = f"after {at:.0%} of the median: {found.number} estimates, {said}"
        print(f"   {words}{'' if is_right else ': NOT 85 TO 95 %'}", flush=True)
    sys.exit(0 if is_good else 1)
