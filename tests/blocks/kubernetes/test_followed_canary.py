"""A canary that others keep beside a followed workload: nothing of it is Shipway's, and neither side may have pods of the other."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes import platform as platforms
from blocks.kubernetes.followed import FollowedCanary
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.kubernetes.snapshot import read_view
from blocks.kubernetes.workload import Target
from blocks.platform import Lease
from blocks.touching import NotOwn
from tests.blocks.kubernetes.fake_cluster import FakeCluster, named, service, template, workload

Json = dict[str, Any]
LEASE = Lease(owner="run-1", generation=1)
HELD = {"shipway.dev/owner": "run-1", "shipway.dev/generation": "1"}


def route(stable: int, canary: int, *, other: str = "") -> Json:
    """Write the route as a gateway has taken it."""
    names = {"web": stable, "web-canary": canary, **({other: 1} if other else {})}
    conditions = [{"type": kind, "status": "True", "observedGeneration": 1} for kind in ("Accepted", "ResolvedRefs")]
    parent = {"name": "gateway"}
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", "uid": "uid-route", "generation": 1},
        "spec": {
            "parentRefs": [parent],
            "rules": [{"backendRefs": [{"name": name, "port": 80, "weight": weight} for name, weight in names.items()]}],
        },
        "status": {"parents": [{"parentRef": parent, "conditions": conditions}]},
    }


WEB, SERVICE = workload(template("1"), annotations=HELD), service()
NARROW = named(SERVICE, "web", **{"app": "web", "app.kubernetes.io/version": "1"})
BESIDE = named(workload(template("2")), "web-canary", app="web-canary")
BESIDE_SERVICE = named(SERVICE, "web-canary", app="web-canary")


def canary(monkeypatch: pytest.MonkeyPatch, *objects: Json) -> tuple[FollowedCanary, FakeCluster]:
    """Give a canary on these objects."""
    cluster = FakeCluster(*objects)
    block = KubernetesPlatform(workload="web", route="web", namespace="shop", config_by_hash=False).with_canary("web-canary", "web-canary")

    async def target(self: KubernetesPlatform) -> Target:
        names = {"canary_workload": self._canary[0], "canary_service": self._canary[1]}
        return Target(cluster=cluster, workload="web", service="web", route="web", drain_seconds=0, **names)

    monkeypatch.setattr(platforms.KubernetesPlatform, "target", target)
    return FollowedCanary(block), cluster


async def test_both_services_and_the_route_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other environment may share them."""
    found, _ = canary(monkeypatch, WEB, SERVICE, BESIDE, BESIDE_SERVICE, route(100, 0))
    assert set(await found.touches()) == {"the Service shop/web", "the Service shop/web-canary", "the HTTPRoute shop/web"}
    assert await found.runs() == "2"


@pytest.mark.parametrize(
    ("objects", "said"),
    [
        ((WEB, SERVICE, BESIDE_SERVICE, route(100, 0)), "has no Deployment web-canary. Commit it to Git beside the workload"),
        (
            (WEB, SERVICE, named(BESIDE, "web-canary", app="web", track="canary"), BESIDE_SERVICE, route(100, 0)),
            "the Service web selects the pods of the Deployment web-canary, too",
        ),
        (
            (WEB, NARROW, named(BESIDE, "web-canary", app="web", track="canary"), BESIDE_SERVICE, route(100, 0)),
            "the selector of shop/web selects the pods of web-canary, too",
        ),
        ((WEB, SERVICE, BESIDE, named(SERVICE, "web-canary", app="web"), route(100, 0)), "the Service web-canary does not select the pods"),
        ((WEB, named(SERVICE, "web", app="web-canary"), BESIDE, BESIDE_SERVICE, route(100, 0)), "the Service web does not select the pods"),
        ((WEB, SERVICE, BESIDE, BESIDE_SERVICE, route(100, 0, other="web-v2")), "sends requests to web-v2 beside web"),
    ],
)
async def test_a_side_that_has_what_is_the_others_is_refused(monkeypatch: pytest.MonkeyPatch, objects: tuple[Json, ...], said: str) -> None:
    """A weight would not be a share then; the fix is named. A rollback goes on, and what the workload has is named all the same."""
    found, _ = canary(monkeypatch, *objects)
    with pytest.raises(NotOwn, match=said) as wrong:
        await found.touches()
    assert wrong.value.refuses_rollbacks == ("the Service web does" in said)
    assert "the Service shop/web" in wrong.value.things


async def test_the_share_is_what_the_route_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one says that others set it."""
    found, _ = canary(monkeypatch, WEB, SERVICE, BESIDE, BESIDE_SERVICE, route(75, 25))
    assert await found.share() == 25
    await found.expect_share(25)
    with pytest.raises(WorldMoved, match="the HTTPRoute web gives the canary 25 % of the requests, not 50 %"):
        await found.expect_share(50)


async def test_without_git_the_weights_alone_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The canary's backend stays, and nothing is remembered on the route, as its owner writes it again."""
    found, cluster = canary(monkeypatch, WEB, SERVICE, BESIDE, BESIDE_SERVICE, route(75, 25))
    await found.give_back(LEASE)
    written = cluster.objects["HTTPRoute", "web"]
    assert [(one["name"], one["weight"]) for one in written["spec"]["rules"][0]["backendRefs"]] == [("web", 100), ("web-canary", 0)]
    assert "shipway.dev/weight" not in written["metadata"]["annotations"]
    await found.give_back(LEASE)
    assert cluster.writes == ["patch HTTPRoute/web"]


async def test_a_canary_of_another_version_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others set it."""
    found, _ = canary(monkeypatch, WEB, SERVICE, BESIDE, BESIDE_SERVICE, route(100, 0))
    with pytest.raises(WorldMoved, match="the Deployment web-canary is set to 2, not to 3"):
        await found.await_version("3", LEASE)


async def test_a_rolling_update_does_not_mind_a_canary_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a rollback by the workload's own rollout; a canary of Shipway's would need the name."""
    _, cluster = canary(monkeypatch, WEB, SERVICE, BESIDE)
    target = Target(cluster=cluster, workload="web", service="web")
    assert (await read_view(target, None, ours=True)).beside is None
    with pytest.raises(BadInput, match="the Deployment web-canary is not Shipway's"):
        await read_view(target, None)
