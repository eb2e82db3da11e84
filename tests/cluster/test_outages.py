"""The API server away in each phase of a release, and pods that die: the tasks carry the release through, and users notice nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from blocks.kubernetes.objects.annotations import state_of
from blocks.kubernetes.objects.selectors import in_words
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.platform import Lease
from tasks.analysis.sources import Subject
from tasks.analysis.watch import begin_watch, watch_step
from tasks.rollout.rollout import abort_canary, prepare_revision, promote_revision, shift_traffic
from tasks.rules.plan.judgement import Judgement, ProbeSli
from tests.cluster.cluster_world import Gateway, Visitor, World
from tests.cluster.outage import Outage, behind_a_line
from tests.cluster.scene import BESIDE, FIRST, READY, SECOND, Scene, raise_scene
from tests.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.server, pytest.mark.usefixtures("server"), pytest.mark.timeout(240)]
PHASES = ["prepare", "shift", "watch", "promote", "abort"]
SHORT, LONG = 4.0, 60.0
JUDGEMENT = {"alpha": 0.1, "min_requests": 1, "interval_seconds": 0.5, "inconclusive": "proceed"}


async def deployment(scene: Scene, name: str) -> Any:
    """Read a Deployment as the cluster has it, past any line."""
    return await scene.world.cluster.read("Deployment", name)


def begun_at(scene: Scene, phase: str) -> Callable[[], Awaitable[bool]]:
    """Return whether a phase is under way, by what the cluster has of it."""

    async def holds() -> bool:
        beside, workload = await deployment(scene, "podinfo-canary"), await deployment(scene, "podinfo")
        if phase == "prepare":
            return beside is not None
        if phase == "shift":
            return bool(beside["metadata"]["annotations"].get("shipway.dev/share") == "50")
        if phase == "promote":
            return state_of(workload).phase == "promoting"
        return True

    return holds


async def act(platform: KubernetesPlatform, phase: str, lease: Lease) -> Any:
    """Do what a release does in a phase, by its tasks."""
    key = f"{phase}/{secrets.token_hex(4)}"
    match phase:
        case "prepare":
            return await prepare_revision(platform, version=SECOND, lease=lease, timeout_seconds=READY, key=key)
        case "shift":
            return await shift_traffic(platform, version=SECOND, percent=50, lease=lease, key=key)
        case "watch":
            return await watch(platform, lease, key)
        case "promote":
            return await promote_revision(platform, version=SECOND, lease=lease, key=key)
    return await abort_canary(platform, lease=lease)


async def watch(platform: KubernetesPlatform, lease: Lease, key: str) -> Any:
    """Watch half the traffic for eight seconds by requests of our own, of which none shows that a version is not worse."""
    sli = ProbeSli(name="errors", source="probe", indicator="errors", path="/healthz", tolerance=0, limit=0.6)
    subject = Subject("podinfo", "production", Judgement.model_validate({**JUDGEMENT, "slis": [sli.model_dump()]}))
    begun = await begin_watch(platform, subject=subject, version=SECOND, key=f"{key}/begin")
    found = await watch_step(
        platform, subject=subject, version=SECOND, percent=50, watch_seconds=8, lease=lease, begun=begun, key=f"{key}/watch"
    )
    return found.model_dump(mode="json")


BEFORE: dict[str, tuple[int, ...]] = {"shift": (0,), "watch": (0, 50), "promote": (0, 100), "abort": (0, 50)}


async def through(scene: Scene, outage: Outage, phase: str, seconds: float) -> Any:
    """Reach a phase, lose the API server in it, and give what the phase gave."""
    lease = await scene.platform.acquire_lease("run")
    shares = BEFORE.get(phase)
    if shares:
        await scene.bring(lease, *shares[1:])
    acting = asyncio.create_task(act(outage.platform, phase, lease))
    await until(begun_at(scene, phase))
    await asyncio.sleep(1 if phase == "watch" else 0)
    await outage.away(seconds)
    found = await acting
    if phase != "abort":
        await scene.platform.abort(lease)
    await scene.platform.release_lease(lease)
    return found


@pytest.mark.parametrize("phase", PHASES)
async def test_a_phase_outlives_an_api_server_that_is_away_for_seconds(world: World, gateway: Gateway, phase: str) -> None:
    """The task ends well, no user sees a bad answer, and nothing of ours is left at the end."""
    scene = await raise_scene(world, gateway, "canary+route")
    async with behind_a_line(world, scene.platform) as outage, Visitor(scene.url, per_second=10).visiting() as visitor:
        found = await through(scene, outage, phase, SHORT)
    if phase == "watch":
        assert found["outcome"] == "watching", found["reason"]
    assert visitor.bad == []
    await scene.check_well(SECOND if phase == "promote" else FIRST)


@pytest.mark.faults
@pytest.mark.parametrize("phase", ["promote", "abort"])
async def test_a_phase_outlives_an_api_server_that_restarts_for_a_minute(world: World, gateway: Gateway, phase: str) -> None:
    """A minute is longer than the usual tries, and what asks a platform goes on asking: giving up would need the same server to go back."""
    scene = await raise_scene(world, gateway, "canary+route")
    async with behind_a_line(world, scene.platform) as outage, Visitor(scene.url, per_second=10).visiting() as visitor:
        await through(scene, outage, phase, LONG)
    assert visitor.bad == []
    await scene.check_well(SECOND if phase == "promote" else FIRST)


async def test_a_rollout_is_waited_for_over_watches_that_are_cut(world: World, gateway: Gateway) -> None:
    """Every connection is reset again and again while pods come up; the wait goes on from where it was, without another try."""
    scene = await raise_scene(world, gateway, "rolling")
    await world.merge("Deployment", "podinfo", {"spec": {"minReadySeconds": 5}})
    scene.before = await scene.specs()
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease)
    async with behind_a_line(world, scene.platform) as outage:
        shifting = asyncio.create_task(outage.platform.shift(100, lease))
        await until(lambda: is_rolling(scene))
        for _ in range(4):
            await asyncio.sleep(0.7)
            assert not shifting.done()
            outage.line.cut()
        await shifting
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(SECOND)


async def is_rolling(scene: Scene) -> bool:
    """Return whether a pod of the new version is there."""
    found = await scene.world.pods()
    return any(pod["spec"]["containers"][0]["image"].endswith(SECOND) for pod in found)


async def kill_pods(scene: Scene, *, beside: bool) -> None:
    """Kill pods of the canary, or of the workload, as a node that fails would, without a farewell."""
    selector = {"shipway.dev/revision": "canary"} if beside else {"app": "podinfo"}
    for pod in await scene.world.cluster.list("Pod", labels=in_words({"matchLabels": selector})):
        await scene.world.cluster.call("DELETE", scene.world.cluster.path("Pod", pod["metadata"]["name"]), body={"gracePeriodSeconds": 0})


@pytest.mark.parametrize("what", BESIDE)
async def test_pods_of_the_canary_that_die_come_again_and_the_release_goes_on(world: World, gateway: Gateway, what: str) -> None:
    """Killed while it comes up and while it has a share: the watch passes or says so, and the release ends well either way."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    preparing = asyncio.create_task(act(scene.platform, "prepare", lease))
    await until(lambda: has_canary_pods(scene))
    await kill_pods(scene, beside=True)
    await preparing
    for share in scene.shares:
        await scene.platform.shift(share, lease)
        await kill_pods(scene, beside=True)
    await scene.platform.promote(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(SECOND)


async def test_pods_of_the_canary_that_die_again_and_again_in_a_watch_fail_it(world: World, gateway: Gateway) -> None:
    """Its verdict counts the requests that were not answered, it comes before the time is up, and going back is well."""
    scene = await raise_scene(world, gateway, "canary+route", replicas=2)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, 50)
    watching = asyncio.create_task(act(scene.platform, "watch", lease))
    while not watching.done():
        await kill_pods(scene, beside=True)
        await asyncio.wait({watching}, timeout=0.5)
    found = await watching
    assert found["outcome"] == "failed", found["reason"]
    assert "requests failed against 0 of" in found["reason"]
    await scene.platform.abort(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(FIRST)


async def has_canary_pods(scene: Scene) -> bool:
    """Return whether the canary has a pod."""
    return bool(await scene.world.cluster.list("Pod", labels="shipway.dev/revision=canary"))


@pytest.mark.parametrize("what", [*BESIDE, "rolling"])
async def test_pods_of_the_baseline_that_die_stop_no_rollback(world: World, gateway: Gateway, what: str) -> None:
    """The baseline's pods die while another version has a share; going back ends with them ready again."""
    scene = await raise_scene(world, gateway, what)
    lease = await scene.platform.acquire_lease("run")
    await scene.bring(lease, scene.shares[0])
    await kill_pods(scene, beside=False)
    await scene.platform.abort(lease)
    await scene.platform.release_lease(lease)
    await scene.check_well(FIRST)
