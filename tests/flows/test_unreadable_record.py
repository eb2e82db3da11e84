"""A record of which nothing can be read keeps no version where it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Tampered
from blocks.outside_text import as_ending
from flows.lifecycle import closing, finalize
from flows.rollout import moved
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.lifecycle.results import RollbackResult

HALF_WAY = {"baseline": "1.0", "canary": "1.1", "previous": None, "percent": 50}


class World:
    """A release whose canary has half of production's traffic, and of whose record nothing can be read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, owner: str) -> None:
        """Stand in for record and platforms."""
        self.back: list[str] = []
        self.written: list[str] = []
        platform = SimpleNamespace(current=self.give({**HALF_WAY, "owner": owner}))
        for module in (finalize, moved):
            monkeypatch.setattr(module, "platform_of", self.give(platform))
            monkeypatch.setattr(module, "read_entries", self.give([]))
        monkeypatch.setattr(moved, "read_entry", self.give(None))
        monkeypatch.setattr(finalize, "closing_entry", self.give(None))
        monkeypatch.setattr(closing, "append_entry", self.write)
        monkeypatch.setattr(finalize, "roll_back_moved", self.undo)
        monkeypatch.setattr(finalize, "stays_forward", self.give(None))
        monkeypatch.setattr(finalize, "waves_reversed", lambda _: [["production"]])
        monkeypatch.setattr(finalize, "production_of", lambda _: ())
        monkeypatch.setattr(finalize, "staying", lambda *_: ())
        monkeypatch.setattr(finalize, "left_alone", lambda *_, **__: {})
        plan = SimpleNamespace(staging=SimpleNamespace(keep_on_failure=False))
        self.phase: Any = SimpleNamespace(plan=plan, owner="run", path="plan.yaml", append=self.give(None))

    @staticmethod
    def give(value: Any) -> Any:
        """Make a call that gives this."""

        async def call(*_: Any, **__: Any) -> Any:
            return value

        return call

    async def write(self, _: str, what: str, **__: Any) -> None:
        """Take an entry."""
        self.written.append(what)

    async def undo(self, _: str, __: str, environments: list[str], **___: Any) -> dict[str, RollbackResult]:
        """Roll environments back."""
        self.back += environments
        passed, version = Outcome.PASSED, "1.0"
        return {name: RollbackResult(outcome=passed, reason=f"{name} is back", environment=name, version=version) for name in environments}

    async def close(self, **how: Any) -> tuple[str, str]:
        """Close the record of the release, which failed because its record is broken."""
        ending = Ending("failed", as_ending(Tampered("the record of run is broken")))
        return await finalize._close_record(self.phase, "run", version="1.1", ending=ending, **how)


async def test_a_release_at_half_of_the_traffic_is_rolled_back_without_its_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platforms say what it owns."""
    world = World(monkeypatch, owner="run")
    outcome, reason = await world.close()
    assert world.back == ["production", "staging"]
    assert outcome == "rolled_back"
    assert reason == "the record of run is broken. Production is back; staging is back"
    assert world.written == ["1.1: rolled back"]


async def test_what_another_release_owns_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that was never written moves nothing either."""
    world = World(monkeypatch, owner="another")
    assert await world.close() == ("failed", "the record of run is broken")
    assert world.back == []


async def test_a_rollback_on_demand_is_not_rolled_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run says that it is one, whatever became of its record."""
    world = World(monkeypatch, owner="run")
    await world.close(on_demand=True)
    assert world.back == []
