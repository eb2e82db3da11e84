"""Whose Service and route are: what another workload has is neither switched nor weighted, by what the cluster says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes.jobs import _expect_apart
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.objects import taken_over
from blocks.kubernetes.routing.own import notes, touched
from blocks.kubernetes.routing.switch import select
from blocks.kubernetes.routing.traffic import make_service
from blocks.kubernetes.workload import Target
from blocks.touching import NotOwn
from tests.blocks.kubernetes.fake_cluster import FakeCluster, named, replica_set, service, template, workload

Json = dict[str, Any]
CANARY = {"shipway.dev/revision": "canary", "shipway.dev/workload": "web"}


@pytest.fixture(autouse=True)
def _nothing_written() -> Iterator[None]:
    """Let no test see what a rollback of another one wrote."""
    taken_over._written.clear()
    yield
    taken_over._written.clear()


def route(*rules: list[str], name: str = "web") -> Json:
    """Write an HTTPRoute whose rules have these backends."""
    written = [{"backendRefs": [{"name": one, "port": 80} for one in rule]} for rule in rules]
    return {"kind": "HTTPRoute", "metadata": {"name": name, "namespace": "shop", "uid": f"uid-route-{name}"}, "spec": {"rules": written}}


def idle(found: Json) -> Json:
    """Scale a workload to 0."""
    found["spec"]["replicas"] = 0
    return found


WEB, SERVICE = workload(template("1")), service()
STAGING, STAGING_SERVICE = named(WEB, "web-staging", app="web-staging"), named(SERVICE, "web-staging", app="web-staging")
BOTH = (WEB, SERVICE, STAGING, STAGING_SERVICE)


def target(*objects: Json, **fields: Any) -> Target:
    """Make the target of a block on these objects."""
    return Target(**{"cluster": FakeCluster(*objects), "workload": "web", "service": "web", "drain_seconds": 0, "key": b"k" * 32, **fields})


@pytest.mark.parametrize("strategy", ["rolling", "canary", "blue-green"])
async def test_what_a_release_changes_beside_its_workload_is_named(strategy: str) -> None:
    """By UIDs, so that another block, or another name for the cluster, does not hide whose it is."""
    found = await touched(target(*BOTH, route(["web"]), route=("web")), strategy)
    assert list(found) == ["the Service shop/web", "the HTTPRoute shop/web"]
    assert set(found.values()) == {"kubernetes Service uid-web", "kubernetes HTTPRoute uid-route-web"}


@pytest.mark.parametrize(
    ("objects", "fields", "strategy", "said"),
    [
        (BOTH, {"workload": "web-staging"}, "blue-green", "the Service web does not select the pods of shop/web-staging, but app=web"),
        (BOTH, {"workload": "web-staging"}, "canary", "does not select the pods"),
        ((*BOTH, named(WEB, "worker", app="web", tier="worker")), {}, "blue-green", "selects the pods of the Deployment worker, too"),
        (
            (*BOTH, named(WEB, "worker", app="web", tier="worker")),
            {"workload": "worker"},
            "canary",
            "selects the pods of the Deployment web",
        ),
        ((*BOTH, named(WEB, "web-canary", **CANARY)), {"workload": "web-canary"}, "rolling", "is a canary of Shipway's"),
        ((*BOTH, route(["other"])), {"route": "web"}, "canary", "sends nothing to the Service web"),
        ((*BOTH, route(["web", "other"])), {"route": "web"}, "canary", "sends requests to other beside web"),
    ],
    ids=["switch", "weights", "more pods", "fewer pods", "canary", "route of another", "rule of two"],
)
async def test_what_another_workload_has_is_refused(objects: tuple[Json, ...], fields: Json, strategy: str, said: str) -> None:
    """A block is a text that anyone with the API's password edits: its users are not those of the workload."""
    with pytest.raises(BadInput, match=said):
        await touched(target(*objects, **fields), strategy)


