"""Forecast of a release's verdicts: for each step and SLI the requests that come, those that a pass needs, and what would be detected."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tasks.rules.analysis.outcome import Limits
from tasks.rules.analysis.reasons import percent
from tasks.rules.analysis.verdict import limit_from_history, share_alpha
from tasks.rules.plan.judgement import Judgement, ProbeSli, Sli
from tasks.rules.plan.plan import Step

WHOLE = 100
TOLERANCES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5)


class Traffic(NamedTuple):
    """What was measured of the baseline for one SLI: events per second now, and its bad ones of all so far."""

    per_second: float
    bad: int
    total: int


@dataclass(frozen=True)
class StepPower:
    """What a step can decide about one SLI.

    Attributes:
        percent: The step.
        sli: The SLI's name.
        expected: Canary requests in the step's time; None if the traffic is not known.
        needed: Canary requests that a pass needs if the version is like its baseline, in the median; None if it cannot pass.
        caught: The smallest ratio of bad canary requests that fails within the step in nine of ten releases; None: none, or not known.
        remedy: What would make it decide, `watch 110 s, or tolerance 0.02`; "" if it can decide, or that is not known.
    """

    percent: int
    sli: str
    expected: int | None
    needed: int | None
    caught: float | None
    remedy: str = ""

    @property
    def decides(self) -> bool | None:
        """Whether the time is enough for a pass; None if the traffic is not known."""
        if self.needed is None:
            return False
        return None if self.expected is None else self.expected >= self.needed


def forecast(judgement: Judgement, steps: Sequence[Step], traffic: Mapping[str, Traffic], *, compared: bool = True) -> list[StepPower]:
    """Hold the steps of one environment against its traffic.

    Args:
        judgement: The plan's section.
        steps: Its steps; those that are not watched are left out.
        traffic: By SLI; one that is absent is not known, and probes need none.
        compared: False before the first deployment: there is no baseline.

    Returns:
        A line for each watched step and deciding SLI.
    """
    deciding = [sli for sli in judgement.slis if sli.deciding]
    return [_power(judgement, sli, step, traffic, compared=compared) for step in steps if step.watch_seconds for sli in deciding]


def rows(found: Sequence[StepPower]) -> Iterator[tuple[str, ...]]:
    """Give the rows of a table: step, SLI, canary requests expected, needed to pass, and the smallest regression detected."""
    for one in found:
        needed = "cannot pass" if one.needed is None else f"{one.needed:,}"
        unknown = "not known" if one.expected is None else "none"
        yield (
            f"{one.percent} %",
            one.sli,
            "not known" if one.expected is None else f"{one.expected:,}",
            needed,
            unknown if one.caught is None else f"{percent(one.caught)} % bad",
        )


HEADINGS = ("Step", "SLI", "Canary requests expected", "Needed to pass", "Smallest regression detected")


def warnings(found: Sequence[StepPower]) -> list[str]:
    """Say which steps cannot decide in their time, each with the numbers that would."""
    said = []
    for one in found:
        if one.decides is not False:
            continue
        if one.needed is None:
            why = "a version like its baseline cannot be shown to be good enough"
        else:
            why = f"about {one.expected:,} canary requests come in its time, and a pass needs about {one.needed:,}"
        said.append(f"the step of {one.percent} % cannot decide about {one.sli}: {why}" + (f"; {one.remedy} would" if one.remedy else ""))
    return said


def _power(judgement: Judgement, sli: Sli, step: Step, traffic: Mapping[str, Traffic], *, compared: bool) -> StepPower:
    from tasks.rules.analysis.power import requests_to_pass, smallest_caught  # noqa: PLC0415 numpy is needed only here

    probed = isinstance(sli, ProbeSli)
    seen = Traffic(1 / judgement.interval_seconds, 0, 0) if probed else traffic.get(sli.name)
    share = _share(step, probed=probed, compared=compared)
    ratio = seen.bad / seen.total if seen is not None and seen.total else 0.0
    limits = _limits(judgement, sli, seen, alone=share == 1 and compared)
    needed = requests_to_pass(limits, ratio=_rounded(ratio), share=share)
    if seen is None:
        return StepPower(step.percent, sli.name, None, int(needed) if math.isfinite(needed) else None, None)
    rate = seen.per_second if probed else seen.per_second * step.percent / WHOLE
    expected = int(rate * step.watch_seconds)
    caught = smallest_caught(limits, ratio=_rounded(ratio), share=share, requests=int(_rounded(expected)))
    remedy = "" if expected >= needed else _remedy(limits, _rounded(ratio), share, rate, step.watch_seconds)
    return StepPower(step.percent, sli.name, expected, int(needed) if math.isfinite(needed) else None, caught, remedy)


def _share(step: Step, *, probed: bool, compared: bool) -> float:
    """Give the canary's share of the requests that are compared: a probe asks both alike, and at full traffic there is no baseline."""
    if not compared:
        return 1.0
    return 0.5 if probed else step.percent / WHOLE


def _limits(judgement: Judgement, sli: Sli, seen: Traffic | None, *, alone: bool) -> Limits:
    alpha, limit = share_alpha(judgement.alpha, sum(one.deciding for one in judgement.slis)), sli.limit
    if alone:  # the baseline's past gives the limit then
        alpha /= 2
        past = limit_from_history(seen.bad, seen.total, tolerance=sli.tolerance, alpha=alpha) if seen and seen.total else sli.tolerance
        limit = min(limit, past)
    # Without a name: SLIs of the same limits ask the same question, which is answered once.
    return Limits(name="", tolerance=sli.tolerance, limit=limit, min_requests=judgement.min_requests, alpha=alpha)


def _remedy(limits: Limits, ratio: float, share: float, rate: float, seconds: float) -> str:
    """Name the time, and the tolerance, with which the step would decide."""
    from dataclasses import replace  # noqa: PLC0415

    from tasks.rules.analysis.power import requests_to_pass  # noqa: PLC0415 numpy is needed only here

    needed = requests_to_pass(limits, ratio=ratio, share=share)
    found = [f"watch {math.ceil(needed / rate / 10) * 10:,} s"] if math.isfinite(needed) and rate else []
    for tolerance in (one for one in TOLERANCES if one > limits.tolerance and share < 1):
        if requests_to_pass(replace(limits, tolerance=tolerance), ratio=ratio, share=share) <= rate * seconds:
            found.append(f"tolerance {tolerance:g}")
            break
    return ", or ".join(found)


def _rounded(number: float) -> float:
    """Round a ratio or a count to two digits: more are not known, and the same question is answered once."""
    return float(f"{number:.1e}")
