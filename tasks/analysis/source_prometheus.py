"""Prometheus source: SLIs from raw scrapes of each series, or two expressions; one silent SLI does not affect the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict, cast

from blocks.errors import Permanent, Temporary
from blocks.platform import Labelled, Platform
from blocks.prometheus.client import PrometheusClient, Range
from tasks.rules.analysis.observation import Count, Role, Seen, slower_than
from tasks.rules.analysis.prometheus_counts import choose_bound, expect_status, has_status, one_count, read_samples, series_name, windows
from tasks.rules.analysis.scrapes import Lives, PairLife, add_pair, add_scrapes, newest, no_lives, no_pair
from tasks.rules.plan.judgement import PrometheusPairSli, PrometheusSli
from tasks.rules.plan.promql import fill, places_in, range_query

PLATFORM_PLACES = frozenset({"revision", "namespace"})
LONGEST_WINDOW_SECONDS = 1_800
MARGIN_SECONDS = 5
PrometheusAny = PrometheusSli | PrometheusPairSli


class Memory(TypedDict):
    """State of one SLI, stored as JSON, so that a restarted watch continues from the watch's beginning.

    Fields:
        at: When it was read, in seconds since the epoch, by our clock.
        bound: Latency: the bucket of the threshold, as its label's text.
        lives: The counters by revision.
        labelled: Errors: whether a series with the status label was seen.
    """

    at: float
    bound: str | None
    lives: dict[Role, Lives | PairLife]
    labelled: NotRequired[bool]


@dataclass
class PrometheusSource:
    """The Prometheus SLIs of one watch.

    Fields:
        client: An open client.
        platform: Returns the revisions' metric labels, if it can.
        slis: What is read.
        versions: The version of each revision.
        words: The values of `{service}`, `{environment}` and `{target}`.
        memory: The state by SLI; one without state begins at its first answer.
    """

    client: PrometheusClient
    platform: Platform
    slis: list[PrometheusAny]
    versions: Mapping[Role, str]
    words: Mapping[str, str]
    memory: dict[str, Memory] = field(default_factory=dict)
    labels: dict[str, dict[str, str]] | None = None

    async def read(self) -> dict[str, Seen]:
        """Read all SLIs in parallel; SLIs with the same query share the answer."""
        asked: dict[str, asyncio.Task[Range]] = {}

        def samples(query: str) -> Awaitable[Range]:
            asked[query] = asked.get(query) or asyncio.ensure_future(self.client.samples(query))
            return asyncio.shield(asked[query])

        try:
            found = await asyncio.gather(*(self._see(sli, samples) for sli in self.slis))
        finally:
            for task in asked.values():
                task.cancel()
            await asyncio.gather(*asked.values(), return_exceptions=True)
        return {sli.name: seen for sli, seen in zip(self.slis, found, strict=True)}

    async def _see(self, sli: PrometheusAny, samples: Callable[[str], Awaitable[Range]]) -> Seen:
        try:
            now = time.time()
            if isinstance(sli, PrometheusPairSli):
                memory = await self._read_pair(sli)
            else:
                memory = await self._read_series(sli, samples)
            self.memory[sli.name] = {**memory, "at": now}
            _expect_no_fall(memory)
        except Temporary as error:
            return Seen(silence=str(error))
        except Permanent as error:
            return Seen(error=f"{sli.name} cannot be read: {error}")
        return see(sli, self.memory[sli.name])

    async def _read_series(self, sli: PrometheusSli, samples: Callable[[str], Awaitable[Range]]) -> Memory:
        known = self.memory.get(sli.name)
        spans = [(self.client.lookback_seconds, 0)]
        if known is not None:
            spans = windows(time.time() - known["at"], most_seconds=LONGEST_WINDOW_SECONDS, margin_seconds=MARGIN_SECONDS)
        lives = {role: cast("Lives", known["lives"][role]) if known else no_lives() for role in self.versions}
        bound = known["bound"] if known else None
        selectors = [await self._filled(sli.selector, role) for role in lives]
        answers: dict[Role, Range] = {}
        labelled, unlabelled = bool(known and known.get("labelled")), list[Any]()
        for length, offset in spans:
            asked = [range_query(series_name(sli), one, window_seconds=length, offset_seconds=offset) for one in selectors]
            answers = dict(zip(lives, await asyncio.gather(*map(samples, asked)), strict=True))
            everything = [one for answer in answers.values() for one in answer.series]
            bound = bound or choose_bound(sli, everything)
            labelled, unlabelled = labelled or has_status(sli, everything), [*unlabelled, *everything]
            for role, answer in answers.items():
                lives[role] = add_scrapes(lives[role], *read_samples(sli, answer.series, bound=bound))
        if not labelled:
            expect_status(sli, unlabelled)
        for role, answer in answers.items():
            self._expect_fresh(role, lives[role], now=answer.now)
        return Memory(at=0.0, bound=bound, lives={**lives}, labelled=labelled)

    async def _read_pair(self, sli: PrometheusPairSli) -> Memory:
        known = self.memory.get(sli.name)
        lives: dict[Role, Lives | PairLife] = {}
        found = await asyncio.gather(*(self._pair(sli, role) for role in self.versions))
        for role, now in zip(self.versions, found, strict=True):
            before = cast("PairLife", known["lives"][role]) if known else no_pair()
            if now is None and before["last"] is not None:
                raise Temporary(f"Prometheus has no series for `total` of the {role} any more")
            lives[role] = add_pair(before, now, at=time.time(), patience_seconds=self.client.lookback_seconds)
        return Memory(at=0.0, bound=None, lives=lives)

    async def _pair(self, sli: PrometheusPairSli, role: Role) -> tuple[int, int] | None:
        """Evaluate both expressions at the same moment: `bad` first, so that a scrape in between makes `total` run ahead, not `bad`."""
        answer = await self.client.instant(await self._filled(sli.bad, role))
        bad = one_count(answer, what="bad")
        moment = answer[0][1] if answer else None
        total = one_count(await self.client.instant(await self._filled(sli.total, role), at=moment), what="total")
        if total is None:
            return None
        if bad is None:
            raise Temporary(
                f"Prometheus has no series for `bad` of the {role}, though for `total`; write `… or vector(0)` at the end of `bad`"
            )
        return bad, total

    def _expect_fresh(self, role: Role, lives: Lives, *, now: float) -> None:
        last = newest(lives)
        if last is not None and now - last > self.client.lookback_seconds:
            raise Temporary(f"the newest sample of the {role} in Prometheus is {now - last:.0f} s old")

    async def _filled(self, expression: str, role: Role) -> str:
        version = self.versions[role]
        words = {**self.words, "role": role, "version": version}
        if places_in(expression) & PLATFORM_PLACES:
            words |= (await self._labels()).get(version, {})
        return fill(expression, words)

    async def _labels(self) -> dict[str, dict[str, str]]:
        if self.labels is None or not set(self.versions.values()) <= self.labels.keys():
            self.labels = await self.platform.labels() if isinstance(self.platform, Labelled) else {}
        return self.labels


def _expect_no_fall(memory: Memory) -> None:
    fallen = next((role for role, life in memory["lives"].items() if life.get("fell_at") is not None), None)
    if fallen:
        raise Temporary(f"the counts of the {fallen} fell: a scrape of it was missed, or a process ended, which a later reading will show")


def see(sli: PrometheusAny, memory: Memory) -> Seen:
    """Return what was counted of an SLI, and what its bad events are."""
    what = "were bad" if isinstance(sli, PrometheusPairSli) else "failed"
    threshold = None if isinstance(sli, PrometheusPairSli) else sli.threshold_seconds
    if threshold is not None:
        what = slower_than(float(memory["bound"] or threshold), threshold)
    return Seen({role: Count(life["bad"], life["total"]) for role, life in memory["lives"].items()}, what)


def has_series(memory: Memory, role: Role) -> bool:
    """Return whether any series of a revision was found."""
    life: Mapping[str, Any] = memory["lives"][role]
    return bool(life.get("targets") or life.get("last"))


def queries(sli: PrometheusAny, words: Mapping[str, str]) -> dict[str, str]:
    """Return an SLI's queries by the plan's field, for a check of their syntax.

    Args:
        sli: The SLI.
        words: A value for each placeholder.

    Raises:
        BadInput: A placeholder has no value.
    """
    if isinstance(sli, PrometheusPairSli):
        return {"bad": fill(sli.bad, words), "total": fill(sli.total, words)}
    return {"selector": range_query(series_name(sli), fill(sli.selector, words), window_seconds=60)}


def remembered(memory: Any) -> dict[str, Memory]:
    """Restore a state from JSON."""
    return cast("dict[str, Memory]", dict(memory or {}))
