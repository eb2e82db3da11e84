"""Performance: measure the steps of a smoke test, alternately against the version and the baseline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from blocks.outside_text import outside
from tasks.rules.lifecycle.results import PhaseResult, worst_of
from tasks.rules.plan.smoke import Performance
from tasks.rules.verification.performance import Baseline, Judged, compare_times, judge_times
from tasks.verification.smoke_requests import Visit, Walked, walk

WARM_UPS = 3
ROUNDS = 4
PATIENCE_SHARE = 20  # a baseline that hangs must not use up the time of the version that fixes it
LOST_SHARE = 10  # nor one that hangs now and then
FEW_FAULTS = 3


@dataclass
class _Side:
    visit: Visit
    patience_seconds: float
    runs: list[tuple[float, ...]] = field(default_factory=list)
    last: Walked = field(default_factory=lambda: Walked((), outside(""), ()))
    faults: int = 0
    fault: str = ""
    lost_seconds: float = 0.0

    async def run(self) -> Walked:
        began = time.monotonic()
        until = min(self.visit.deadline, began + self.patience_seconds)
        walked = await walk(replace(self.visit, deadline=until), in_time=False)
        if not walked.fault:
            self.runs.append(walked.seconds)
        else:
            self.faults, self.fault = self.faults + 1, walked.fault
            self.lost_seconds += time.monotonic() - began
        self.last = walked
        return walked

    def begin(self) -> None:
        """Forget the warm-up."""
        self.runs.clear()
        self.faults, self.lost_seconds = 0, 0.0

    @property
    def is_lost(self) -> bool:
        """Whether it fails too often, or for too long, to be compared with."""
        most_seconds = self.patience_seconds * PATIENCE_SHARE / LOST_SHARE
        return self.faults > max(FEW_FAULTS, len(self.runs)) or self.lost_seconds >= most_seconds


async def measure(visit: Visit, *, rules: Performance, baseline: Baseline | None) -> dict[str, object]:
    """Run the steps repeatedly, together with the baseline if there is one, until the times are conclusive.

    The first fault of the version ends it. A baseline that cannot do the steps (they may be new), or fails in them again and
    again, is not compared with, which the reason reports; then, as without one, only the steps' own limits decide.

    Args:
        visit: The version.
        rules: How its times are judged.
        baseline: The baseline.

    Returns:
        `outcome` passed, failed or no_data, `reason`, `output`, and `times`: milliseconds a run, of both.
    """
    seconds = visit.deadline - time.monotonic()
    ours = _Side(visit, seconds)
    theirs = _Side(replace(visit, url=baseline.url, version=baseline.version), seconds / PATIENCE_SHARE) if baseline else None
    failed = await _warm_up(ours)
    note = "there is no baseline to compare with"
    if theirs and not failed and await _warm_up(theirs) and not theirs.runs:
        note = f"not compared with {theirs.visit.version}: {theirs.last.fault}"
        theirs = None
    for side in (ours, theirs):
        if side:
            side.begin()
    judged: Judged = {"outcome": "no_data", "reason": "nothing was measured"}
    for _ in range(ROUNDS):
        failed = failed or await _measure_round(ours, theirs, rules)
        if theirs and theirs.is_lost:
            note = f"no longer compared with {theirs.visit.version}, which failed {theirs.faults} times: {theirs.fault}"
            theirs = None
        judged = _judge(ours, theirs, rules, note)
        if failed or judged["outcome"] not in {"watching", "no_data"}:
            break
    return _report(ours, theirs, judged, failed)


async def _warm_up(side: _Side) -> Walked | None:
    walked = [await side.run() for _ in range(WARM_UPS)]
    return next((one for one in walked if one.fault), None)


async def _measure_round(ours: _Side, theirs: _Side | None, rules: Performance) -> Walked | None:
    """Run each version as often as planned, alternating which goes first; return the canary's first fault."""
    turns = iter(range(rules.repeats))
    failed: list[Walked] = []

    async def work() -> None:
        for turn in turns:
            for side in (ours, theirs) if turn % 2 else (theirs, ours):
                if failed or side is None or (side is theirs and side.is_lost):
                    continue
                walked = await side.run()
                if walked.fault and side is ours:
                    failed.append(walked)

    await asyncio.gather(*(work() for _ in range(rules.concurrency)))
    return failed[0] if failed else None


def _judge(ours: _Side, theirs: _Side | None, rules: Performance, note: str) -> Judged:
    found = [
        judge_times(
            [seconds[index] for seconds in ours.runs],
            within_seconds=step.expect.within_seconds,
            rules=rules,
            what=step.name or f"step {index + 1}",
        )
        for index, step in enumerate(ours.visit.steps)
        if step.expect.within_seconds is not None
    ]
    if theirs:
        found.insert(0, compare_times(_totals(ours), _totals(theirs), rules=rules, other=theirs.visit.version))
    whole = worst_of([PhaseResult.of(one) for one in found])
    reason = "; ".join(one["reason"] for one in found) if whole.passed else str(whole.reason)
    return {"outcome": whole.outcome.value, "reason": reason if theirs else f"{reason}; {note}"}


def _report(ours: _Side, theirs: _Side | None, judged: Judged, failed: Walked | None) -> dict[str, object]:
    outcome, reason = judged["outcome"], judged["reason"]
    if failed:
        outcome, reason = "failed", f"{failed.fault} (after {len(ours.runs)} measured runs)"
    elif outcome == "watching":  # over the allowance after so many runs is not fast enough, even if it may be chance
        outcome, reason = "failed", f"{reason}; that is over it, though it may be chance"
    times = {"version": _milliseconds(ours), "baseline": _milliseconds(theirs) if theirs else []}
    output = "\n".join([*(failed or ours.last).lines, reason])
    return {"outcome": outcome, "reason": reason, "output": output, "times": {"unit": "ms", **times}}


def _totals(side: _Side) -> Sequence[float]:
    return [sum(seconds) for seconds in side.runs]


def _milliseconds(side: _Side) -> list[float]:
    return [round(seconds * 1000, 2) for seconds in _totals(side)]
