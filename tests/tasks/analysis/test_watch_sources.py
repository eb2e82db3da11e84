"""The watch of a step over a real Prometheus, and what happens when it falls silent or lies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from blocks.prometheus.prometheus import Prometheus
from tasks.rules.plan.plan import PlatformSli, Sli
from tests.prometheus_server import PrometheusServer, prometheus_server
from tests.tasks.fake_platform import FakePlatform, counted
from tests.tasks.stage import Stage, stage

__all__ = ["prometheus_server", "stage"]
pytestmark = pytest.mark.usefixtures("offline")

PLATFORM = PlatformSli(name="platform", indicator="errors")


@contextlib.asynccontextmanager
async def beside(act: Callable[[], Any], *, after: float) -> AsyncIterator[None]:
    """Act a while after the watch began."""

    async def later() -> None:
        await asyncio.sleep(after)
        await asyncio.to_thread(act)

    task = asyncio.create_task(later())
    yield
    await task


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "more", "outcome", "said"),
    [
        ("errors", {}, "passed", "errors: 0 of 4,000 requests failed against 0 of 4,000"),
        ("errors", {"bad": 400}, "failed", "errors: 400 of 4,400 requests failed against 0 of 4,000"),
        ("latency", {}, "passed", "slower than 1000 ms (the bucket for the plan's 300 ms)"),
        ("quick", {"slow": 900}, "failed", "900 of 4,000 requests were slower than 250 ms"),
        ("pair", {}, "passed", "pair: 0 of 4,000 requests were bad against 0 of 4,000"),
        ("pair", {"bad": 400}, "failed", "pair: 400 of 4,400 requests were bad"),
    ],
)
async def test_prometheus_decides_by_what_happened_in_the_watch(
    stage: Stage, kind: str, more: dict[str, int], outcome: str, said: str
) -> None:
    """Two pods of each revision are added up, the past does not count, and the watch ends with the verdict."""
    latency = {"name": kind, "indicator": "latency"}
    sli = {
        "errors": stage.sli(),
        "latency": stage.sli(**latency, threshold_seconds=0.3),
        "quick": stage.sli(**latency, threshold_seconds=0.25),
        "pair": stage.pair(),
    }[kind]
    subject = stage.subject(sli)
    begun = await stage.begin(subject)
    stage.serve(2_000, **more)
    await stage.seen()
    found = await stage.watch(subject, begun)
    assert found["outcome"] == outcome, found["reason"]
    assert said in found["reason"]


@pytest.mark.slow
async def test_a_watch_that_starts_again_goes_on_from_its_beginning(stage: Stage) -> None:
    """A pod that restarted between the two processes, and served more than before since, loses no event."""
    subject = stage.subject(stage.sli(tolerance=0.2, limit=0.5), stage.pair())
    begun = await stage.begin(subject)
    stage.canary[0].serve(0, 100)
    await stage.seen()
    assert (await stage.watch(subject, begun, seconds=0.2))["points"]
    stage.canary[0].restart()
    stage.serve(10, bad=30)
    await stage.seen()
    stage.serve(6_000)
    await stage.seen()
    verdicts = (await stage.watch(subject, begun, seconds=0))["points"][-1]["verdicts"]
    assert (verdicts[0]["canary_bad"], verdicts[0]["canary_total"]) == (130, 12_150)
    assert verdicts[0]["baseline_total"] == 12_020


async def test_a_pod_that_ends_takes_nothing_away_and_a_new_one_counts_from_zero(stage: Stage) -> None:
    """Every series has its own life."""
    subject = stage.subject(stage.sli())
    begun = await stage.begin(subject)
    stage.canary[0].serve(0, 7)
    await stage.seen()
    stage.canary[0].silent = True
    with stage.server.exporting(app=stage.app, version="1.1") as third:
        third.serve(50, 3)
        await asyncio.to_thread(stage.server.scraped, third)
        verdict = (await stage.watch(subject, begun, seconds=0))["points"][-1]["verdicts"][0]
    assert (verdict["canary_bad"], verdict["canary_total"]) == (10, 60)


@pytest.mark.slow
async def test_prometheus_may_come_back_in_the_middle(stage: Stage) -> None:
    """While it hangs no one passes and the reason names it; then the watch goes on, and what was scraped counts."""
    subject = stage.subject(stage.sli(), block=Prometheus(url=stage.server.url, timeout_seconds=0.3))
    begun = await stage.begin(subject)
    stage.serve(4_000)

    def hang() -> None:
        with stage.server.paused():
            time.sleep(3)

    async with beside(hang, after=0):
        await asyncio.sleep(0.2)
        found = await stage.watch(subject, begun)
    reasons = [(point["verdicts"][0]["outcome"], point["verdicts"][0]["reason"]) for point in found["points"]]
    assert ("no_data" in dict(reasons), found["outcome"]) == (True, "passed"), reasons
    assert any("Prometheus" in reason and "answer" in reason for _, reason in reasons)
    assert found["samples"][-1]["total"] == 8_000


@pytest.mark.slow
@pytest.mark.parametrize("with_past", [False, True])
async def test_a_prometheus_that_stays_silent_is_no_data(stage: Stage, with_past: bool) -> None:  # noqa: FBT001
    """Whether or not it answered at the beginning; good counts of another source do not make up for it."""
    subject = stage.subject(PLATFORM, stage.sli())
    begun = await stage.begin(subject)
    if not with_past:
        begun["prometheus"] = {}
    stage.platform.serve(v1_0=counted(5_000), v1_1=counted(5_000))
    gone = stage.subject(PLATFORM, stage.sli(), block=Prometheus(url="http://127.0.0.1:9"))
    found = await stage.watch(gone, begun, seconds=1.5)
    assert found["outcome"] == "no_data"
    assert "errors: Prometheus at http://127.0.0.1:9 gave no answer" in found["reason"]
    assert {row["sli"] for row in found["samples"]} == {"platform"}


async def test_another_source_fails_the_canary_while_one_hangs(stage: Stage) -> None:
    """The step goes back as early as the platform's counts allow; no one waits for the time-out of Prometheus."""
    subject = stage.subject(PLATFORM, stage.sli(), block=Prometheus(url=stage.server.url, timeout_seconds=60))
    begun = await stage.begin(subject)
    stage.platform.serve(v1_0=counted(500), v1_1=counted(500, 400))
    with stage.server.paused():
        began = time.monotonic()
        found = await stage.watch(subject, begun, seconds=60)
    assert found["outcome"] == "failed"
    assert time.monotonic() - began < 30


