"""What pods use, out of the cluster's quantities."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.kubernetes.observe.usage import in_words, quantity, usage_of


@pytest.mark.parametrize(
    ("text", "value"),
    [("250m", 0.25), ("1.5", 1.5), ("2", 2), ("64Mi", 64 * 2**20), ("1Gi", 2**30), ("2k", 2000), ("3e3", 3000), ("1E", 10**18)],
)
def test_quantities_are_read_with_their_suffixes(text: str, value: float) -> None:
    """Decimal and binary suffixes, exponents and bare numbers mean what the API means by them."""
    assert float(quantity(text) or 0) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", None, "many", "Mi", "NaN"])
def test_what_is_not_a_quantity_is_left_out(text: object) -> None:
    """Nothing is made up of what cannot be read."""
    assert quantity(text) is None


def pod(**status: Any) -> dict[str, Any]:
    """Make a pod of one container with resources."""
    resources = {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}}
    return {
        "metadata": {"name": "web-1"},
        "spec": {"containers": [{"name": "web", "resources": resources}]},
        "status": {"containerStatuses": [{"name": "web", **status}]},
    }


def test_asked_used_and_restarts_of_a_container_stand_together() -> None:
    """The line has what it uses of what it may, and why it ended last."""
    measured = [{"metadata": {"name": "web-1"}, "containers": [{"name": "web", "usage": {"cpu": "125000000n", "memory": "48Mi"}}]}]
    (found,) = usage_of([pod(restartCount=2, lastState={"terminated": {"reason": "OOMKilled"}})], measured)
    assert found == {
        "pod": "web-1",
        "container": "web",
        "restarts": 2,
        "last_exit": "OOMKilled",
        "cpu_request": 0.1,
        "memory_request": 32 * 2**20,
        "memory_limit": 64 * 2**20,
        "cpu_used": 0.125,
        "memory_used": 48 * 2**20,
    }
    assert in_words(found) == "web-1/web: 2 restarts (last: OOMKilled), CPU 0.125 cores, memory 48 of 64 MiB"


def test_without_measurements_the_manifest_and_the_restarts_remain() -> None:
    """A cluster without a metrics server still says what was asked for."""
    (found,) = usage_of([pod()], [])
    assert "cpu_used" not in found
    assert in_words(found) == "web-1/web: 0 restarts"
