"""A version that does not come up: the record keeps what the platform collected about it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import RolloutFailed
from flows.rollout.prepare import prepare
from tests.tasks.fake_platform import OURS, FakePlatform


async def test_what_a_platform_collects_about_a_version_that_does_not_come_up_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message alone has three lines of its log; the entry has all of them, and the error goes on."""
    appended: list[dict[str, Any]] = []

    async def append(what: str, **fields: Any) -> None:
        appended.append({"what": what, **fields})

    phase: Any = SimpleNamespace(key=lambda name: f"run/{name}", append=append)
    platform = FakePlatform(canary=None)
    platform.broken.add("1.1")
    monkeypatch.setattr("flows.rollout.prepare.named", lambda task, _title: task.fn)
    with pytest.raises(RolloutFailed):
        await prepare(
            phase, platform, "1.1", environment="production/eu", lease=OURS, timeout_seconds=1, title="prepare", key="production/eu/prepare"
        )
    (entry,) = appended
    assert (entry["what"], entry["environment"]) == ("1.1 does not come up in production/eu", "production/eu")
    assert entry["evidence"] == {"outcome": "failed", "log": ["exited with status 1"]}