@pytest.mark.slow
async def test_stale_samples_are_no_data(stage: Stage) -> None:
    """A canary that is not scraped any more is not passed on what it did before."""
    subject = stage.subject(stage.sli(), block=Prometheus(url=stage.server.url, timeout_seconds=10, lookback_seconds=2))
    begun = await stage.begin(subject)
    for pod in stage.canary:
        pod.silent = True
    found = await stage.watch(subject, begun, seconds=4.5)
    assert found["outcome"] == "no_data"
    assert "the newest sample of the canary in Prometheus is" in found["reason"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "outcome", "said"),
    [
        (lambda stage: stage.sli(selector=f'app="{stage.app}-none",version="{{version}}"'), "no_data", "the canary served no request"),
        (lambda stage: stage.pair("sum(http_requests_total{%s,status='418'})"), "no_data", "write `… or vector(0)` at the end of `bad`"),
        (lambda stage: stage.pair(total="http_requests_total{%s}"), "error", "`total` gives"),
        (lambda stage: stage.pair(total="sum(http_requests_total{%s}) / 0"), "error", "`total` is +Inf, which is not a count"),
        (lambda stage: stage.pair(total="-sum(http_requests_total{%s})"), "error", "which is not a count of events"),
        (lambda stage: stage.pair("sum(http_requests_total{%s}) * 2"), "error", "which is impossible"),
        (lambda stage: stage.pair("sum(http_requests_total{%s}"), "error", "parse error"),
        (lambda stage: stage.sli(status_label="code"), "error", "has no label `code`, nor has any other"),
        (lambda stage: stage.sli(selector='pod="{revision}"'), "error", "`{revision}` has no value here"),
    ],
    ids=["no series", "no bad series", "several series", "infinite", "negative", "more bad than all", "PromQL", "label", "revision"],
)
async def test_what_cannot_be_judged_never_passes(stage: Stage, make: Callable[[Stage], Sli], outcome: str, said: str) -> None:
    """Each has its own words, and an error does not wait for the end of the watch."""
    subject = stage.subject(make(stage))
    begun = await stage.begin(subject)
    stage.serve(2_000)
    await stage.seen()
    found = await stage.watch(subject, begun, seconds=1)
    assert found["outcome"] == outcome, found["reason"]
    assert said in found["reason"]


