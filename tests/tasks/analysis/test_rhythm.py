"""Weeks of traffic as a real Prometheus keeps them: a made daily rhythm proposes the right hour."""

from __future__ import annotations

import math
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput, Temporary
from blocks.key_folder.key_file import create_key, key_path
from blocks.prometheus.prometheus import Prometheus
from flows.commands._quietest import facts_of, verdict
from tasks.analysis.quietest import measure_again, measure_quietest
from tasks.analysis.rhythm import read_rhythm
from tasks.approval.windows import groups_now
from tasks.lifecycle.quietest import keep_quietest
from tasks.rules.analysis.request_counter import request_counter
from tasks.rules.analysis.rhythm import profile
from tasks.rules.plan.judgement import Judgement
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import production_of
from tasks.rules.windows.opening import next_opening
from tests.prometheus_server import PrometheusServer, prometheus_server, running
from tests.rules.rollout.test_steps import plan_of

__all__ = ["prometheus_server"]

DAYS, SCRAPE = 15, 300
WORDS = {"service": "guestbook", "environment": "production", "target": ""}


def per_second(at: float) -> float:
    """Follow people of UTC: most at 16:00, least at 04:00."""
    return 3 * (1 - math.cos((at % 86_400 / 3_600 - 4) / 24 * 2 * math.pi)) + 0.5


def history(now: float) -> Iterator[str]:
    """Write weeks of scrapes of two processes; one is restarted each day, and each Monday from 6 to 8 nothing was scraped."""
    yield "# TYPE http_requests counter\n"
    for instance, restarts in (("a", False), ("b", True)):
        count = 0.0
        for at in range(int(now) - DAYS * 86_400, int(now), SCRAPE):
            count += per_second(at) / 2 * SCRAPE
            if restarts and at % 86_400 < SCRAPE:
                count = 0
            moment = datetime.fromtimestamp(at, UTC)
            if moment.weekday() or moment.hour not in {6, 7}:
                yield f'http_requests_total{{job="shop",instance="{instance}",version="{at // 86_400}",status="200"}} {count:.0f} {at}\n'
    yield "# EOF\n"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    """Run a server that has a past."""
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("there is no promtool on this machine: apt-get install prometheus")
    folder = tmp_path_factory.mktemp("past")
    source = folder / "history.om"
    source.write_text("".join(history(time.time())))
    words = ["tsdb", "create-blocks-from", "--quiet", "openmetrics", str(source), str(folder / "data")]
    subprocess.run([tool, *words], check=True, capture_output=True, timeout=120)
    with running(folder, "--storage.tsdb.retention.time=90d") as server:
        yield server


@pytest.mark.faults
async def test_a_made_rhythm_proposes_the_right_hour(past: PrometheusServer) -> None:
    """Over restarts and versions; what was not scraped is a hole, and not quiet."""
    plan = plan_of()
    plan = plan.model_copy(
        update={"judgement": judged(source="prometheus", indicator="errors", selector='job="shop",version="{version}"', tolerance=0.05)}
    )
    now = time.time()
    counter = request_counter(plan.judgement, WORDS)
    assert counter == 'http_requests_total{job="shop",version=~".*"}'
    async with Prometheus(url=past.url, timeout_seconds=30).client() as client:
        points = await read_rhythm.fn(client, counter, now=now)
    week = profile(points, zone="UTC")
    holes = {number for number, slot in enumerate(week) if slot is None}
    assert {6 * 4, 7 * 4, 7 * 4 + 3} <= holes <= set(range(6 * 4, 8 * 4 + 1))
    place = production_of(plan)[0]
    facts: dict[str, Any] = facts_of(plan, place, week, ({}, True), minutes=60, groups=[], at=datetime.now(UTC), zone="UTC")
    assert {row["when"].partition(" ")[2] for row in facts["windows"]} <= {"03:30–04:30", "03:15–04:15", "03:45–04:45"}
    expected = sum(per_second(4 * 3_600 - 1_800 + second) for second in range(3_600))
    assert facts["windows"][0]["expected_requests"] == pytest.approx(expected, rel=0.15)
    assert facts["quietest_that_decides"] is None or facts["requests_to_judge"] is not None
    assert "requests in 60 min" in verdict(facts, minutes=60)


@pytest.mark.faults
async def test_a_plan_gets_the_quietest_window_and_keeps_it_while_prometheus_is_away(
    past: PrometheusServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the plan's own windows, and measured again by what is kept; nothing is taken from a server that does not answer."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    night, day = ({"cron": f"0 {hour} * * *", "duration_minutes": 480, "zone": "UTC", "reason": "r", "owner": "o"} for hour in (22, 9))
    found = {}
    for name, allow in (("night", night), ("day", day)):
        windows = {
            "allow": [allow],
            "quietest": {"minutes": 60, "zone": "UTC", "owner": "ada", "counter": 'http_requests_total{job="shop"}'},
        }
        plan = Plan.model_validate(plan_of().model_dump(mode="json") | {"windows": windows})
        found[name] = (await measure_quietest(plan, Prometheus(url=past.url, timeout_seconds=30), {}, at=datetime.now(UTC))).kept
        keep_quietest(plan.service, found[name])
        opening = next_opening(groups_now(plan, []), datetime.now(UTC))
        assert opening is not None
        assert (opening.lasts(), opening.begin.hour * 60 + opening.begin.minute) == (timedelta(hours=1), found[name].chosen.minute % 1_440)
    assert found["night"].chosen.minute % 1_440 in {3 * 60 + 15, 3 * 60 + 30, 3 * 60 + 45}
    assert found["day"].chosen.minute % 1_440 == 9 * 60
    again = await measure_again(found["night"], at=datetime.now(UTC))
    assert again.kept.chosen.minute == found["night"].chosen.minute
    hasty = found["night"].model_copy(update={"prometheus": {"url": past.url, "timeout_seconds": 0.2}})
    with past.paused(), pytest.raises(Temporary, match="does not answer within"):
        await measure_again(hasty, at=datetime.now(UTC))


async def test_a_counter_that_is_not_there_is_not_quiet(prometheus_server: PrometheusServer) -> None:
    """Nothing is known then."""
    async with Prometheus(url=prometheus_server.url).client() as client:
        assert await read_rhythm.fn(client, 'http_requests_total{job="nothing"}', now=time.time(), weeks=1) == []
        with pytest.raises(BadInput):
            await read_rhythm.fn(client, "http_requests_total{", now=time.time(), weeks=1)


def judged(**sli: Any) -> Judgement:
    """Judge by one SLI."""
    return Judgement.model_validate({"slis": [{"name": "one", **sli}]})


def test_the_counter_is_that_of_the_plans_slis() -> None:
    """A histogram's count, too; without one, or with a place that only a version has, the person names it."""
    slow = judged(
        source="prometheus", indicator="latency", threshold_seconds=1, metric="rpc_seconds", selector='app="{service}",version="{version}"'
    )
    assert request_counter(slow, WORDS) == 'rpc_seconds_count{app="guestbook",version=~".*"}'
    with pytest.raises(BadInput, match=r"no SLI of the plan names a counter .*--counter"):
        request_counter(judged(indicator="errors"), WORDS)
    placed = judged(source="prometheus", indicator="errors", selector='namespace="{namespace}",version="{version}"')
    with pytest.raises(BadInput, match=r"names \{namespace\}, which only a running version has"):
        request_counter(placed, WORDS)
