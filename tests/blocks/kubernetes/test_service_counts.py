"""Counts of a workload's Services: by version if each has its own, else of all requests while one version serves alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.kubernetes import platform as module
from blocks.kubernetes.platform import KubernetesPlatform, Strategy
from blocks.kubernetes.routing import service_counts
from blocks.kubernetes.routing.gateway_metrics import Backend


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Backend]]:
    """Give what the gateway was asked for; the canary of the workload is the one of `serving`."""
    found: list[dict[str, Backend]] = []

    async def read(url: str, backends: dict[str, Backend], *, bad_status: str) -> Any:
        assert (url, bad_status) == ("http://gateway/metrics", "5..")
        found.append(backends)
        return {version: {"requests": 1} for version in backends}

    async def port(target: Any) -> int:
        del target
        return 80

    monkeypatch.setattr(service_counts, "read_counts", read)
    monkeypatch.setattr(service_counts, "routed_port", port)
    return found


def serving(monkeypatch: pytest.MonkeyPatch, canary: str | None, *, strategy: Strategy, **fields: Any) -> KubernetesPlatform:
    """Give a platform whose workload runs 1.0, and this canary beside it."""

    async def target(self: Any) -> Any:
        del self
        return SimpleNamespace(service="web", canary_backend="web-canary", cluster=SimpleNamespace(namespace="shop"))

    async def look(self: Any, target: Any) -> Any:
        del self, target
        return SimpleNamespace(versions=lambda _target: ("1.0", canary))

    monkeypatch.setattr(module.KubernetesPlatform, "target", target)
    monkeypatch.setattr(module.KubernetesPlatform, "_look", look)
    gateway = {"gateway_metrics": "http://gateway/metrics", "route": "web", **fields}
    return KubernetesPlatform(namespace="shop", workload="web", image="web", strategy=strategy, **gateway)


@pytest.mark.parametrize("strategy", ["rolling", "blue-green"])
async def test_one_service_is_counted_while_one_version_serves_alone(
    asked: list[dict[str, Backend]], monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    """Under that version; by version there is nothing to tell, so no watch takes one for the other."""
    platform = serving(monkeypatch, None, strategy=strategy)
    assert await platform.counts_of_all() == {"1.0": {"requests": 1}}
    assert asked == [{"1.0": Backend("web", "shop", 80)}]
    assert await platform.counts() == {}
    assert await serving(monkeypatch, "1.1", strategy=strategy).counts_of_all() == {}


async def test_a_canary_by_weights_is_counted_by_version(asked: list[dict[str, Backend]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version has a Service."""
    platform = serving(monkeypatch, "1.1", strategy="canary")
    assert set(await platform.counts()) == {"1.0", "1.1"}
    assert asked == [{"1.0": Backend("web", "shop", 80), "1.1": Backend("web-canary", "shop", 80)}]


@pytest.mark.parametrize("missing", ["gateway_metrics", "route"])
async def test_nothing_is_counted_without_a_gateway(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """Nothing is asked."""
    platform = serving(monkeypatch, None, strategy="rolling", **{missing: ""})
    assert (await platform.counts_of_all(), await platform.counts()) == ({}, {})