async def test_at_full_traffic_prometheus_holds_the_canary_against_the_baselines_past(stage: Stage) -> None:
    """What the baseline's counters held at the beginning makes the limit, after a restart too."""
    subject = stage.subject(stage.sli(limit=0.5))
    begun = await stage.begin(subject)
    for pod in stage.canary:
        pod.serve(500, 50)
    await stage.seen()
    found = await stage.watch(subject, begun, percent=100)
    assert (found["outcome"], {row["role"] for row in found["samples"]}) == ("failed", {"canary"}), found["reason"]


async def test_a_platform_names_its_revisions_in_metrics(prometheus_server: PrometheusServer) -> None:
    """`{revision}` and `{namespace}` are the platform's words for a version."""

    class Labelled(FakePlatform):
        async def labels(self) -> dict[str, dict[str, str]]:
            return {"1.0": {"revision": "7", "namespace": "n"}, "1.1": {"revision": "8", "namespace": "n"}}

    with contextlib.ExitStack() as stack:
        stage = Stage(prometheus_server, stack)
        stage.canary, stage.baseline = [stage.pod(revision="8", namespace="n")], [stage.pod(revision="7", namespace="n")]
        stage.platform = Labelled()
        subject = stage.subject(stage.sli(selector=f'app="{stage.app}",namespace="{{namespace}}",revision="{{revision}}"'))
        begun = await stage.begin(subject)
        stage.serve(4_000, bad=900)
        await stage.seen()
        assert (await stage.watch(subject, begun))["outcome"] == "failed"


async def test_samples_are_rows_of_counts_since_the_beginning(stage: Stage) -> None:
    """One row a reading, SLI and revision, with the columns that a table needs, as JSON takes them."""
    subject = stage.subject(PLATFORM, stage.sli(deciding=False))
    begun = await stage.begin(subject)
    stage.serve(20, bad=2)
    await stage.seen()
    found = await stage.watch(subject, begun, seconds=1)
    rows = json.loads(json.dumps(found["samples"]))
    assert {tuple(row) for row in rows} == {("at", "sli", "role", "version", "bad", "total")}
    assert all(begun["at"] <= row["at"] <= time.time() for row in rows)
    last = {(row["sli"], row["role"]): (row["version"], row["bad"], row["total"]) for row in rows}
    assert last == {
        ("platform", "canary"): ("1.1", 0, 0), ("platform", "baseline"): ("1.0", 0, 0),
        ("errors", "canary"): ("1.1", 2, 42), ("errors", "baseline"): ("1.0", 0, 40),
    }  # fmt: skip


@pytest.mark.slow
async def test_many_readings_ask_prometheus_no_faster_than_the_plan(stage: Stage) -> None:
    """A watch of a second at five readings a second reads about as often, and shares what two SLIs ask alike."""
    subject = stage.subject(stage.sli(), stage.sli(name="critical", limit=0))
    begun = await stage.begin(subject)
    found = await stage.watch(subject, begun, seconds=1)
    assert 2 <= len(found["points"]) <= math.ceil(1 / 0.2) + 2
