"""The real keeper, as it looks at one run some time later."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

LATER = timedelta(seconds=100)


async def keep(run: str, *, settle: Callable[..., Awaitable[None]]) -> list[str]:
    """Run the keeper; its clock is ahead, the time between its two looks does not pass, and it sees no other test's runs.

    Args:
        run: The flow run that it sees.
        settle: What starts the flow that settles a run and returns at its end, in place of a worker.

    Returns:
        What it did, a line each; empty if the run is as it should be or no longer open.
    """
    keeper: Any = importlib.import_module("flows.keeper")
    find_open, now, after_crash = keeper.find_open, keeper.now, keeper.AFTER_CRASH
    looks = count()

    async def find_this_one(part: str) -> list[Any]:
        return [one for one in await find_open(part) if one.id == run]

    def later() -> datetime:
        return now() + LATER + next(looks) * after_crash

    async def settle_at_once(run: str, *, reason: str, cancelled: bool, alive: bool | None) -> None:  # noqa: ARG001 - as the task is called
        await settle(run, reason=f"keeper: {reason}", cancelled=cancelled)

    async def end_no_other(*_run: str) -> list[str]:
        return []

    instead = {
        "find_open": find_this_one,
        "now": later,
        "settle_run": settle_at_once,
        "end_strays": end_no_other,
        "choose_again": end_no_other,
        "tell_git_what_is_due": end_no_other,
        "start_due_looks": end_no_other,
        "AFTER_CRASH": timedelta(0),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in instead.items():
            patch.setattr(keeper, name, value)
        return list(await keeper.keeper())
