"""That a rollback could not be verified is recorded before anyone is told: whom it is sent to may not answer."""

# ruff: noqa: F811 - a fixture that is imported is the name of a parameter, too
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.outside_text import as_ending, as_reason
from flows.lifecycle import closing
from flows.rollout import revert
from tasks.notify import alerts, outbox
from tasks.record.objects import StorageFault
from tasks.record.without_key import rolling_back
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.rollout.rollback import RollbackChoice
from tests.flows.test_rollback_by_record import RUN, World, storage  # noqa: F401 - fixtures
from tests.tasks.conftest import offline  # noqa: F401 - a fixture
from tests.tasks.fake_platform import FakePlatform


@pytest.fixture
def world(offline: None, storage: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give an environment that was rolled back."""
    del offline, storage
    return World(monkeypatch, FakePlatform(baseline="1.9", canary=None, previous=None))


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PASSED])
async def test_it_is_recorded_first_and_then_told(monkeypatch: pytest.MonkeyPatch, outcome: Outcome) -> None:
    """A process that dies while it tells does not roll back once more, and a good rollback tells no one."""
    done: list[str] = []
    result = RollbackResult(outcome=outcome, reason=as_ending("it was looked at"), environment="production", version="1")

    def giving(what: Any, name: str = "") -> Any:
        async def give(*_: Any, **__: Any) -> Any:
            done.extend([name] if name else [])
            return what

        return give

    choice = RollbackChoice(kind="redeploy", version="1", reason="x")
    stand_ins = {
        "platform_of": giving(None), "informed": giving(None), "with_lease": giving(choice), "_look_after": giving(result),
        "notify": giving(None, "told"), "note_rollback_over": giving(None, "over"),
        "retried": lambda _: giving({"baseline": "1", "canary": None}),
    }  # fmt: skip
    for name, value in stand_ins.items():
        monkeypatch.setattr(revert, name, value)
    plan = SimpleNamespace(notify=["slack-webhook/team"], service="shop")
    phase: Any = SimpleNamespace(read=giving(None), append=giving(None, "recorded"), plan=plan, owner="r1")
    found = await revert.roll_back(phase, "production", reason=as_reason("bad"), to="", bad="2")
    await revert.tell_failed(phase, [found])
    assert found == result
    assert done == ["over", "recorded", *(["told"] if outcome is Outcome.FAILED else [])]


@pytest.mark.parametrize("outcome", ["failed", "passed"])
async def test_an_alert_that_was_not_sent_is_sent_when_the_rollback_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """Its process may have died between the entry and the alert; what was sent is not sent again, by its key."""
    told: list[str] = []

    async def read(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(why="it was looked at", evidence={"outcome": outcome, "position": {"baseline": "1"}, "stays": False})

    async def post(*_: Any, key: str, **__: Any) -> None:
        told.append(key)

    monkeypatch.setattr(outbox, "post", post)
    monkeypatch.setattr(alerts, "_emit", lambda *_, **__: None)
    plan = SimpleNamespace(notify=["slack-webhook/team"], service="shop")
    phase: Any = SimpleNamespace(read=read, plan=plan, owner="r1")
    both = ("production/a", "production/b")
    await revert.tell_failed(phase, [await revert.roll_back(phase, one, reason=as_reason("bad"), to="", bad="2") for one in both])
    each = [f"r1/rollback/production/{name}" for name in "ab"]
    assert told == (each if outcome == "failed" else [])


async def test_people_are_told_once_how_it_ended_while_the_storage_does_not_take_its_end(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    """The keeper comes back each minute with the same key, by which the outbox sends it once; a deployment is not told before its end."""
    told: list[tuple[str, str]] = []

    async def away(*_: Any, kind: str, **__: Any) -> None:
        assert kind == "closed"
        raise StorageFault("stale file handle")

    async def post(_: Any, message: Any, *, key: str, **__: Any) -> None:
        told.append((key, message.body.splitlines()[0]))

    monkeypatch.setattr(closing, "append_entry", away)
    monkeypatch.setattr(outbox, "post", post)
    monkeypatch.setattr(alerts, "_emit", lambda *_, **__: None)
    for outcome in ("deployed", "rolled_back", "rolled_back"):
        with rolling_back(), pytest.raises(StorageFault):
            await closing.close_record(world.phase, RUN, version="2.0", outcome=outcome, reason=as_ending("it is bad"), evidence={})
    assert told == [(f"{RUN}/end/rolled_back", "it is bad. Its record is not closed yet, as the storage does not take it")] * 2
