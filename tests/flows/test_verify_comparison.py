"""Verification finds the version that serves beside the one that is verified, and compares with it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.harness import FIRST, Stage, plan_of

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

TIMES = {
    "name": "times",
    "kind": "performance",
    "steps": [{"path": "/", "expect": {"contains": "{version}", "within_seconds": 5}}],
    "performance": {"quantile": 0.5, "repeats": 10, "max_ratio": 1, "slack_seconds": 0.1},
}


async def verified(stage: Stage, version: str) -> Any:
    """Verify production with one performance test, and give the state in which the run ends."""
    from flows.verify import verify  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    verification = plan_of(stage.name)["verification"] | {"smoke": [TIMES]}
    return await verify(stage.plan(verification=verification), environment="production", version=version, return_state=True)  # type: ignore[call-overload, misc]


@pytest.mark.faults
async def test_a_canary_is_compared_with_what_serves_and_nothing_with_itself(stage: Stage) -> None:
    """Slower than the version beside it fails; the same version alone, within its limit, passes."""
    version, platform = "7.1-sluggish", stage.platform("production")
    lease = await platform.acquire_lease("test", takeover=True)
    await platform.prepare(version, lease, timeout_seconds=30)
    beside = await verified(stage, version)
    assert beside.name == "Failed"
    assert "p50 of 10:" in beside.message
    assert f"of {FIRST}; at most" in beside.message
    assert (await verified(stage, FIRST)).name == "Passed"
    await platform.promote(lease)
    assert (await verified(stage, version)).name == "Passed"
