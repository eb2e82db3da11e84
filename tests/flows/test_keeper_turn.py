"""A turn of the keeper: what fails for one part keeps no other from it, and it counts as its work once the open runs were seen to."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

import pytest

from blocks.server.keeper_limit import PATIENCE_SECONDS

OPEN = ["show_machine", "find_open", "find_open", "note_work"]  # in this order, before all that follows
REST = [
    "end_strays",
    "choose_again",
    "refresh_calendars",
    "tell_git_what_is_due",
    "deliver_due",
    "pursue_rollbacks",
    "start_due_looks",
    "tell_unobserved",
    "renew_quietest",
    "remove_old",
    "write_exposition",
    "send_deployments",
    "send_traces",
    "forget_idle_runs",
]


@pytest.mark.parametrize(
    ("fails", "works"),
    [*((name, True) for name in ("", *REST)), ("find_open", False)],
    ids=["all is well", *REST, "open runs are not read"],
)
async def test_a_turn_is_noted_if_the_open_runs_were_seen_to(monkeypatch: pytest.MonkeyPatch, fails: str, *, works: bool) -> None:
    """The doctor and the supervisor go by what is noted."""
    keeper: Any = importlib.import_module("flows.keeper")
    done: list[str] = []

    def stand_in(name: str) -> Any:
        async def act(*_: Any, **__: Any) -> list[Any]:
            done.append(name)
            if name == fails:
                raise RuntimeError(name)
            return []

        return act

    for name in {*OPEN, *REST}:
        monkeypatch.setattr(keeper, name, stand_in(name))
    monkeypatch.setattr(keeper, "run_id", lambda: "r1")
    if works:
        await keeper.keeper.fn()
    else:
        with pytest.raises(RuntimeError, match="find_open"):
            await keeper.keeper.fn()
    assert done == [name for name in [*OPEN, *REST] if works or name != "note_work"]


@pytest.mark.parametrize(("part", "limit"), [("refresh_calendars", "CALENDAR_SECONDS"), ("renew_quietest", "TURN_SECONDS")])
async def test_what_does_not_answer_keeps_no_other_part_from_its_turn(monkeypatch: pytest.MonkeyPatch, part: str, limit: str) -> None:
    """All calendars have their time together, and so have all services whose quietest window is measured."""
    keeper: Any = importlib.import_module("flows.keeper")
    done: list[str] = []

    async def act(*_: Any, **__: Any) -> list[Any]:
        done.append("a part")
        return []

    async def hang() -> None:
        await asyncio.sleep(3600)

    for name in {*OPEN, *REST}:
        monkeypatch.setattr(keeper, name, act)
    monkeypatch.setattr(keeper, "run_id", lambda: "r1")
    assert keeper.CALENDAR_SECONDS + keeper.TURN_SECONDS < PATIENCE_SECONDS, "the next keeper would wait for this one no longer"
    monkeypatch.setattr(keeper, part, hang)
    monkeypatch.setattr(keeper, limit, 0.05)
    async with asyncio.timeout(10):
        await keeper.keeper.fn()
    assert len(done) == len(OPEN) + len(REST) - 1
