"""A release keeps the platforms that it loaded for a minute, and acts in production on those that were approved."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from blocks.local.platform import LocalPlatform
from flows.lifecycle import context
from flows.lifecycle.acting import acting_for
from flows.lifecycle.context import platform_of
from tasks.rules.plan.plan import Plan
from tests.flows.harness import plan_of

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]


async def saved(name: str, folder: Path, *, drain_seconds: float) -> None:
    """Save production's block with a setting to know it by."""
    block = LocalPlatform(service=name, command=["true"], folder=str(folder), drain_seconds=drain_seconds)
    await block.save(f"{name}-production", overwrite=True)


@pytest.mark.slow
async def test_a_platform_is_kept_for_a_minute_and_read_anew_before_production_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block that someone changed since is seen at once where it counts, and soon everywhere else."""
    name = f"kept-{secrets.token_hex(4)}"
    plan = Plan.model_validate(plan_of(name))

    async def drain(*, anew: bool = False) -> float:
        platform = await platform_of(plan, "production", anew=anew)
        assert isinstance(platform, LocalPlatform)
        return platform.drain_seconds

    await saved(name, tmp_path, drain_seconds=1)
    with acting_for("a run"):
        assert await drain() == 1
        await saved(name, tmp_path, drain_seconds=2)
        assert await drain() == 1
        assert await drain(anew=True) == 2
        assert await drain() == 2
        monkeypatch.setattr(context, "KEPT_SECONDS", -1)
        assert await drain(anew=True) == 2
        await saved(name, tmp_path, drain_seconds=3)
        assert await drain() == 3
    assert await drain() == 3
