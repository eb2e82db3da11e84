"""What an earlier rollback left to be told to Git holds a release up, and never a rollback."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused, ShipwayError, Superseded, Unreachable, WorldMoved
from tasks.gitops import in_step


@pytest.mark.parametrize("error", [WorldMoved("stands again"), Refused("not as it was written"), Unreachable("no answer")])
@pytest.mark.parametrize("is_rollback", [False, True])
async def test_what_is_due_does_not_stop_a_rollback(error: ShipwayError, monkeypatch: pytest.MonkeyPatch, *, is_rollback: bool) -> None:
    """As a hold that a neighbour writes again and again, or another commit of the bad version."""

    async def tell(parts: Any, lease: Any) -> str:
        del parts, lease
        raise error

    monkeypatch.setattr(in_step, "tell_git", tell)
    parts: Any = SimpleNamespace(is_rollback=is_rollback)
    if is_rollback:
        await in_step._settle(parts, {"owner": "run", "generation": 1})
    else:
        with pytest.raises(type(error)):
            await in_step._settle(parts, {"owner": "run", "generation": 1})


async def test_a_newer_owner_stops_a_rollback(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees to the environment."""

    async def tell(parts: Any, lease: Any) -> str:
        del parts, lease
        raise Superseded("a newer run")

    monkeypatch.setattr(in_step, "tell_git", tell)
    parts: Any = SimpleNamespace(is_rollback=True)
    with pytest.raises(Superseded):
        await in_step._settle(parts, {"owner": "run", "generation": 1})
