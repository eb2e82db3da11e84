"""The documented Role against a real API server: it suffices for every strategy, and what it does not allow is said clearly."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import httpx
import pytest
import trustme

from blocks.errors import BadInput, RolloutFailed
from blocks.kubernetes.api import port_forward
from blocks.kubernetes.api.auth import Access, connect
from blocks.kubernetes.api.client import APPLY, Cluster
from blocks.kubernetes.api.port_forward import forward
from blocks.kubernetes.api.watch import Source, watch_until
from blocks.kubernetes.observe.usage import read_usage
from blocks.kubernetes.platform import KubernetesPlatform
from tests.cluster.accounts import account, account_config, kubeconfig, token
from tests.cluster.cluster_world import PORT, Gateway, World, deployment, http_route, service

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(150)]


def limited(world: World, config: str) -> Cluster:
    """Return the client of an account."""
    return Cluster(connect(Access(config=config)), world.namespace)


async def limited_platform(world: World, *, config: str = "", **settings: Any) -> KubernetesPlatform:
    """Return the platform of podinfo, as the account with the documented Role."""
    config = config or await account_config(world)
    return KubernetesPlatform(
        config=config, namespace=world.namespace, workload="podinfo", force_conflicts=True, drain_seconds=1, **settings
    )


async def release(platform: KubernetesPlatform, share: int) -> None:
    """Bring 6.9.1 half way and back, then all the way, and look at everything on the way."""
    await platform.current()
    lease = await platform.acquire_lease("run")
    await platform.prepare("6.9.1", lease, timeout_seconds=60)
    await platform.shift(share, lease)
    async with httpx.AsyncClient(trust_env=False) as client:
        for url in (await platform.endpoints()).values():
            assert (await client.get(f"{url}/healthz")).status_code == 200
    await platform.abort(lease)
    await platform.prepare("6.9.1", lease, timeout_seconds=60)
    await platform.shift(100, lease)
    await asyncio.gather(platform.progress(), platform.logs(time.time() - 60, lambda _: None), platform.labels(), platform.counts())
    await platform.promote(lease)
    await platform.release_lease(lease)
    assert (await platform.current())["baseline"] == "6.9.1"
    await port_forward.close()


@pytest.mark.parametrize("strategy", ["rolling", "canary", "blue-green"])
async def test_the_role_suffices_for_a_release_and_its_rollback(world: World, strategy: str) -> None:
    """Every call of a release, with private access, logs and events, is within the documented Role."""
    await world.podinfo(replicas=2)
    await release(await limited_platform(world, strategy=strategy), 50 if strategy == "canary" else 100)
    events = await world.cluster.list("Event", fields="involvedObject.name=podinfo")
    assert {"ShipwayPrepare", "ShipwayShift", "ShipwayPromote"} <= {one["reason"] for one in events}


async def test_the_role_suffices_for_a_canary_by_weights(world: World, gateway: Gateway) -> None:
    """The route's weights may be changed, though the route itself may not be made."""
    await world.podinfo(replicas=2)
    url = await world.route(gateway)
    await release(await limited_platform(world, strategy="canary", route="podinfo", url=url), 50)


async def test_the_role_suffices_for_a_stateful_set(world: World) -> None:
    """A rolling update by partition, there, back and to the end."""
    manifest = deployment("podinfo", "6.9.0", replicas=2)
    await world.apply(service("podinfo"), {**manifest, "kind": "StatefulSet", "spec": {**manifest["spec"], "serviceName": "podinfo"}})
    await world.rolled_out(kind="StatefulSet")
    await release(await limited_platform(world, kind="StatefulSet", strategy="rolling"), 100)


async def test_the_role_suffices_to_preview_a_release_with_configuration(world: World) -> None:
    """The dry run, and the hash of a ConfigMap and a Secret; without `config_by_hash` their rule may be left out of the Role."""
    await world.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "web"}, "data": {"COLOUR": "blue"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web"}, "stringData": {"WORD": "very-secret"}},
    )
    sources = [{"configMapRef": {"name": "web"}}, {"secretRef": {"name": "web"}}]
    template = deployment("podinfo", "6.9.0")["spec"]["template"]
    template["spec"]["containers"][0]["envFrom"] = sources
    await world.podinfo(change={"template": template})
    seen = await (await limited_platform(world, strategy="rolling")).preview("6.9.1")
    assert any("6.9.1" in line for line in seen["changes"])
    assert not any("very-secret" in line for lines in (seen["changes"], seen["drift"]) for line in lines)
    unread = await account_config(world, without="secrets")
    await release(await limited_platform(world, config=unread, strategy="rolling", config_by_hash=False), 100)


