"""A workload that was recreated, or a folder that was restored elsewhere, belongs to whom a release acted for there, whatever its UID."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, Unreachable
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.places import FOLDER, Kept, keep_place
from blocks.kubernetes.platform import KubernetesPlatform
from tasks.approval import kept_places, protection
from tasks.approval.kept_places import block_kept_for
from tasks.approval.protection import is_anothers, keep_way, own_environment
from tasks.rules.plan.targets import place_of
from tests.tasks.approval.test_things import plan_for

SERVERS = {"": "https://one:6443", "alias": "https://10.0.0.1:6443", "elsewhere": "https://two:6443", "proxied": "https://one:6443"}


class Clusters:
    """What the workloads `shop/web` are, by the context that leads to them; an error for what does not answer."""

    def __init__(self) -> None:
        """Let two contexts lead to one cluster, and two to one address."""
        self.said: dict[str, str | Exception] = {"": "u-1", "alias": "u-1", "elsewhere": "u-2", "proxied": "u-3"}

    def recreate(self) -> None:
        """Delete the workload and apply it again."""
        self.said |= {"": "u-9", "alias": "u-9"}


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


@pytest.fixture
def clusters(monkeypatch: pytest.MonkeyPatch) -> Clusters:
    """Let platforms ask these."""
    found = Clusters()

    async def identity(platform: KubernetesPlatform) -> str:
        if isinstance(said := found.said[platform.context], Exception):
            raise said
        return f"kubernetes {said} of {platform.namespace}/{platform.kind}/{platform.workload}"

    async def server(platform: KubernetesPlatform) -> str:
        return SERVERS[platform.context]

    async def nothing(_: KubernetesPlatform) -> dict[str, str]:
        return {}

    for name, way in {"identity": identity, "touches": nothing}.items():
        monkeypatch.setattr(KubernetesPlatform, name, way)
    monkeypatch.setattr(kept_places, "_server", server)
    return found


def web(**fields: Any) -> KubernetesPlatform:
    """Name the workload."""
    return KubernetesPlatform(**{"namespace": "shop", "workload": "web", **fields})


async def release(environment: str, platform: Any, *, service: str = "shop") -> None:
    """Do what a release does before its first effect."""
    plan = plan_for(service)
    place = place_of(plan, environment)
    await own_environment.fn(plan, place, platform, claims=True)
    await keep_way.fn(place, platform)


@pytest.mark.parametrize(
    ("staging", "is_refused"),
    [
        ({}, True),
        ({"context": "alias"}, True),
        ({"strategy": "canary", "image": "evil/{version}"}, True),
        ({"context": "elsewhere"}, False),
        ({"context": "proxied"}, False),
        ({"namespace": "staging"}, False),
        ({"workload": "web-staging"}, False),
        ({"kind": "StatefulSet"}, False),
    ],
    ids=lambda value: "+".join(map(str, value.values())) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("service", ["shop", "eve"])
async def test_a_recreated_workload_is_whose_block_led_there(
    clusters: Clusters, staging: dict[str, str], service: str, *, is_refused: bool
) -> None:
    """Its new UID has no owner yet, and no one approves what goes to a staging."""
    await release("production", web())
    clusters.recreate()
    with pytest.raises(Refused, match="production of the service shop") if is_refused else nullcontext():
        await release("staging", web(**staging), service=service)
    await release("production", web())


@pytest.mark.parametrize(("context", "is_refused"), [("", True), ("alias", False), ("elsewhere", False), ("proxied", True)])
async def test_if_what_is_kept_does_not_answer_the_address_counts(clusters: Clusters, context: str, *, is_refused: bool) -> None:
    """The kept token has expired, say: then the same names at the same address are taken for the same workload."""
    await release("production", web())
    clusters.said |= {"": Unreachable("no answer"), "alias": "u-9"}
    here = web(context=context)
    if not context:  # the block's own token serves
        here = web(context="proxied")
    with pytest.raises(Refused, match="production of the service shop") if is_refused else nullcontext():
        await release("staging", here)


async def test_what_cannot_be_compared_is_taken_for_the_same(clusters: Clusters, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data is not a pass; the message names the file that the platform team may remove."""
    await release("production", web())
    clusters.recreate()

    def unusable(*_: Any) -> Any:
        raise BadInput("it is gone", field="kubeconfig", fix="x")

    monkeypatch.setattr(kept_places, "_as_kept", unusable)
    with pytest.raises(Refused, match=r"owners/kubernetes_shop-production\.json"):
        await release("staging", web(context="elsewhere"))


async def test_a_renamed_block_goes_on(clusters: Clusters) -> None:
    """The same service and section."""
    await release("production", web())
    clusters.recreate()
    plan = plan_for("shop")
    renamed = place_of(
        plan.model_copy(update={"production": plan.production.model_copy(update={"platform": "kubernetes/new"})}), "production"
    )
    await own_environment.fn(plan, renamed, web(), claims=True)


