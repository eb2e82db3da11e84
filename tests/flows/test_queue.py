"""Who waits in the queue of a service."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused
from flows.lifecycle import queue
from tasks.lifecycle.lock import Holder, LockResult
from tasks.record import journal
from tasks.rules.record.durations import WAITS_FOR
from tasks.rules.record.entries import Kind
from tests.flows.test_rollback_by_record import storage
from tests.tasks.conftest import offline

__all__ = ["offline", "storage"]
pytestmark = pytest.mark.usefixtures("offline", "storage")
OTHER = LockResult(granted=False, holder=Holder("00000000-0000-4000-8000-000000000002", "release shop 2"))


async def nothing(*_: Any, **__: Any) -> None:
    """Do nothing."""


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let another run hold the service; gives what was waited for."""
    done: list[str] = []

    async def lock(*_: Any, **__: Any) -> Any:
        return OTHER

    async def wait(*_: Any, name: str, **__: Any) -> None:
        done.append(name)

    async def stop(*_: Any, **__: Any) -> None:
        done.append("stop")

    async def none(*_: Any, **__: Any) -> None:
        """Find none that only tags name."""

    async def nowhere(*_: Any, **__: Any) -> dict[str, Any]:
        """Find none that is kept as open."""
        return {}

    stand_ins: dict[str, Any] = {"lock_service": lock, "wait_until": wait, "request_stop": stop, "request_stop_by_tags": none}
    stand_ins |= {"releases_there": nowhere, "environments_reversed": lambda _: ()}
    for name, value in stand_ins.items():
        monkeypatch.setattr(queue, name, value)
    return done


@pytest.mark.parametrize(
    ("kind", "waits_for", "waits"),
    [
        ("note", "", True),
        ("gate", "queue", True),
        ("gate", "window", False),
        ("gate", "", False),
        ("review", "", False),
        ("effect", "", False),
        ("migration", "", False),
    ],
)
@pytest.mark.parametrize("on_conflict", ["queue", "supersede", "refuse"])
async def test_only_a_release_that_has_done_nothing_waits_in_the_queue(
    waited: list[str], kind: Kind, waits_for: str, on_conflict: str, *, waits: bool
) -> None:
    """Whoever deletes its lock would leave its canary where it is."""
    phase: Any = SimpleNamespace(plan=SimpleNamespace(service="shop", on_conflict=on_conflict))
    await journal.append_entry("r1", "Asked", kind="opened")
    await journal.append_entry("r1", "Something", kind=kind, name="x", evidence={WAITS_FOR: waits_for})
    if waits and on_conflict != "refuse":
        await queue.lock_or_wait(phase, run="r1")
        assert waited[-1] == "queue"
        return
    with pytest.raises(Refused, match="being released already" if waits else "is rolled back"):
        await queue.lock_or_wait(phase, run="r1")
    assert waited == []


@pytest.mark.parametrize(("flow", "is_refused"), [("release", False), ("rehearse", True)])
async def test_a_release_that_waits_for_ticks_makes_way_for_a_release_alone(
    waited: list[str], monkeypatch: pytest.MonkeyPatch, flow: str, *, is_refused: bool
) -> None:
    """A rehearsal each night would cut each of these waits short."""
    monkeypatch.setattr(queue, "gives_way_at", lambda _: datetime(2026, 3, 1, tzinfo=UTC))
    monkeypatch.setattr(queue, "retried", lambda _: nothing)
    phase: Any = SimpleNamespace(plan=SimpleNamespace(service="shop", on_conflict="refuse"))
    await journal.append_entry("r1", "Asked", kind="opened", evidence={"flow": flow})
    if is_refused:
        with pytest.raises(Refused, match="being released already"):
            await queue.lock_or_wait(phase, run="r1")
    else:
        await queue.lock_or_wait(phase, run="r1")
    assert waited == ([] if is_refused else ["queue"])


@pytest.mark.parametrize("on_conflict", ["queue", "supersede", "refuse"])
async def test_a_release_that_is_deployed_and_waits_for_ticks_is_woken_and_queued_for(
    waited: list[str], monkeypatch: pytest.MonkeyPatch, on_conflict: str
) -> None:
    """It is neither refused for nor stopped, whatever the plan says: its wait ends as soon as people had their time."""
    until, woken = "2026-03-02T14:15:00+00:00", list[tuple[str, str]]()

    async def wake(run: str, *, at: datetime) -> None:
        woken.append((run, at.isoformat()))

    monkeypatch.setattr(queue, "wake_by", wake)
    monkeypatch.setattr(queue, "retried", lambda one: one)
    phase: Any = SimpleNamespace(plan=SimpleNamespace(service="shop", on_conflict=on_conflict))
    progress = {"before": "closing", "through": "0 of 1", "open": [{"item": "x", "who": ["ada"], "required": True}], "done": []}
    asked = {"progress": progress, "suspends_until": until, "gives_way_at": until}
    await journal.append_entry(OTHER.holder.run, "Asked ada", kind="gate", name="checklist closing question 1", evidence=asked)
    await journal.append_entry("r1", "Asked", kind="opened")
    await queue.lock_or_wait(phase, run="r1")
    assert (waited, woken) == (["queue"], [(OTHER.holder.run, until)])
