"""The judgement of one step: from traffic counts by version to one verdict an SLI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tasks.rules.indicator import bad_and_total
from tasks.rules.plan import Judgement, Sli
from tasks.rules.readings import compact, fault
from tasks.rules.verdict import Limits, Reading, Verdict, judge, limit_from_history, share_alpha

WHOLE = 100
MANY = 100  # readings; a verdict costs time in proportion to them, and needs few of them


class Step:
    """What a step's watch knows: every reading so far, by SLI.

    Args:
        judgement: The plan's section.
        version: The version under release.
        baseline: The version beside it, or None.
        percent: The canary's share. At 100 % the baseline serves nobody, so its history makes the limit instead.
        began: When the watch began (seconds since the epoch) and what the counts were then.
    """

    def __init__(
        self, judgement: Judgement, *, version: str, baseline: str | None, percent: int, began: tuple[float, Mapping[str, Any]]
    ) -> None:
        """Start with the counts of the beginning, which are not counted themselves."""
        at, counts = began
        self.judgement = judgement
        self.history = counts.get(baseline) if percent == WHOLE and baseline != version and baseline is not None else None
        self.revisions: dict[Literal["canary", "baseline"], str] = {"canary": version}
        if percent != WHOLE and baseline is not None:
            self.revisions["baseline"] = baseline
        # A version that is not counted yet begins at nothing, so that its very first events count.
        unseen = [
            Reading(at=at, revision=revision, started="", bad=0, total=0) for revision, name in self.revisions.items() if name not in counts
        ]
        self.readings: dict[str, list[Reading]] = {sli.name: [*unseen, *self._read(sli, counts, at)] for sli in judgement.slis}

    def judge(self, counts: Mapping[str, Any], *, at: float) -> list[Verdict]:
        """Add a reading and judge every SLI.

        Args:
            counts: Counts by version (`blocks.platform.Counts`).
            at: When they were read, in seconds since the epoch.
        """
        verdicts = []
        for sli in self.judgement.slis:
            readings = [*self.readings[sli.name], *self._read(sli, counts, at)]
            self.readings[sli.name] = compact(readings) if len(readings) > MANY and not fault(readings) else readings
            verdicts.append(judge(self.readings[sli.name], self._limits(sli, counts)))
        return verdicts

    def _read(self, sli: Sli, counts: Mapping[str, Any], at: float) -> list[Reading]:
        found = []
        for revision, version in self.revisions.items():
            if version in counts:
                bad, total, _ = bad_and_total(counts[version], indicator=sli.indicator, threshold_seconds=sli.threshold_seconds)
                found.append(Reading(at=at, revision=revision, started=counts[version]["started"], bad=bad, total=total))
        return found

    def _limits(self, sli: Sli, counts: Mapping[str, Any]) -> Limits:
        alpha = share_alpha(self.judgement.alpha, sum(one.deciding for one in self.judgement.slis))
        limit = sli.limit
        if self.history is not None and self.history["requests"]:
            bad, total, _ = bad_and_total(self.history, indicator=sli.indicator, threshold_seconds=sli.threshold_seconds)
            alpha /= 2
            limit = min(limit, limit_from_history(bad, total, tolerance=sli.tolerance, alpha=alpha))
        what = "failed" if sli.indicator == "errors" else f"were slower than {1000 * self._threshold(sli, counts):g} ms"
        return Limits(
            name=sli.name, tolerance=sli.tolerance, limit=limit, min_requests=self.judgement.min_requests, alpha=alpha,
            deciding=sli.deciding, what=what,
        )  # fmt: skip

    def _threshold(self, sli: Sli, counts: Mapping[str, Any]) -> float:
        """Give the threshold as it is counted: the plan's, snapped to a bucket of the histogram."""
        found = counts.get(self.revisions["canary"])
        bound = bad_and_total(found, indicator=sli.indicator, threshold_seconds=sli.threshold_seconds)[2] if found else None
        return bound or sli.threshold_seconds or 0.0