@pytest.mark.parametrize("kind", ["local", "script", "script-hosts"])
@pytest.mark.parametrize(("folder", "is_refused"), [("/srv/shop", True), ("/srv/other", False)], ids=["the folder", "another folder"])
async def test_a_folder_is_whose_block_led_there_on_whatever_machine(folder: str, kind: str, *, is_refused: bool) -> None:
    """The key was restored on another one."""

    class Local:
        def __init__(self, machine: str, folder: str) -> None:
            self.said = f"{kind} {machine} {folder}"

        async def identity(self) -> str:
            return self.said

    plan = plan_for("shop")
    for environment in ("staging", "production"):
        object.__setattr__(getattr(plan, environment), "platform", f"{kind}/{environment}")
    production = place_of(plan, "production")
    first: Any = Local("m-1", "/srv/shop")
    await own_environment.fn(plan, production, first, claims=True)
    await keep_way.fn(production, first)
    second: Any = Local("m-2", folder)
    with pytest.raises(Refused, match="production of the service shop") if is_refused else nullcontext():
        await own_environment.fn(plan, place_of(plan, "staging"), second, claims=False)


@pytest.mark.usefixtures("clusters")
async def test_places_of_an_earlier_key_hold_no_release_up_and_unsafe_ones_do() -> None:
    """A new key makes them all unreadable, and each release would wait for the others' files."""
    await release("production", web())
    path = kept_path(FOLDER, "kubernetes/shop-production")
    path.write_bytes(b"of another key")
    await release("staging", web(context="elsewhere"))
    path.chmod(0o666)
    with pytest.raises(Refused, match="places"):
        await release("staging", web(context="elsewhere"))


async def test_a_rollback_through_a_block_that_was_never_released_by_does_not_reach_it(clusters: Clusters) -> None:
    """And a file that cannot be read refuses no rollback."""
    await release("production", web())
    clusters.recreate()
    plan = plan_for("shop")
    place = place_of(plan, "staging")
    assert "production of the service shop" in await is_anothers(plan, place, web())
    assert await is_anothers(plan, place, web(context="elsewhere")) == ""
    kept_path(FOLDER, "kubernetes/shop-production").chmod(0o666)
    assert await is_anothers(plan, place, web()) == ""
    assert protection.owner_file("kubernetes/shop-production").exists()


SHOP, FRESH = "kubernetes/shop-production", "kubernetes/fresh"
GONE = Unreachable("no answer")


@pytest.mark.parametrize(
    ("block", "said", "found"),
    [
        ({"image": "evil/{version}"}, {}, SHOP),
        ({"context": "alias", "image": "evil/{version}"}, {}, SHOP),
        ({"context": "alias"}, {"": "u-9", "alias": "u-9"}, SHOP),
        ({"context": "alias"}, {"": GONE}, SHOP),
        ({"context": "alias"}, {"": GONE, "alias": "u-9"}, ""),
        ({"context": "alias"}, {"alias": GONE}, ""),
        ({"context": "elsewhere"}, {}, ""),
        ({"context": "proxied"}, {"": GONE}, ""),
        ({"workload": "other"}, {}, ""),
    ],
    ids=["evil image", "another address", "recreated", "moved", "perhaps recreated", "silent", "elsewhere", "same address", "other"],
)
async def test_a_renamed_block_is_known_by_what_it_leads_to(
    clusters: Clusters, block: dict[str, str], said: dict[str, Any], found: str
) -> None:
    """A rollback goes by what was kept of it; what cannot be compared must not send it elsewhere."""
    await release("production", web())
    clusters.said |= said
    assert await block_kept_for(FRESH, web(**block)) == found


async def test_of_several_names_the_last_that_a_release_acted_through_counts(clusters: Clusters) -> None:
    """And a block that was pointed elsewhere since then says nothing, whatever the owner's file of the workload says."""
    del clusters
    for number, name in enumerate(("kubernetes/old", "kubernetes/new", "kubernetes/older")):
        keep_place(name, Kept("kubernetes u-1 of shop/Deployment/web", {name: {}}))
        os.utime(kept_path(FOLDER, name), (0, [2, 3, 1][number]))
    assert await block_kept_for(FRESH, web()) == "kubernetes/new"
    keep_place("kubernetes/new", Kept("kubernetes u-2 of shop/Deployment/web", {}))
    assert await block_kept_for(FRESH, web()) == "kubernetes/old"
    kept_path(FOLDER, "kubernetes/older").chmod(0o666)
    assert await block_kept_for(FRESH, web()) == "", "a file that others could write refuses no rollback"
