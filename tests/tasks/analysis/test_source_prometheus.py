"""What Prometheus SLIs count, out of answers that a test writes itself."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from blocks.prometheus.client import PrometheusClient, Range
from tasks.analysis.source_prometheus import PrometheusSource, remembered
from tasks.rules.analysis.observation import Count, Role, Seen
from tasks.rules.plan.plan import PrometheusSli
from tests.tasks.fake_platform import FakePlatform

ERRORS = PrometheusSli(name="sli", source="prometheus", indicator="errors", status_label="http_response_status_code")
SLOW = PrometheusSli(name="sli", source="prometheus", indicator="latency", threshold_seconds=2)
VERSIONS: dict[Role, str] = {"baseline": "1.0", "canary": "1.1"}


@dataclass
class Scraped:
    """A Prometheus that has these series, by version: labels, and how many there were at each moment, in seconds ago."""

    series: dict[str, list[tuple[dict[str, str], dict[float, int]]]]
    lookback_seconds: int = 120
    now: float = field(default_factory=time.time)

    async def samples(self, query: str) -> Range:
        """Return the series of the version that is asked about."""
        version = next(version for version in VERSIONS.values() if f'"{version}"' in query)
        found = [
            ({"__name__": "x", "instance": version, **labels}, [(self.now - ago, str(count)) for ago, count in counts.items()])
            for labels, counts in self.series.get(version, [])
        ]
        return Range(self.now, found)


async def seen(scraped: Scraped, sli: PrometheusSli, memory: Any = None) -> tuple[Seen, Any]:
    """Read an SLI, from the memory of an earlier reading; gives the memory too, as a restart would find it."""
    source = PrometheusSource(cast("PrometheusClient", scraped), FakePlatform(), [sli], VERSIONS, {}, remembered(memory))
    found = (await source.read())[sli.name]
    return found, json.loads(json.dumps(source.memory))


def status(code: str) -> dict[str, str]:
    """Label a series as OpenTelemetry does."""
    return {"http_response_status_code": code} if code else {"error_type": "timeout"}


@pytest.mark.parametrize(("missing", "canary"), [("bad", Count(4, 4)), ("good", Count(0, 4)), ("ignore", Count(0, 0))])
async def test_a_canary_that_answers_nothing_is_judged_by_the_labels_of_the_other(missing: str, canary: Count) -> None:
    """None of its own series has a status: that is what it failed in, and no fault of the plan."""
    scraped = Scraped({"1.0": [(status("200"), {5: 100}), (status("500"), {5: 2})], "1.1": [(status(""), {5: 4})]})
    found, _ = await seen(scraped, ERRORS.model_copy(update={"missing_status": missing}))
    assert (found.error, found.counts) == ("", {"baseline": Count(2, 102), "canary": canary})


async def test_a_label_that_was_seen_once_is_known_to_be_right() -> None:
    """Later only requests without an answer may come; the watch was told before that the label is there."""
    _, memory = await seen(Scraped({"1.0": [(status("200"), {9: 1})]}), ERRORS)
    found, _ = await seen(Scraped({"1.1": [(status(""), {1: 3})]}), ERRORS, memory)
    assert (found.error, found.counts["canary"]) == ("", Count(3, 3))


async def test_a_label_that_no_series_has_is_an_error() -> None:
    """Nothing could ever be told by it."""
    found, _ = await seen(Scraped({"1.0": [({"code": "200"}, {5: 100})], "1.1": [({"code": "500"}, {5: 9})]}), ERRORS)
    assert "has no label `http_response_status_code`, nor has any other" in found.error
    assert not found.counts


@pytest.mark.parametrize("first_ago", [80, 45, 5])
async def test_a_histogram_that_is_written_anew_in_mid_watch_goes_on(first_ago: float) -> None:
    """Every fifty requests one is slow, before the rename, around it and after it, however the readings fall."""
    moments = [90.0, 75.0, 60.0, 45.0, 30.0, 15.0, 0.0]
    total = {ago: 50 * (index + 1) for index, ago in enumerate(moments)}
    quick = {ago: count - count // 50 for ago, count in total.items()}
    parts = ({"le": "2"}, moments[:4]), ({"le": "2.0"}, moments[3:]), ({"le": "+Inf"}, moments)
    now = time.time()

    def until(ago: float) -> Scraped:
        everything = [
            (labels, {at: (total if labels["le"] == "+Inf" else quick)[at] for at in some if at >= ago}) for labels, some in parts
        ]
        series = [(labels, counts) for labels, counts in everything if counts]
        return Scraped({"1.0": series, "1.1": series}, now=now)

    _, memory = await seen(until(first_ago), SLOW)
    memory["sli"]["at"] = now - first_ago
    found, _ = await seen(until(0), SLOW, memory)
    assert (found.error, found.silence) == ("", "")
    assert found.counts == {"baseline": Count(7, 350), "canary": Count(7, 350)}
