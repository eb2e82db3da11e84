"""An HTTPRoute's weights and what gateways say of it."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from blocks.errors import BadInput, Superseded
from blocks.kubernetes.leases import acquire_lease
from blocks.kubernetes.routing.route import WEIGHT, faults_of, is_taken_by_any, port_to, remembered, to_remember, without_canary
from blocks.kubernetes.routing.switch import select
from blocks.kubernetes.routing.traffic import make_service, ports_of
from blocks.kubernetes.routing.weights import Weights, routed_port
from blocks.kubernetes.workload import Target
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
    ids=["none", "well", "not yet", "without a generation", "no parent any more", "one that is none any more", "one of two"],
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
    """Someone took the stable Service out of the rule and put another one in: the canary gets nothing all the same."""
    cluster, weights, lease = await placed(parent())
    await weights.attach(lease, service())
    await weights.set(50, lease)
    cluster.objects["HTTPRoute", "web"]["spec"]["rules"][0]["backendRefs"][0]["name"] = "theirs"
    await weights.set(0, lease)
    assert cluster.objects["HTTPRoute", "web"]["spec"]["rules"] == [{"backendRefs": [{"name": "theirs", "port": 8080, "weight": 50}]}]


BY_HEADER = {
    "matches": [{"headers": [{"name": "X-Try", "value": "new"}]}],
    "backendRefs": [{"name": "web-canary", "port": 8080, "weight": 1}],
}
BY_PATH = {
    "matches": [{"path": {"value": "/old"}}],
    "backendRefs": [{"name": "web", "port": 80, "weight": 3}, {"name": "web-canary", "weight": 0}],
}
ALL_ELSE = {"backendRefs": [{"name": "web", "port": 8080, "weight": 7}]}
ELSEWHERE = {"backendRefs": [{"name": "web-canary", "namespace": "other", "weight": 1}, {"name": "pages", "weight": 1}]}


@pytest.mark.parametrize(
    "rules",
    [
        [BY_HEADER, ALL_ELSE],
        [ALL_ELSE, BY_HEADER],
        [BY_PATH, ALL_ELSE, ALL_ELSE],
        [ELSEWHERE, ALL_ELSE],
        [{"filters": [{"type": "RequestRedirect"}]}, BY_HEADER, BY_PATH],
    ],
    ids=["by header first", "by header last", "a canary of their own", "of another namespace", "without backends"],
)
async def test_a_release_leaves_the_rules_as_their_owner_wrote_them(rules: list[Json]) -> None:
    """It takes away what it added and nothing else; meanwhile it sets the weights of the rules to the stable Service alone."""
    cluster, weights, lease = await placed(parent())
    cluster.objects["HTTPRoute", "web"]["spec"]["rules"] = deepcopy(rules)
    await weights.attach(lease, service())
    for percent in (20, 60):
        await weights.set(percent, lease)
        now = cluster.objects["HTTPRoute", "web"]["spec"]["rules"]
        untouched = [rule for rule in rules if not any(ref["name"] == "web" for ref in rule.get("backendRefs", []))]
        assert [rule for rule in now if rule in untouched] == untouched
        assert await weights.read() == percent
    await weights.detach(lease)
    found = cluster.objects["HTTPRoute", "web"]
    assert found["spec"]["rules"] == rules
    assert WEIGHT not in found["metadata"]["annotations"]
    await weights.detach(lease)
    assert found["spec"]["rules"] == rules


async def test_rules_that_come_or_change_while_a_canary_is_beside_are_respected() -> None:
    """One more in front moves the others; one that was edited still loses the canary, which is about to go."""
    cluster, weights, lease = await placed(parent())
    await weights.attach(lease, service())
    await weights.set(30, lease)
    rules = cluster.objects["HTTPRoute", "web"]["spec"]["rules"]
    rules.insert(0, deepcopy(BY_HEADER))
    rules[1]["timeouts"] = {"request": "5s"}
    await weights.detach(lease)
    stable = {"name": "web", "port": 8080, "weight": 1}
    assert cluster.objects["HTTPRoute", "web"]["spec"]["rules"] == [BY_HEADER, {"backendRefs": [stable], "timeouts": {"request": "5s"}}]


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({"name": "web", "namespace": "other", "port": 8080}, "sends requests to other/web beside web"),
        (
            {"name": "web", "kind": "ServiceImport", "group": "multicluster.x-k8s.io"},
            "sends requests to the ServiceImport shop/web beside web",
        ),
        ({"name": "web", "port": 9090}, "names web more than once, with the ports 8080 and 9090"),
    ],
)
async def test_a_backend_of_the_same_name_is_another_one(second: Json, said: str) -> None:
    """Its namespace, kind and port count: three shares in one rule are not what was asked for."""
    cluster, weights, lease = await placed(parent(), refs=[{"name": "web", "port": 8080, "weight": 1}, {**second, "weight": 1}])
    before = deepcopy(cluster.objects["HTTPRoute", "web"]["spec"])
    with pytest.raises(BadInput, match=said):
        await weights.set(25, lease)
    assert cluster.objects["HTTPRoute", "web"]["spec"] == before


async def test_a_rule_to_a_service_of_another_namespace_is_left_alone() -> None:
    """It has the stable Service's name, and none of its requests."""
    other = {"backendRefs": [{"name": "web", "namespace": "other", "port": 80, "weight": 1}], "matches": [{"path": {"value": "/b"}}]}
    cluster, weights, lease = await placed(parent())
    cluster.objects["HTTPRoute", "web"]["spec"]["rules"].append(deepcopy(other))
    await weights.set(40, lease)
    first, second = cluster.objects["HTTPRoute", "web"]["spec"]["rules"]
    assert [ref["weight"] for ref in first["backendRefs"]] == [60, 40]
    assert second == other
    assert port_to({"metadata": {"namespace": "shop"}, "spec": {"rules": [other, first]}}, "web") == 8080


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


