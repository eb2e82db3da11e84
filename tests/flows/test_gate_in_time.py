"""The gate of a scheduled release is open until the moment by which production must begin; then the release is skipped, not refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, Skipped
from flows.approval import gate as gates
from flows.lifecycle import frame
from tasks.rules.approval.answers import read_answer
from tasks.rules.record.durations import SUSPENDS_UNTIL
from tests.flows.test_held_steps import RUN, Kept, nothing
from tests.rules.policy.test_rules import plan_of

AT = datetime(2026, 11, 29, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)
NO_ANSWER = read_answer(None, received_at=AT)


class Asked(Exception):
    """The run is suspended with a question."""


@pytest.fixture
def phase(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Give a release at its gate, to which no one answers."""
    taken: Any = None
    monkeypatch.setattr(Kept, "entries", [])
    keys: set[str] = set()

    async def ask(_form: Any, *, key: str, until: datetime) -> None:
        keys.add(key)
        raise Asked(until)

    async def answer(_gate: Any) -> Any:
        return NO_ANSWER

    ways = {"ask": ask, "asked_keys": lambda: keys, "load_approvers": nothing, "_form": nothing, "retried": lambda _task: answer}
    for name, way in ways.items():
        monkeypatch.setattr(gates, name, way)
    return Kept(RUN, 1, RUN, plan_of(), "shipway.yaml", ".", taken)


async def passed_at(phase: Kept, monkeypatch: pytest.MonkeyPatch, at: datetime, **more: Any) -> Any:
    """Go to the gate at a moment."""
    monkeypatch.setattr(gates, "now", lambda: at)
    rules = SimpleNamespace(approvers=("ada", "ben"), quorum=2, signatures="accepted", requester="named")
    inputs: Any = SimpleNamespace(rules=lambda: rules, digest="ab" * 32, version="1.1")
    return await gates.pass_gate(phase, inputs, name="production", requester="rita", **more)


@pytest.mark.parametrize(("latest", "open_for", "ends"), [(HOUR, HOUR, Skipped), (9 * HOUR, 4 * HOUR, Refused), (None, 4 * HOUR, Refused)])
async def test_a_gate_is_not_open_for_longer_than_a_scheduled_release_may_wait(
    phase: Kept, monkeypatch: pytest.MonkeyPatch, latest: timedelta | None, open_for: timedelta, ends: type[Exception]
) -> None:
    """If that is sooner than the plan's own limit, no one is told that it was refused: it is skipped."""
    until = AT + latest if latest else None
    with pytest.raises(Asked):
        await passed_at(phase, monkeypatch, AT, latest=until)
    assert phase.entries[-1].evidence[SUSPENDS_UNTIL] == (AT + open_for).isoformat()
    with pytest.raises(Asked):  # woken before
        await passed_at(phase, monkeypatch, AT + open_for - timedelta(seconds=1), latest=until)
    with pytest.raises(ends, match=r"0 of 2 approvals by 2026-11-\d\d \d\d:00:00 UTC"):
        await passed_at(phase, monkeypatch, AT + open_for, latest=until)


async def test_people_are_not_asked_when_it_is_too_late(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging took longer than what was left."""
    with pytest.raises(Skipped, match="before people could be asked"):
        await passed_at(phase, monkeypatch, AT, latest=AT)
    assert phase.entries == []


async def test_what_is_too_late_stops_no_other_release_for_the_lock(phase: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `on_conflict: supersede` that would be rolled back, for nothing."""
    said: list[str] = []

    async def lock(*_: Any, **__: Any) -> None:
        said.append("lock")

    async def late(_phase: Any) -> None:
        said.append("late")
        raise Skipped("too late")

    async def begin(*_: Any, **__: Any) -> Kept:
        return phase

    ways = {"expect_whole_record": nothing, "read_entry": nothing, "lock_or_wait": lock, "expect_in_time": late}
    for name, way in {**ways, "retried": lambda _task: nothing}.items():
        monkeypatch.setattr(frame, name, way)
    with pytest.raises(Skipped):
        await frame._carry("release", RUN, plan="shipway.yaml", version="1.1", course=nothing, begin=begin)  # type: ignore[arg-type]
    assert said == ["late"]
