"""Step judgement: from the observations of each SLI to one verdict per SLI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.rules.analysis.counters import Counting, Reading, fault
from tasks.rules.analysis.observation import ROLES, Role, Seen
from tasks.rules.analysis.sample_ratio import SampleRatio
from tasks.rules.analysis.verdict import Limits, Outcome, Verdict, judge_counts, limit_from_history, share_alpha
from tasks.rules.plan.judgement import Judgement, PlatformSli, ProbeSli, Sli

WHOLE = 100
MOST_MISSED = 5  # readings of one SLI in a row; a source may fail for a moment


def versions_of(version: str, baseline: str | None) -> dict[Role, str]:
    """Return the version of each revision; a version that is the baseline already is not compared with itself."""
    return {"canary": version} if baseline in {None, version} else {"canary": version, "baseline": str(baseline)}


class Step:
    """State of a step's watch: the counts so far, by SLI.

    Args:
        judgement: The plan's section.
        version: The version under release.
        baseline: The version beside it, or None.
        percent: The canary's share. At 100 % the baseline has no traffic, so its history gives the limit instead; our own probes
            still reach it, and compare.
        began: When the watch began (seconds since the epoch) and each SLI's counts then; an SLI whose source did
            not answer then counts from its first reading.
    """

    def __init__(
        self, judgement: Judgement, *, version: str, baseline: str | None, percent: int, began: tuple[float, Mapping[str, Seen]]
    ) -> None:
        """Start with the counts of the beginning, which are not counted themselves."""
        at, seen = began
        self.judgement = judgement
        self.versions = versions_of(version, baseline)
        self.percent = percent
        self.history = {sli.name: self._past(sli, seen.get(sli.name)) for sli in judgement.slis}
        self.what = {sli.name: "" for sli in judgement.slis}
        self.missed = dict.fromkeys(self.what, 0)
        self.counted = {sli.name: Counting() for sli in judgement.slis}
        self.faults: dict[str, str | None] = dict.fromkeys(self.what)
        self.sample_ratio = SampleRatio(percent, began=at)
        for sli in judgement.slis:
            self._count(sli.name, self._beginning(sli, seen.get(sli.name), at))

    def judge(self, seen: Mapping[str, Seen], *, at: float, is_last: bool = False) -> list[Verdict]:
        """Add a reading and judge every SLI.

        If a source does not answer any more, earlier counts can still fail a canary, but never pass it.

        Args:
            seen: The observations, by SLI.
            at: When they were read, in seconds since the epoch.
            is_last: The time is up: an SLI without counts, or with too few requests, is no data then, which never promotes.
        """
        found = [
            self._judge(sli, seen.get(sli.name) or Seen(silence="it was not read"), at, is_last=is_last) for sli in self.judgement.slis
        ]
        self._compare_shares(found, at)
        return found

    @property
    def mismatch(self) -> str:
        """Why the canary's share of the requests is not the one that was set, if the plan wants to know; else ""."""
        return "" if self.judgement.sample_ratio == "ignore" else self.sample_ratio.fault

    def rows(self, verdicts: list[Verdict], *, at: float) -> list[dict[str, Any]]:
        """List what was read at one moment: `at`, `sli`, `role`, `version`, and `bad` and `total` since the watch began.

        A source that did not answer at this moment has no row.

        Args:
            verdicts: Of this moment.
            at: The moment, in seconds since the epoch.
        """
        rows = []
        for verdict in verdicts:
            for role in self._roles(verdict.sli) if not self.missed[verdict.sli] else ():
                bad, total = getattr(verdict, f"{role}_bad"), getattr(verdict, f"{role}_total")
                rows.append({"at": at, "sli": verdict.sli, "role": role, "version": self.versions[role], "bad": bad, "total": total})
        return rows

    def _judge(self, sli: Sli, seen: Seen, at: float, *, is_last: bool) -> Verdict:
        name, said = sli.name, seen.error or seen.silence
        self.missed[name] = self.missed[name] + 1 if said else 0
        self.what[name] = seen.what or self.what[name]
        if not said:
            self._count(name, self._read(sli, seen, at))
        verdict = judge_counts(self.counted[name].tally(), self._limits(sli), problem=self.faults[name])
        if verdict.outcome is Outcome.FAILED:
            return verdict
        if seen.error:
            return replace(verdict, outcome=Outcome.ERROR, reason=seen.error)
        if seen.silence and (is_last or self.missed[name] > MOST_MISSED):
            return replace(verdict, outcome=Outcome.NO_DATA, reason=f"{seen.silence}; no data is not a pass")
        if seen.silence and verdict.outcome is Outcome.PASSED:
            return replace(verdict, outcome=Outcome.WATCHING, reason=f"{verdict.reason}; but now {seen.silence}")
        if is_last and verdict.outcome is Outcome.WATCHING and verdict.canary_total < self.judgement.min_requests:
            return replace(verdict, outcome=Outcome.NO_DATA, reason=f"{verdict.reason}; the time is up, and too few is no data")
        return verdict

    def _compare_shares(self, found: list[Verdict], at: float) -> None:
        """Compare the shares by the requests that the platform counts, where it counts those of both versions."""
        counted = (one for one, sli in zip(found, self.judgement.slis, strict=True) if isinstance(sli, PlatformSli))
        first = next(counted, None)
        if first is not None and "baseline" in self.versions and not self.missed[first.sli] and self.faults[first.sli] is None:
            self.sample_ratio.add(first.canary_total, first.baseline_total, at=at)

    def _count(self, name: str, readings: list[Reading]) -> None:
        """Add readings; after an impossible one this SLI is an error."""
        self.faults[name] = self.faults[name] or fault(readings)
        for reading in readings if self.faults[name] is None else ():
            self.counted[name].add(reading)

    def _beginning(self, sli: Sli, seen: Seen | None, at: float) -> list[Reading]:
        if seen is None or seen.silence or seen.error:
            return []
        # A version without counts yet starts at zero, so that its very first events count.
        unseen = [Reading(at=at, revision=role, started="", bad=0, total=0) for role in self._roles(sli.name) if role not in seen.counts]
        return [*unseen, *self._read(sli, seen, at)]

    def _read(self, sli: Sli, seen: Seen, at: float) -> list[Reading]:
        counts = {role: seen.counts[role] for role in self._roles(sli.name) if role in seen.counts}
        return [Reading(at=at, revision=role, started=one.started, bad=one.bad, total=one.total) for role, one in counts.items()]

    def _roles(self, name: str) -> list[Role]:
        """List the revisions that are compared: at full traffic the canary alone, but for probes, which reach both."""
        sli = next(one for one in self.judgement.slis if one.name == name)
        return [
            role for role in ROLES if role in self.versions and (role == "canary" or self.percent != WHOLE or isinstance(sli, ProbeSli))
        ]

    def _past(self, sli: Sli, seen: Seen | None) -> tuple[int, int] | None:
        """Return the baseline's earlier counts, if they give the limit."""
        if self.percent != WHOLE or "baseline" not in self.versions or isinstance(sli, ProbeSli) or seen is None:
            return None
        past = seen.counts.get("baseline")
        return (past.bad, past.total) if past is not None and past.total else None

    def _limits(self, sli: Sli) -> Limits:
        alpha = share_alpha(self.judgement.alpha, sum(one.deciding for one in self.judgement.slis))
        limit, past = sli.limit, self.history[sli.name]
        if past is not None:
            alpha /= 2
            limit = min(limit, limit_from_history(*past, tolerance=sli.tolerance, alpha=alpha))
        return Limits(
            name=sli.name, tolerance=sli.tolerance, limit=limit, min_requests=self.judgement.min_requests, alpha=alpha,
            deciding=sli.deciding, what=self.what[sli.name] or "failed",
        )  # fmt: skip