@pytest.mark.parametrize(
    "text",
    ['{"0": [Infinity, null]}', "[" * 100_000, '{"0": [1e999, 1]}', '{"0": 7}', "7", "null", '{"0": [-1, null]}', '{"0": [9999999, 1]}'],
)
def test_weights_that_others_wrote_are_not_remembered(text: str) -> None:
    """A rollback goes on without them."""
    found = route()
    found["metadata"]["annotations"] = {WEIGHT: text}
    assert remembered(found) == {}


@pytest.mark.parametrize("noted", ["app=evil", "nonsense", "app=web,team=evil", ",,="])
async def test_a_selector_that_others_noted_is_not_written(noted: str) -> None:
    """It would send production's requests to pods of their own; the workload's own selector takes its place."""
    cluster = FakeCluster(workload(template("1.0")), service())
    target = Target(cluster=cluster, workload="web", service="web")
    lease = await acquire_lease(target, "run", takeover=False)
    await select(target, lease, switched=True)
    switched = cluster.objects["Service", "web"]
    assert switched["spec"]["selector"] == target.canary_selector
    cluster.put({**switched, "metadata": {**switched["metadata"], "annotations": {"shipway.dev/selector": noted}}})
    await select(target, lease, switched=False)
    assert cluster.objects["Service", "web"]["spec"]["selector"] == {"app": "web"}


@pytest.mark.parametrize(("noted", "weights"), [([3, None], [3]), ([0, None], [1]), ([0, 100], [1, 0])])
def test_a_rule_is_never_restored_to_one_in_which_nothing_serves(noted: list[int | None], weights: list[int]) -> None:
    """Others may annotate the route; an owner's zero counts only beside another backend."""
    found = route(refs=[{"name": "web", "port": 80, "weight": 3}])
    key = next(iter(json.loads(to_remember(found, stable="web", canary="web-canary"))))
    refs = [{"name": "web", "port": 80, "weight": 0}, {"name": "web-canary", "port": 80, "weight": 100}]
    found["spec"]["rules"][0]["backendRefs"] = refs
    found["metadata"]["annotations"] = {WEIGHT: json.dumps({key: noted})}
    assert [ref["weight"] for ref in without_canary(found, stable="web", canary="web-canary")[0]["backendRefs"]] == weights
