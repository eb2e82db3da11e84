"""A GitOps platform is made of the blocks that its settings name, and what was approved covers each of them."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.errors import BadInput
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from blocks.gitops.argocd import ArgoCDApplication
from blocks.gitops.gitops import FileEdit, GitOps, Weight
from blocks.kubernetes.platform import KubernetesPlatform
from blocks.platform import (
    Composed,
    Editing,
    Identified,
    Informed,
    Labelled,
    Platform,
    Previewing,
    RollsBack,
    RunsJobs,
    Strategic,
)
from blocks.prometheus.prometheus import Prometheus
from blocks.touching import Touching
from tasks.evidence.settings import settings_fingerprint
from tasks.gitops.compose import compose
from tasks.gitops.platform import GitOpsPlatform

NAMED: dict[str, Any] = {"git": "git/shop", "engine": "argocd-application/shop", "platform": "kubernetes/shop"}
SETTINGS: dict[str, Any] = {**NAMED, "edits": [FileEdit(file="values.yaml", path="image.tag")]}
WEIGHTS: dict[str, Any] = {
    "mode": "weights",
    "canary_edits": [FileEdit(file="canary.yaml", path="image.tag")],
    "weights": [Weight(file="route.yaml", path="a", of="baseline"), Weight(file="route.yaml", path="b", of="canary")],
}
REQUESTS = PullRequests(forge="github", repository="shop/deploy", merge=True)
BLOCKS: dict[str, Block] = {
    "git/shop": Git(remote="https://git.example.com/shop.git", token=SecretStr("t0ken")),
    "argocd-application/shop": ArgoCDApplication(application="shop"),
    "kubernetes/shop": KubernetesPlatform(workload="shop"),
    "prometheus/shop": Prometheus(),
}


async def composed(blocks: dict[str, Block] | None = None, **settings: Any) -> GitOpsPlatform:
    """Compose one."""
    there = {**BLOCKS, **(blocks or {})}

    async def load(name: str, field: str) -> Block:
        if name not in there:
            raise BadInput(f"the block {name} does not exist", field=field, fix="Create it.")
        return there[name]

    return await compose(GitOps(**{**SETTINGS, **settings}), name="gitops/shop", load=load)


async def test_it_has_the_methods_of_a_platform_and_those_that_flows_ask_for() -> None:
    """It has no strategies to choose from: there is one commit."""
    platform = await composed()
    for protocol in (Platform, Composed, Editing, Identified, Informed, Labelled, Previewing, RollsBack, RunsJobs, Touching):
        assert isinstance(platform, protocol)
    assert not isinstance(platform, Strategic)
    assert platform.strategy == "rolling"


async def test_it_touches_its_application_its_values_in_git_and_what_its_workload_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two environments, or two services, share none of these."""

    async def service(_: KubernetesPlatform) -> dict[str, str]:
        return {"the Service default/shop": "kubernetes Service u-1"}

    async def application(_: ArgoCDApplication) -> str:
        return "argocd u-2"

    monkeypatch.setattr(KubernetesPlatform, "touches", service)
    monkeypatch.setattr(ArgoCDApplication, "identity", application)
    found = await (await composed()).touches()
    assert found.pop("the Service default/shop") == "kubernetes Service u-1"
    assert found.pop("the Application of argocd-application/shop") == "argocd u-2"
    assert found.pop("the file values.yaml in git.example.com/shop") == "git file git.example.com/shop main values.yaml"
    assert [one.startswith("git git.example.com/shop main values.yaml ") for one in found.values()] == [True]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"git": "git/other"}, "gitops/shop.git: the block git/other does not exist"),
        ({"engine": "prometheus/shop"}, "gitops/shop.engine: the block prometheus/shop deploys nothing from Git. Name a block"),
        ({"edits": [FileEdit(file="values.yaml", path="image..tag")]}, r"edits\[0\].path: `image..tag` is not a path"),
        (
            {**WEIGHTS, "weights": [Weight(file="r.yaml", path=path, of=of) for path, of in (("a", "baseline"), ("b.", "canary"))]},
            r"weights\[1\].path: `b.` is not a path",
        ),
        (WEIGHTS, "gitops/shop.platform: `mode: weights` needs an HTTPRoute and a Deployment. Give kubernetes/shop the field `route`"),
    ],
)
async def test_what_cannot_be_composed_names_field_and_fix(settings: dict[str, Any], said: str) -> None:
    """Before anything is fetched."""
    with pytest.raises(BadInput, match=said):
        await composed(**settings)


async def test_weights_in_git_make_a_canary_and_take_no_pull_requests() -> None:
    """Each share is a commit of its own; a rollback to an earlier version is one, and the workload's own rollout."""
    routed = {"kubernetes/shop": KubernetesPlatform(workload="shop", route="shop")}
    platform = await composed(routed, **WEIGHTS)
    assert (platform.strategy, platform.rolling_back().strategy) == ("canary", "rolling")
    others = [{"canary_workload": "other"}, {"canary_edits": [FileEdit(file="other.yaml", path="image.tag")]}]
    prints = {settings_fingerprint(await composed(routed, **{**WEIGHTS, **one})) for one in others}
    assert len({settings_fingerprint(platform), *prints}) == 3
    remote = {"git/shop": Git(remote="https://git.example.com/shop.git", token=SecretStr("t0ken"), pull_requests=REQUESTS)}
    with pytest.raises(BadInput, match=r"gitops/shop.git: each share is a commit of its own, .* leave `pull_requests` out of git/shop"):
        await composed({**routed, **remote}, **WEIGHTS)


@pytest.mark.parametrize(
    ("name", "block"),
    [
        ("git/shop", Git(remote="https://git.example.com/evil.git", token=SecretStr("t0ken"))),
        ("git/shop", Git(remote="https://git.example.com/shop.git", token=SecretStr("other"))),
        ("git/shop", Git(remote="https://git.example.com/shop.git", token=SecretStr("t0ken"), pull_requests=REQUESTS)),
        ("argocd-application/shop", ArgoCDApplication(application="evil")),
        ("kubernetes/shop", KubernetesPlatform(workload="evil")),
    ],
)
async def test_another_value_of_a_named_block_is_another_fingerprint(name: str, block: Block) -> None:
    """Whoever can edit a block that is only named cannot have another thing deployed than what was approved."""
    approved = settings_fingerprint(await composed())
    assert settings_fingerprint(await composed()) == approved
    assert settings_fingerprint(await composed({name: block})) != approved


async def test_another_value_of_its_own_is_another_fingerprint() -> None:
    """Each of its fields."""
    approved = settings_fingerprint(await composed())
    others: list[dict[str, Any]] = [
        {"drift": "tolerate"},
        {"without_git": "accept"},
        {"sync_timeout_seconds": 5},
        {"edits": [FileEdit(file="values.yaml", path="image.tag", value="v{version}")]},
    ]
    assert len({approved, *[settings_fingerprint(await composed(**one)) for one in others]}) == 1 + len(others)
