"""The watch of a step by requests of our own, and what every source is asked before a release."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from blocks.errors import Temporary
from blocks.platform import Endpoints
from blocks.prometheus.prometheus import Prometheus
from tasks.analysis.monitoring import read_slis
from tasks.analysis.sources import Subject
from tasks.analysis.watch import begin_watch, watch_step
from tasks.rules.plan.http import Expectation
from tasks.rules.plan.plan import Judgement, PlatformSli, ProbeSli
from tests.prometheus_server import prometheus_server
from tests.tasks.fake_platform import OURS, FakePlatform
from tests.tasks.faulty_server import FaultyServer, serving
from tests.tasks.stage import Stage, stage

__all__ = ["prometheus_server", "stage"]
pytestmark = pytest.mark.usefixtures("offline")

PLATFORM = PlatformSli(name="platform", indicator="errors")
PROBE = ProbeSli(name="probe", source="probe", indicator="errors", path="/fine")


@pytest.fixture
def faulty() -> Iterator[FaultyServer]:
    """Serve answers of all kinds."""
    with serving() as server:
        yield server


class Reached(FakePlatform):
    """A platform whose revisions answer at these addresses."""

    def __init__(self, **addresses: str) -> None:
        """Keep them."""
        super().__init__()
        self.addresses = addresses

    async def endpoints(self) -> Endpoints:
        """Return where."""
        return Endpoints(public="http://127.0.0.1:9", **self.addresses)  # type: ignore[typeddict-item]


async def probed(
    platform: FakePlatform, *, seconds: float = 20, percent: int = 25, ago_seconds: float = 0, probes: Any = None, **fields: Any
) -> dict[str, Any]:
    """Watch by probes alone; the watch may have begun a while ago."""
    platform.position["percent"] = percent
    sli = PROBE.model_copy(update={"tolerance": 0.3, "limit": 0.4, **fields})
    judgement = Judgement(slis=[sli], min_requests=5)
    subject = Subject("shop", "production", judgement.model_copy(update={"interval_seconds": 0.02}))
    begun = await begin_watch.fn(platform, subject=subject, version="1.1", key="k")
    begun |= {"at": begun["at"] - ago_seconds, "probes": probes}
    found = await watch_step.fn(
        platform, subject=subject, version="1.1", percent=percent, watch_seconds=seconds, lease=OURS, begun=begun, key="k"
    )
    return found.model_dump(mode="json")


@pytest.mark.slow
@pytest.mark.parametrize("percent", [25, 100])
@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, "passed"),
        ({"expect": Expectation(status=[204])}, "failed"),
        ({"path": "/down"}, "failed"),
        ({"path": "/hang", "timeout_seconds": 0.05}, "failed"),
        ({"indicator": "latency", "threshold_seconds": 5}, "passed"),
        ({"indicator": "latency", "threshold_seconds": 0.05, "path": "/hang"}, "failed"),
    ],
)
async def test_probes_judge_by_our_own_requests(faulty: FaultyServer, percent: int, fields: dict[str, Any], outcome: str) -> None:
    """Both revisions are asked at each reading, past the traffic split, whoever gets the traffic."""
    found = await probed(Reached(canary=faulty.url, baseline=faulty.url), percent=percent, **fields)
    assert found["outcome"] == outcome, found["reason"]
    totals = {row["role"]: row["total"] for row in found["samples"][-2:]}
    assert totals["canary"] == totals["baseline"] > 0


async def test_a_canary_without_an_address_cannot_be_probed(faulty: FaultyServer) -> None:
    """That is no data, and said."""
    found = await probed(Reached(baseline=faulty.url), seconds=0.3)
    assert (found["outcome"], "reports no address of the canary 1.1" in found["reason"]) == ("no_data", True)


@pytest.mark.slow
async def test_every_sli_is_read_before_a_release(stage: Stage, faulty: FaultyServer) -> None:
    """Each from its own source about what serves now; whatever cannot be read says why."""
    stage.platform = Reached(baseline=faulty.url)
    slis = [PLATFORM, stage.sli(), stage.pair(), PROBE]
    await stage.seen()
    good = await read_slis.fn(stage.platform, subject=stage.subject(*slis), baseline="1.0", version="1.1")
    assert good == dict.fromkeys(["platform", "errors", "pair", "probe"], "")
    stage.platform.numbers.clear()
    bad = stage.subject(PLATFORM, stage.sli(selector='app="none",version="{version}"'), PROBE.model_copy(update={"path": "/down"}))
    found = await read_slis.fn(stage.platform, subject=bad, baseline="1.0", version="1.1")
    assert found == {
        "platform": "the platform has no counts of 1.0",
        "errors": "Prometheus has no series of 1.0",
        "probe": "1.0 at /down: answered 503, not 200",
    }
    gone = stage.subject(PLATFORM, stage.sli(), PROBE, block=Prometheus(url="http://127.0.0.1:9"))
    first = await read_slis.fn(stage.platform, subject=gone, baseline=None, version="1.1")
    assert [bool(why) for why in first.values()] == [False, True, False]


async def test_a_platform_that_is_silent_before_a_release_is_said() -> None:
    """Its SLIs are not taken as read."""
    platform = FakePlatform()
    platform.at_look = lambda _look: platform.silent()
    subject = Subject("shop", "production", Judgement(slis=[PLATFORM]))
    assert await read_slis.fn(platform, subject=subject, baseline="1.0", version="1.1") == {"platform": "the platform does not answer"}
    with pytest.raises(Temporary):
        await begin_watch.fn(platform, subject=subject, version="1.1", key="k")


async def test_probes_that_died_with_a_process_are_made_again(faulty: FaultyServer) -> None:
    """The time of the watch is up, but one probe would be all there is; the version must not go back for that."""
    platform = Reached(canary=faulty.url, baseline=faulty.url)
    found = await probed(platform, seconds=3, ago_seconds=3_600)
    assert found["outcome"] == "passed", found["reason"]


async def test_a_longer_watch_goes_on_from_what_the_shorter_one_probed(faulty: FaultyServer) -> None:
    """Its probes are part of the verdict, and are counted once."""
    platform = Reached(canary=faulty.url, baseline=faulty.url)
    first = await probed(platform, seconds=0.1)
    handed = first["probes"]["counts"]["probe"]["canary"]
    assert handed[1] > 0
    second = await probed(platform, seconds=0.1, ago_seconds=60, probes={**first["probes"], "at": time.time()})
    assert second["samples"][0]["total"] == handed[1] + 1
    assert len(second["points"]) == 1
