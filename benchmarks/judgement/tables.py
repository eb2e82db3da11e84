"""The tables that the benchmark prints, in markdown."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.judgement.cases import ALPHA, Case, allowed_cases, equal_cases, interval, least_requests, worse_cases
from benchmarks.judgement.rivals import fixed_threshold, mann_whitney
from benchmarks.judgement.scrapes import INTERVALS, SHAPES, scrape
from benchmarks.judgement.streams import Evidence, decide, one_request
from tasks.rules.analysis.counters import Counting, Reading
from tasks.rules.analysis.verdict import Limits, combine, judge_counts

SEED = 20_240_607


def false_alarms(streams: int) -> Iterator[str]:
    """Canaries exactly as bad as allowed, looked at after every request."""
    yield "| p0 | p1 | tolerance | limit | share | canary requests | failed | 95 % interval | passed |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for number, case in enumerate(allowed_cases()):
        horizon = 100 / case.canary
        failed, passed = decide(case, streams=streams, horizon=horizon, rng=np.random.default_rng([SEED, number]))
        yield _alarm_row(case, horizon, failed, passed)


def every_request(streams: int) -> Iterator[str]:
    """The same with all questions, drawn and asked one request at a time."""
    yield "| p0 | p1 | tolerance | limit | share | canary requests | failed | 95 % interval | passed |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for number, case in enumerate([Case(0.05, 0.05, 0.5, 0.0), Case(0.05, 0.06, 0.3, 0.01, 0.06), Case(0.02, 0.02, 0.2, 0.0, 0.02)]):
        rng = np.random.default_rng([SEED, 1, number])
        failed, passed = decide(case, streams=streams, horizon=1000, rng=rng, draw=one_request(rng))
        yield _alarm_row(case, 1000, failed, passed)


def _alarm_row(case: Case, horizon: float, failed: np.ndarray, passed: np.ndarray) -> str:
    hits = int(np.isfinite(failed).sum())
    low, high = interval(hits, len(failed))
    wrong = np.isfinite(passed).mean()
    mark = "" if low <= ALPHA else " ✗"
    cells = f"{_percent(case.baseline)} | {_percent(case.canary)} | {_percent(case.tolerance)} | {_percent(case.limit)} | {case.share:.0%}"
    return f"| {cells} | {horizon:,.0f} | {_percent(hits / len(failed))}{mark} | {_percent(low)} to {_percent(high)} | {_percent(wrong)} |"


def detection(streams: int) -> Iterator[str]:
    """Canaries that are worse: how many of their requests it takes, looked at after every request."""
    yield "| p0 | effect | tolerance | share | bound | median | p90 | median / bound | missed in 12 bounds |"
    yield "|---|---|---|---|---|---|---|---|---|"
    ratios: dict[bool, list[float]] = {True: [], False: []}
    for number, (effect, case) in enumerate(worse_cases()):
        least = least_requests(case)
        failed, _ = decide(case, streams=streams, horizon=12 * least + 50, rng=np.random.default_rng([SEED, 2, number]))
        median, late = np.quantile(failed, 0.5, method="higher"), np.quantile(failed, 0.9, method="higher")
        mark = "" if median <= (2.0 if effect >= 5 else 2.5) * least else " ✗"
        ratios[effect >= 5].append(median / least)
        cells = f"{_percent(case.baseline)} | x{effect:g} | {_percent(case.tolerance)} | {case.share:.0%} | {least:,.1f}"
        missed = _percent(np.isinf(failed).mean())
        yield f"| {cells} | {median:,.0f} | {late:,.0f} | {median / least:.2f}{mark} | {missed} |"
    for is_large, values in ratios.items():
        name, most = ("effects of x5 and more", 2.0) if is_large else ("smaller effects", 2.5)
        within = sum(value <= most for value in values)
        yield f"\n{name}: {within} of {len(values)} cases within {most}; median ratio {np.median(values):.2f}, largest {max(values):.2f}"


def passing(streams: int) -> Iterator[str]:
    """Canaries just like the baseline, under a tolerance of one point."""
    yield "| p0 = p1 | share | median canary requests to pass | p90 | inconclusive after 20,000 | failed |"
    yield "|---|---|---|---|---|---|"
    for number, case in enumerate(equal_cases()):
        failed, passed = decide(case, streams=streams, horizon=20_000, rng=np.random.default_rng([SEED, 3, number]))
        median, late = np.quantile(passed, [0.5, 0.9], method="higher")
        yield (
            f"| {_percent(case.baseline)} | {case.share:.0%} | {median:,.0f} | {late:,.0f} | {_percent(np.isinf(passed).mean())} "
            f"| {_percent(np.isfinite(failed).mean())} |"
        )


def beside_others(streams: int) -> Iterator[str]:
    """The same scrapes before four judges: 60 intervals, a tenth of the traffic on the canary."""
    yield "| ratios | p0 | effect | canary requests an interval | ours | Argo Rollouts | Flagger | Mann-Whitney at the end |"
    yield "|---|---|---|---|---|---|---|---|"
    number = 0
    for moving in SHAPES:
        for requests in (5, 50):
            for baseline, effect in ((0.001, 1), (0.001, 10), (0.01, 1), (0.01, 5), (0.05, 1), (0.05, 3)):
                number += 1
                case = Case(baseline, baseline * effect, 0.1)
                counts = scrape(case, moving, requests=requests, streams=streams, rng=np.random.default_rng([SEED, 4, number]))
                yield f"| {moving} | {_percent(baseline)} | x{effect} | {requests} | {' | '.join(_judges(case, counts))} |"


def _judges(case: Case, counts: np.ndarray) -> list[str]:
    evidence = Evidence(case, len(counts))
    ours = np.full(len(counts), INTERVALS)
    for index in range(INTERVALS):
        evidence.add(counts[:, index])
        ours = np.where((ours == INTERVALS) & evidence.failed(), index, ours)
    rules = [
        ours,
        fixed_threshold(counts, most_bad_ratio=0.05, failures=4),
        fixed_threshold(counts, most_bad_ratio=0.01, failures=5),
        np.where(mann_whitney(counts), INTERVALS - 1, INTERVALS),
    ]
    return [_caught(at) for at in rules]


def _caught(at: np.ndarray) -> str:
    failed = at < INTERVALS
    when = f" (interval {np.median(at[failed]) + 1:.0f})" if failed.any() else ""
    return f"{_percent(failed.mean())}{when}"


def speed() -> Iterator[str]:
    """One verdict over 10 SLIs when one more scrape of both revisions came in, as a watch asks it, in processor time."""
    yield "| scrapes of each revision | ms, median | slowest of 20 |"
    yield "|---|---|---|"
    for moments in (30, 300, 3_000):
        limits = [Limits(name=f"sli-{which}", tolerance=0.01, limit=0.05, min_requests=50, alpha=0.001) for which in range(10)]
        watches = [Counting() for _ in limits]
        times = [_one_more(watches, limits, moment) for moment in range(moments)][-20:]
        yield f"| {moments:,} | {np.median(times) * 1000:.1f} | {max(times) * 1000:.1f} |"
    yield f"\nimporting the verdict and its statistic, numpy included: {_import_seconds():.2f} s"


def _import_seconds() -> float:
    """Time the import in processes of their own, in processor time, and take the best of five: the machine has other things to do."""
    code = "import time, sys, tasks.rules.analysis.verdict, tasks.rules.analysis.sequential; assert 'prefect' not in sys.modules; print(time.process_time())"  # noqa: E501
    bare = "import time; print(time.process_time())"

    def best(program: str) -> float:
        ran = [subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(5)]
        return min(float(one.stdout) for one in ran)

    return best(code) - best(bare)


def _one_more(watches: list[Counting], limits: list[Limits], moment: int) -> float:
    """Add one scrape of both revisions to each SLI's watch, and time the verdict."""
    before = time.process_time()
    for which, watch in enumerate(watches):
        watch.add(Reading(float(moment), "canary", "a", moment * which // 60, 10 * moment))
        watch.add(Reading(float(moment), "baseline", "a", moment * which // 20, 90 * moment))
    combine([judge_counts(watch.tally(), limit) for watch, limit in zip(watches, limits, strict=True)])
    return time.process_time() - before


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"
