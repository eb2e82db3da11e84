"""What a cluster keeps and gives as evidence: events on the workload, and what its pods use."""

from __future__ import annotations

import time

import pytest

from blocks.kubernetes.observe.events import record_event
from blocks.kubernetes.observe.usage import read_usage
from blocks.kubernetes.workload import Target
from tests.cluster.cluster_world import World
from tests.cluster.cut_line import line_to

pytestmark = pytest.mark.cluster


async def test_the_story_of_a_release_stands_on_the_deployment(world: World) -> None:
    """Each step is an Event of component shipway about exactly this Deployment; the same step twice is one Event that counts."""
    await world.podinfo(ready=False)
    target = Target(world.cluster, "podinfo")
    for note in ("25 % of the requests go to 6.9.1", "50 % of the requests go to 6.9.1", "50 % of the requests go to 6.9.1"):
        await record_event(target, reason="ShipwayShift", note=note)
    await record_event(target, reason="ShipwayAbort", note="6.9.1 fails: 5 of 20 requests", warning=True)
    uid = (await target.read())["metadata"]["uid"]
    found = [
        one for one in await world.cluster.list("Event", fields=f"involvedObject.uid={uid}") if one["source"] == {"component": "shipway"}
    ]
    assert {(one["type"], one["reason"], one["message"], one["count"]) for one in found} == {
        ("Normal", "ShipwayShift", "25 % of the requests go to 6.9.1", 1),
        ("Normal", "ShipwayShift", "50 % of the requests go to 6.9.1", 2),
        ("Warning", "ShipwayAbort", "6.9.1 fails: 5 of 20 requests", 1),
    }
    assert {one["reportingComponent"] for one in found} == {"shipway"}


async def test_an_event_that_cannot_be_written_fails_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Without a workload, or without an API server, the step goes on soon, and the log says what was lost."""
    with caplog.at_level("INFO", "shipway.kubernetes"):
        await record_event(Target(world.cluster, "absent"), reason="ShipwayShift", note="to an absent one")
        async with line_to(world.cluster) as line:
            line.open = False
            began = time.monotonic()
            await record_event(Target(line.cluster, "podinfo"), reason="ShipwayShift", note="to an absent one")
            assert time.monotonic() - began < 3
    assert caplog.text.count("was not written") == 2


async def test_what_the_pods_asked_for_is_known_with_or_without_a_metrics_server(world: World) -> None:
    """Requests, limits and restarts come from the pods; what no server measures is left out."""
    await world.podinfo()
    found = await read_usage(world.cluster, await world.pods(), selector="app=podinfo")
    assert [(one["container"], one["restarts"]) for one in found] == [("podinfo", 0)]
