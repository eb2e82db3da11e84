"""An API server that says another identity in the middle of a release: the release fails, and records what its owner was looked at for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Temporary, WorldMoved
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.places import read_place
from flows.lifecycle import context
from flows.lifecycle.acting import acting_for, seen_in
from flows.lifecycle.context import Phase, expect_may_go_forward
from flows.rollout import migrations
from flows.rollout.migrations import promoted_here, read_as_seen
from tasks.approval.protection import keep_way
from tasks.rules.plan.targets import place_of
from tests.rules.policy.test_rules import plan_of

RUN = "11111111-2222-3333-4444-555555555555"
OWN, OTHERS = "kubernetes u-eve", "kubernetes u-production"


class Lying:
    """A platform that says what its API server says."""

    said: Any = OWN

    async def identity(self) -> str:
        """Say what it points to."""
        if isinstance(self.said, Exception):
            raise self.said
        return str(self.said)


@pytest.fixture
def phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Phase:
    """Give a release that may go forward."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())

    async def nothing(*_: Any, **__: Any) -> None:
        """Do nothing."""

    for name in ("check_not_stopped", "expect_policies_kept", "check_source"):
        monkeypatch.setattr(context, name, nothing)
    for module in (context, migrations):
        monkeypatch.setattr(module, "retried", lambda task: task.fn if hasattr(task, "fn") else task)
    taken: Any = None
    return Phase(RUN, 1, RUN, plan_of(), "shipway.yaml", ".", taken)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no beats be written."""
    monkeypatch.setattr("flows.lifecycle.acting.shows_life", lambda _: nullcontext())


@pytest.mark.usefixtures("quiet")
async def test_what_is_recorded_is_what_the_owner_was_looked_at_for(phase: Phase) -> None:
    """A promotion through a platform that does not answer any more, too."""
    platform: Any = Lying()
    place = place_of(phase.plan, "production")
    with acting_for(RUN):
        await expect_may_go_forward(phase, platform, "production", version="1.1")
        assert seen_in("production") == OWN
        await keep_way.fn(place, platform, seen=seen_in("production"))
        wanted = {"service": "shop", "block": place.platform, "identity": OWN}
        assert await promoted_here(phase, platform, "production") == wanted
        platform.said = Temporary("connection refused")
        assert await promoted_here(phase, platform, "production") == wanted


@pytest.mark.usefixtures("quiet")
async def test_another_identity_later_is_a_fault(phase: Phase) -> None:
    """Before the first change, at a migration, and at the promotion: nothing shows whose that is."""
    platform: Any = Lying()
    place = place_of(phase.plan, "production")
    with acting_for(RUN):
        await expect_may_go_forward(phase, platform, "production", version="1.1")
        platform.said = OTHERS
        with pytest.raises(WorldMoved, match=f"pointed to {OWN} when its owner was looked at, and to {OTHERS} now"):
            await keep_way.fn(place, platform, seen=seen_in("production"))
        assert read_place(place.platform) is None
        with pytest.raises(WorldMoved):
            await promoted_here(phase, platform, "production")
        with pytest.raises(WorldMoved):
            await read_as_seen(phase, platform, "production")
