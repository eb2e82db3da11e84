"""No field of a Kubernetes platform block that is edited after a release changes the platform on which its rollback acts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr

from blocks.errors import BadInput, refusing
from blocks.key_folder.places import Kept, keep_place, whole_settings
from blocks.kubernetes.platform import KubernetesPlatform
from tasks.approval import protection
from tasks.rollout import as_deployed
from tasks.rollout.as_deployed import Answer, load_platform_to_roll_back

NAME = "kubernetes/shop"


def kubeconfig(server: str, token: str = "t") -> SecretStr:  # noqa: S107 - of no server
    """Write one that leads to a server."""
    return SecretStr(
        json.dumps({"clusters": [{"name": "c", "cluster": {"server": server}}], "users": [{"name": "u", "user": {"token": token}}]})
    )


RELEASED = KubernetesPlatform(
    config=kubeconfig("https://one"),
    namespace="shop",
    workload="web",
    strategy="canary",
    service="web",
    route="web",
    url="https://shop.example",
)
EDITS: dict[str, Any] = {
    "kubeconfig": "/tmp/evil",  # noqa: S108 - never made
    "context": "evil",
    "config": kubeconfig("https://evil"),
    "credentials": "kubernetes-credentials/evil",
    "namespace": "evil",
    "workload": "evil",
    "kind": "StatefulSet",
    "container": "sidecar",
    "image": "evil:{version}",
    "strategy": "blue-green",
    "service": "other",
    "route": "",
    "port": 1,
    "url": "https://evil.example",
    "gateway_metrics": "https://evil.example/metrics",
    "bad_status": "9..",
    "force_conflicts": True,
    "drain_seconds": 3_600,
    "config_by_hash": False,
    "config_ignore": ["Secret/web"],
    "scheduling_seconds": 0,
    "unready_seconds": 0,
    "rollout_timeout_seconds": 0.001,
}


def test_every_field_is_edited_here() -> None:
    """A field that is added to the block is added to the edits."""
    own = set(KubernetesPlatform.model_fields) - set(Block.model_fields)
    assert own == set(EDITS)


@pytest.mark.slow
@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize("field", EDITS)
async def test_an_edit_changes_nothing_for_the_rollback(field: str, monkeypatch: pytest.MonkeyPatch, *, answers: bool) -> None:
    """Neither where the requests return from, nor how long it waits; nor if nothing answers there for now."""
    keep_place(NAME, Kept("kubernetes 1", await protection._whole(NAME, RELEASED)))
    edited = RELEASED.model_copy(update={field: EDITS[field]})

    async def load(_: str) -> Block:
        return edited

    async def answer(_: Any) -> Answer:
        return Answer() if answers else Answer("refused", is_refused=True)

    async def credentials(_: str) -> str:
        return kubeconfig("https://evil").get_secret_value()

    monkeypatch.setattr(as_deployed, "present_block", load)
    monkeypatch.setattr(as_deployed, "_answers", answer)
    monkeypatch.setattr(as_deployed, "present_kubeconfig", credentials)
    found = await load_platform_to_roll_back(NAME, field="production.platform")
    assert whole_settings(found) == whole_settings(RELEASED)


async def test_a_cluster_is_asked_whether_the_token_of_the_release_still_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was rotated is replaced by the one that the block has now, which goes to the same server."""
    keep_place(NAME, Kept("kubernetes 1", await protection._whole(NAME, RELEASED)))
    asked: list[str] = []

    async def load(_: str) -> Block:
        return RELEASED.model_copy(update={"config": kubeconfig("https://evil", "new")})

    async def current(block: KubernetesPlatform) -> dict[str, str]:
        asked.append(block.config.get_secret_value())
        if block.config == kubeconfig("https://one"):
            raise refusing(BadInput("the API server does not accept the credentials", field="config", fix="Renew them"))
        return {"trouble": "its state was changed from outside"}  # which its token is not to blame for

    monkeypatch.setattr(as_deployed, "present_block", load)
    monkeypatch.setattr(KubernetesPlatform, "current", current)
    found: Any = await load_platform_to_roll_back(NAME, field="production.platform")
    assert found.config == kubeconfig("https://one", "new")
    assert asked == [kubeconfig("https://one", token).get_secret_value() for token in ("t", "new", "t")]