@pytest.mark.parametrize(
    ("objects", "fields", "strategy", "things"),
    [
        ((WEB,), {}, "rolling", []),
        ((named(WEB, "web", app="batch"), SERVICE), {}, "rolling", []),
        ((WEB, {**SERVICE, "spec": {"ports": []}}), {}, "rolling", []),
        (BOTH, {"workload": "web-staging"}, "rolling", []),
        ((*BOTH, route(["web"])), {"workload": "web-staging", "route": "web"}, "rolling", []),
        ((*BOTH, route(["other"])), {"route": "web"}, "rolling", ["the Service shop/web"]),
        ((*BOTH, route(["other"])), {"route": "web"}, "blue-green", ["the Service shop/web"]),
        ((*BOTH, route(["other"], ["web"])), {"route": "web"}, "rolling", ["the Service shop/web", "the HTTPRoute shop/web"]),
        ((*BOTH, idle(named(WEB, "web-old", app="web"))), {}, "canary", ["the Service shop/web"]),
        ((*BOTH, idle(named(WEB, "web-old", app="web"))), {}, "blue-green", ["the Service shop/web"]),
        ((*BOTH, named(WEB, "web-canary", **CANARY)), {}, "blue-green", ["the Service shop/web"]),
        ((*BOTH, route(["web"], ["api"])), {"route": "web"}, "canary", ["the Service shop/web", "the HTTPRoute shop/web"]),
        ((*BOTH, route(["web", "web-canary"])), {"route": "web"}, "canary", ["the Service shop/web", "the HTTPRoute shop/web"]),
    ],
    ids=[
        "without Service",
        "a namesake",
        "without selector",
        "a proxy before it",
        "a proxy with its route",
        "route of another, rolling",
        "route of another, switch",
        "its route",
        "retired, weights",
        "retired, switch",
        "mid-release",
        "rules of others",
        "mid-canary",
    ],
)
async def test_normal_use_is_not_refused(objects: tuple[Json, ...], fields: Json, strategy: str, things: list[str]) -> None:
    """Also a release that goes on half-way, and a workload that no Service reaches."""
    assert list(await touched(target(*objects, **fields), strategy)) == things


@pytest.mark.parametrize(
    ("fields", "strategy", "is_named", "said"),
    [
        ({"workload": "web-staging"}, "rolling", True, ["does not select the pods of web-staging"]),
        ({"workload": "web-staging"}, "rolling", False, []),
        ({}, "rolling", True, []),
        ({}, "canary", True, []),
    ],
)
async def test_a_service_before_another_workload_is_told_in_the_preview(
    fields: Json, strategy: str, said: list[str], *, is_named: bool
) -> None:
    """A rolling update goes on, and is verified through it."""
    found = target(*BOTH, **fields)
    noted = notes(found, strategy, await touched(found, strategy), is_named=is_named)
    assert [one in note for one, note in zip(said, noted, strict=True)] == [True] * len(said)


@pytest.mark.parametrize(
    ("objects", "fields", "strategy", "things", "refuses_rollbacks"),
    [
        (BOTH, {"workload": "web-staging"}, "canary", ["the Service shop/web"], True),
        ((*BOTH, named(WEB, "worker", app="web")), {}, "canary", ["the Service shop/web"], False),
        ((*BOTH, route(["other"])), {"route": "web"}, "canary", ["the Service shop/web", "the HTTPRoute shop/web"], True),
        ((*BOTH, route(["web", "other"])), {"route": "web"}, "canary", ["the Service shop/web", "the HTTPRoute shop/web"], False),
    ],
    ids=["another's", "shared", "route of another", "rule of two"],
)
async def test_what_is_refused_is_named_so_that_a_rollback_can_ask_whose_it_is(
    objects: tuple[Json, ...], fields: Json, strategy: str, things: list[str], *, refuses_rollbacks: bool
) -> None:
    """What is shared refuses none: it brings requests back to where they were."""
    with pytest.raises(NotOwn) as caught:
        await touched(target(*objects, **fields), strategy)
    assert (list(caught.value.things), caught.value.refuses_rollbacks) == (things, refuses_rollbacks)


