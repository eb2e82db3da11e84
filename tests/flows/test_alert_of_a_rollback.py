"""That a rollback could not be verified is recorded before anyone is told: whom it is sent to may not answer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.outside_text import as_ending, as_reason
from flows.rollout import revert
from tasks import notify
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.rollout.rollback import RollbackChoice


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
        "alert": giving(None, "told"), "retried": lambda _: giving({"baseline": "1", "canary": None}),
    }  # fmt: skip
    for name, value in stand_ins.items():
        monkeypatch.setattr(revert, name, value)
    plan = SimpleNamespace(notify=["slack-webhook/team"], service="shop")
    phase: Any = SimpleNamespace(read=giving(None), append=giving(None, "recorded"), plan=plan, owner="r1")
    assert await revert.roll_back(phase, "production", reason=as_reason("bad"), to="", bad="2") == result
    assert done == (["recorded", "told"] if outcome is Outcome.FAILED else ["recorded"])


@pytest.mark.parametrize("outcome", ["failed", "passed"])
async def test_an_alert_that_was_not_sent_is_sent_when_the_rollback_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """Its process may have died between the entry and the alert; what was sent is not sent again, by its key."""
    told: list[str] = []

    async def read(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(why="it was looked at", evidence={"outcome": outcome, "position": {"baseline": "1"}, "stays": False})

    async def send(*_: Any, key: str, **__: Any) -> None:
        told.append(key)

    monkeypatch.setattr(notify, "send_alert", send)
    plan = SimpleNamespace(notify=["slack-webhook/team"], service="shop")
    phase: Any = SimpleNamespace(read=read, plan=plan, owner="r1")
    for environment in ("production/a", "production/b"):
        await revert.roll_back(phase, environment, reason=as_reason("bad"), to="", bad="2")
    each = [f"r1/alert/rollback not verified/production/{name}" for name in "ab"]
    assert told == (each if outcome == "failed" else [])
