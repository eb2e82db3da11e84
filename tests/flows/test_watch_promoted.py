"""A version that is held behind its promotion serves already: the plan's health checks watch it on, and roll it back if they fail."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from blocks.errors import BadInput, RolloutFailed, Temporary
from flows.rollout import held_step, migrations, watch_promoted
from flows.rollout.held_step import Standing, wait_while_held
from tasks.lifecycle.retries import NOT_REACHED
from tasks.rules.plan.credentials import Receiver
from tests.flows.test_held_steps import AFTER, FROZEN, Kept, hold_for, nothing, phase, turns

__all__ = ["phase"]
WELL, ILL = {"outcome": "passed", "reason": "fine"}, {"outcome": "failed", "reason": "/version answered 500"}


class Unanswered:
    """A check whose secret headers cannot be loaded."""

    def __init__(self, error: Exception) -> None:
        """Take what the server's client raises."""
        self.error = error


class Serving:
    """A promoted version: what each look at it finds, and how many there were."""

    def __init__(self, *found: Any) -> None:
        """Begin with what the looks will find, one after the other."""
        self.left, self.looks, self.version = list(found), 0, "1.1"
        self.changed = list[str]()

    async def look_at(self, _platform: Any) -> Any:
        """Give the position, or fail."""
        self.looks += 1
        if isinstance(self.left[0], Exception):
            raise self.left.pop(0)
        return {"baseline": self.version, "changed": self.changed}, {"public": "http://shop.example"}

    async def probe(self, target: str, *, verification: Any, version: str, receiver: Receiver) -> Any:
        """Ask for its health."""
        assert (target, version, verification is not None) == ("http://shop.example", "1.1", True)
        assert receiver == Receiver("shop", platform="local/shop-production")
        found = self.left.pop(0)
        if isinstance(found, Unanswered):
            raise found.error
        return found

    async def ends(self, *_: Any) -> bool:
        """Say that the hold is over once nothing is left to find."""
        return not self.left


def serve(monkeypatch: pytest.MonkeyPatch, *found: Any) -> Serving:
    """Put a promoted version in the place of platform and network."""
    serving = Serving(*found)
    monkeypatch.setattr(watch_promoted, "look_at", serving.look_at)
    monkeypatch.setattr(watch_promoted, "probe_health", serving.probe)
    monkeypatch.setattr(watch_promoted, "retried", lambda task: task)
    monkeypatch.setattr(held_step, "_ends", serving.ends)
    return serving


async def held(phase: Kept) -> str:
    """Wait before the migration behind the promotion."""
    return await wait_while_held(phase, Standing(None, "production", "1.1"), before=AFTER)  # type: ignore[arg-type]


async def test_what_is_promoted_and_well_waits_until_the_hold_is_over(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its looks leave no entries; one that the platform does not answer is made again."""
    serving = serve(monkeypatch, WELL, Temporary("connection refused"), WELL)
    hold_for(monkeypatch, FROZEN, None)
    assert await held(phase) == ""
    assert serving.looks == 3
    assert [entry.kind for entry in phase.entries] == ["gate"]


@pytest.mark.parametrize("error", [httpx.ConnectError("connection refused"), RuntimeError(f"{NOT_REACHED} at http://127.0.0.1:4200/api")])
async def test_a_server_that_is_away_rolls_back_nothing_that_is_promoted(
    phase: Kept, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It holds the secret headers of the checks: the next look has them."""
    serving = serve(monkeypatch, WELL, Unanswered(error), WELL)
    hold_for(monkeypatch, FROZEN, None)
    assert await held(phase) == ""
    assert serving.looks == 3


async def test_an_error_that_no_other_look_helps_ends_the_watch(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a secret that is not there."""
    serve(monkeypatch, WELL, Unanswered(BadInput("there is no block credential/token", field="health", fix="Save it.")), WELL)
    hold_for(monkeypatch, FROZEN)
    with pytest.raises(BadInput):
        await held(phase)


async def test_what_is_promoted_and_no_longer_well_is_rolled_back(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the migration begins, and the record says what was seen."""
    serve(monkeypatch, WELL, ILL)
    hold_for(monkeypatch, FROZEN)
    for name, way in {"turns": turns, "expect_jobs": lambda *_: None, "_run": nothing}.items():
        monkeypatch.setattr(migrations, name, way)
    with pytest.raises(RolloutFailed, match="held after the promotion: /version answered 500"):
        await migrations.migrate(phase, None, environment="production", when="after", version="1.1", lease=None)  # type: ignore[arg-type]
    assert [(entry.kind, entry.name) for entry in phase.entries][1:] == [("health", "while held 1.1")]


async def test_what_is_promoted_is_not_what_runs_any_more(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changed it, the release does not go on from there."""
    serve(monkeypatch, WELL).version = "1.0"
    hold_for(monkeypatch, FROZEN)
    assert "came to run 1.0, not 1.1" in await held(phase)


async def test_a_configuration_that_changes_meanwhile_fails_nothing_and_is_noted_once(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pods that run have read the earlier one; to bring the other one is another release."""
    serve(monkeypatch, WELL, WELL, WELL).changed = ["Secret shop-db: password changed"]
    hold_for(monkeypatch, FROZEN, None)
    assert await held(phase) == ""
    assert [entry.kind for entry in phase.entries] == ["gate", "note"]
    what = str(phase.entries[1].what)
    assert "changed while 1.1 is held: Secret shop-db: password changed" in what