async def test_an_action_outside_the_role_names_the_rule_to_add(world: World, gateway: Gateway) -> None:
    """Who may not do what is one sentence, and the rule in it can be copied into the Role."""
    cluster = limited(world, await account_config(world))
    route = http_route(gateway, "new", path="/new", backends={"podinfo": 1})
    with pytest.raises(BadInput) as caught:
        await cluster.patch("HTTPRoute", "new", route, content_type=APPLY)
    assert f"system:serviceaccount:{world.namespace}:shipway may not create httproutes" in str(caught.value)
    assert '{apiGroups: ["gateway.networking.k8s.io"], resources: ["httproutes"], verbs: ["create"]}' in str(caught.value)
    assert "docs/kubernetes-role.yaml" in str(caught.value)
    with pytest.raises(BadInput, match="may not list secrets"):
        await cluster.call("GET", f"/api/v1/namespaces/{world.namespace}/secrets")


async def test_a_watch_outside_the_role_ends_at_once_with_the_rule(world: World) -> None:
    """A watch that is refused does not go on trying until its time is up."""
    cluster = limited(world, await account_config(world, without="services"))
    with pytest.raises(BadInput, match="may not list services"):
        await watch_until(cluster, [Source("services", "Service")], lambda _: True, timeout_seconds=20)


async def test_private_access_without_the_right_is_refused_before_anybody_connects(world: World) -> None:
    """The rule for port forwarding is named where the address is asked for."""
    cluster = limited(world, await account_config(world, without="pods/portforward"))
    with pytest.raises(BadInput, match=r"pods/portforward.*create.*get"):
        await forward(cluster, selector="app=podinfo", port=PORT)


async def test_usage_without_its_optional_right_is_left_out(world: World) -> None:
    """Neither a missing metrics server nor a missing right fails a release."""
    await world.podinfo()
    cluster = limited(world, await account_config(world, without="secrets"))
    assert (await read_usage(cluster, await cluster.list("Pod"), selector="app=podinfo"))[0]["restarts"] == 0


async def test_a_token_that_is_not_valid_any_more_is_named_as_such(world: World) -> None:
    """401 says that the token is the trouble, in calls and in watches, and never shows it."""
    await world.apply(account())
    secret = await token(world)
    await world.remove(account())
    cluster = limited(world, kubeconfig(world, secret))
    for ask in (
        cluster.read("Deployment", "podinfo"),
        watch_until(cluster, [Source("pods", "Pod")], lambda _: True, timeout_seconds=20),
        forward(cluster, selector="app=podinfo", port=PORT),
    ):
        with pytest.raises(BadInput, match="still valid") as caught:
            await ask
        assert secret not in str(caught.value)


async def test_a_server_of_another_authority_is_not_tried_again_and_again(world: World) -> None:
    """A wrong certificate authority is a fault of the kubeconfig, named at the first request."""
    config = json.loads(kubeconfig(world, "token"))
    config["clusters"][0]["cluster"] = {
        "server": world.cluster.host,
        "certificate-authority-data": base64.b64encode(trustme.CA().cert_pem.bytes()).decode(),
    }
    with pytest.raises(BadInput, match="certificate authority of this cluster"):
        await limited(world, json.dumps(config)).read("Deployment", "podinfo")


async def test_what_a_policy_of_the_cluster_forbids_is_quoted(world: World) -> None:
    """A ValidatingAdmissionPolicy's message is the reason, and no right is asked for."""
    name = world.namespace
    admission = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.spec.replicas < 5", "message": "at most four pods here"}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    policy = {"apiVersion": admission, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec}
    binding_spec = {"policyName": name, "validationActions": ["Deny"], "matchResources": here}
    binding = {"apiVersion": admission, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": binding_spec}
    await world.podinfo(ready=False)
    await world.apply(policy, binding)

    async def scale_until_refused() -> None:
        async with asyncio.timeout(30):
            while True:  # the API server takes a policy in when it gets to it
                await world.merge("Deployment", "podinfo", {"spec": {"replicas": 5}})
                await world.merge("Deployment", "podinfo", {"spec": {"replicas": 1}})

    try:
        with pytest.raises(RolloutFailed, match=r"admission rejects it.*at most four pods here"):
            await scale_until_refused()
    finally:
        await world.remove(binding)
        await world.remove(policy)
