"""An HTTPRoute's weights and what gateways say of it."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput, Superseded
from blocks.kubernetes.routing.route import faults_of, is_taken_by_any, port_to
from blocks.kubernetes.routing.traffic import make_service, ports_of
from blocks.kubernetes.routing.weights import Weights, routed_port
from blocks.kubernetes.workload import Target, acquire_lease
from blocks.platform import Lease
from tests.blocks.kubernetes.fake_cluster import FakeCluster, service, template, workload

Json = dict[str, Any]
OTHER = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "other", "namespace": "x"}


def parent(name: str = "edge", *, accepted: str = "True", seen: int | None = 2, resolved: str = "True") -> Json:
    """Write what a gateway says of the route."""
    at = {} if seen is None else {"observedGeneration": seen}
    conditions = [{"type": "Accepted", "status": accepted, **at}, {"type": "ResolvedRefs", "status": resolved, "message": "no port", **at}]
    return {"parentRef": {"name": name, "namespace": "shop"}, "conditions": conditions}


def route(*parents: Json, refs: list[Json] | None = None) -> Json:
    """Write the HTTPRoute `web` in its second generation, which hangs on the gateway `edge`."""
    rules = [{"backendRefs": refs or [{"name": "web", "port": 8080}]}]
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", "generation": 2},
        "spec": {"parentRefs": [{"name": "edge"}, {"name": "second"}], "rules": rules},
        "status": {"parents": list(parents)},
    }


@pytest.mark.parametrize(
    ("parents", "faults"),
    [
        ((), None),
        ((parent(),), []),
        ((parent(seen=1),), None),
        ((parent(seen=None),), []),
        ((parent("gone", accepted="False", seen=1),), None),
        ((parent(), parent("gone", accepted="False", seen=1)), []),
        ((parent(), parent("second", resolved="False")), ["ResolvedRefs is False:  no port"]),
    ],
    ids=["nobody", "well", "not yet", "without a generation", "no parent any more", "one that is none any more", "one of two"],
)
def test_only_the_gateways_that_the_route_names_are_heard(parents: tuple[Json, ...], faults: list[str] | None) -> None:
    """What an earlier parent left in the status decides nothing, and one that tells no generation speaks of the present."""
    assert faults_of(route(*parents)) == faults


def test_what_was_said_before_is_known() -> None:
    """Also where it was said of an earlier generation; and one gateway that takes the route is enough to begin."""
    one = route(parent(seen=1, resolved="False"), parent("second", seen=1))
    assert faults_of(one) is None
    assert faults_of(one, stale=True) == ["ResolvedRefs is False:  no port"]
    assert is_taken_by_any(one)
    assert not is_taken_by_any(route(parent(resolved="False")))
    assert faults_of(route(), stale=True) == []


async def placed(*parents: Json, refs: list[Json] | None = None) -> tuple[FakeCluster, Weights, Lease]:
    """Claim a service behind a route."""
    cluster = FakeCluster(workload(template("1.0")), service(), route(*parents, refs=refs))
    target = Target(cluster=cluster, workload="web", service="web", route="web")
    return cluster, Weights(target), await acquire_lease(target, "run", takeover=False)


async def test_a_fault_from_before_fails_no_step() -> None:
    """A second gateway that never took the route in is not this release's doing, there and back."""
    cluster, weights, lease = await placed(parent(), parent("second", resolved="False"))
    await weights.attach(lease, service())
    await weights.set(50, lease)
    assert await weights.read() == 50
    await weights.set(0, lease)
    assert cluster.objects["HTTPRoute", "web"]["spec"]["rules"] == [{"backendRefs": [{"name": "web", "port": 8080, "weight": 1}]}]


async def test_no_share_is_given_whatever_the_rules_say_by_now() -> None:
    """Somebody took the stable Service out of the rule and put another one in: the canary gets nothing all the same."""
    cluster, weights, lease = await placed(parent(), refs=[{"name": "theirs", "weight": 1}, {"name": "web-canary", "weight": 1}])
    await weights.set(0, lease)
    assert cluster.objects["HTTPRoute", "web"]["spec"]["rules"] == [{"backendRefs": [{"name": "theirs", "weight": 1}]}]


async def test_requests_are_counted_at_the_port_that_the_route_names() -> None:
    """A Service may have several; one without any is refused."""
    _, weights, _ = await placed(parent())
    assert await routed_port(weights.target) == 8080
    assert port_to(route(refs=[{"name": "web"}]), "web") is None
    _, weights, _ = await placed(parent(), refs=[{"name": "web"}])
    assert await routed_port(weights.target) == 80
    with pytest.raises(BadInput, match="has no ports"):
        ports_of({"metadata": {"name": "web"}, "spec": {}})


@pytest.mark.parametrize("taken", [False, True])
async def test_what_is_made_for_an_owner_that_is_none_any_more_goes_again(monkeypatch: pytest.MonkeyPatch, *, taken: bool) -> None:
    """A newer claim came while the Service was made: it is deleted, unless the newer owner has written it already."""
    cluster, weights, lease = await placed(parent())
    apply = cluster.patch

    async def overtaken(kind: str, name: str, body: Any, **more: Any) -> Json:
        made = await apply(kind, name, body, **more)
        if (kind, name) == ("Service", "web-canary"):
            monkeypatch.setattr(cluster, "patch", apply)
            await acquire_lease(weights.target, "newer", takeover=True)
            if taken:
                cluster.put(cluster.objects[kind, name])
        return made

    monkeypatch.setattr(cluster, "patch", overtaken)
    with pytest.raises(Superseded):
        await make_service(weights.target, service(), lease)
    assert (("Service", "web-canary") in cluster.objects) is taken