def selected(of: Target) -> Any:
    """Say what production's Service selects."""
    return of.cluster.objects["Service", "web"]["spec"]["selector"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("switched", [True, False])
@pytest.mark.parametrize("is_under_way", [True, False])
async def test_the_service_of_another_workload_is_not_switched(*, switched: bool, is_under_way: bool) -> None:
    """Neither to the canary of a staging, nor back to a selector that was never its own, also while production is released."""
    staging = target(*BOTH, workload="web-staging")
    if is_under_way:
        production = Target(cluster=staging.cluster, workload="web", service="web", key=staging.key)
        await select(production, await acquire_lease(production, "release", takeover=False), switched=True)
    before, lease = selected(staging), await acquire_lease(staging, "run", takeover=False)
    with pytest.raises(WorldMoved, match="not the pods of shop/web-staging"):
        await select(staging, lease, switched=switched)
    assert selected(staging) == before == (CANARY if is_under_way else {"app": "web"})


async def test_a_switched_service_is_still_the_workloads_own() -> None:
    """It is owned right before the promotion, when it selects the canary."""
    own = target(WEB, SERVICE, replica_set(1, template("1")))
    before = await touched(own, "blue-green")
    await select(own, await acquire_lease(own, "release", takeover=False), switched=True)
    assert selected(own) == CANARY
    assert await touched(own, "blue-green") == before == {"the Service shop/web": "kubernetes Service uid-web"}


@pytest.mark.parametrize("noted", ["app=web", "app=evil", ""])
async def test_a_switch_and_back_is_as_it_was_whatever_was_noted_of_it(noted: str) -> None:
    """A rollback restores what its release touched: by the note on the Service, or by the workload's own labels."""
    own = target(WEB, SERVICE, replica_set(1, template("1")))
    await select(own, await acquire_lease(own, "release", takeover=False), switched=True)
    assert selected(own) == CANARY
    own.cluster.objects["Service", "web"]["metadata"]["annotations"]["shipway.dev/selector"] = noted  # type: ignore[attr-defined]
    await select(own, await acquire_lease(own, "rollback", takeover=True), switched=False)
    assert selected(own) == {"app": "web"}


async def test_a_rollback_says_that_requests_go_elsewhere_and_repairs_that_where_it_deploys() -> None:
    """Others let production's Service select other pods: a rollback that only sees to the workload would pass without its users."""
    own = target(WEB, named(SERVICE, "web", app="web-staging"), STAGING, replica_set(1, template("1")))
    lease = await acquire_lease(own, "rollback", takeover=True)
    with pytest.raises(WorldMoved, match="selects app=web-staging, and not the pods of shop/web"):
        await select(own, lease, switched=False)
    await select(own, lease, switched=True)
    await select(own, lease, switched=False)
    assert selected(own) == {"app": "web"}


async def test_a_service_with_the_name_of_the_canarys_is_not_taken() -> None:
    """It is another's own, with users of its own."""
    own = target(WEB, SERVICE, named(SERVICE, "web-canary", app="other"), force_conflicts=True)
    with pytest.raises(BadInput, match="the Service web-canary is not Shipway's"):
        await make_service(own, SERVICE, await acquire_lease(own, "run", takeover=False))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"app": "web"}, "would select them"),
        ({"app": "web-staging"}, "the Service web-staging"),
        ({"app": "web", "more": "x"}, "would select them"),
        (CANARY, "by which Shipway tells pods apart"),
        ({"app": "migration"}, ""),
        ({}, ""),
    ],
)
def test_the_pods_of_a_job_join_no_service(labels: dict[str, str], said: str) -> None:
    """A migration of a staging would serve the users of another workload of the namespace while it runs."""
    manifest = {"spec": {"template": {"metadata": {"labels": labels}}}}
    services = [SERVICE, STAGING_SERVICE, {**SERVICE, "spec": {"ports": []}}]
    with pytest.raises(BadInput, match=said) if said else nullcontext():
        _expect_apart(target(*BOTH), manifest, WEB, services)
