"""A contract migration counts wherever releases by the same plan file act; a rollback crosses it neither on demand nor by itself."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.errors import Refused
from flows.lifecycle.context import Phase
from flows.rollout import migrations
from flows.rollout.migrations import expect_no_contract
from tasks.rules.rollout.migrations import Contract, Here
from tasks.rules.rollout.rollback import RollbackChoice

MINE, LINK, EVE = "/srv/shop/shipway.yaml", "/srv/current/shipway.yaml", "/srv/eve/shipway.yaml"


@pytest.mark.parametrize(
    ("file", "acted", "began_by", "is_refused"),
    [
        (MINE, (MINE,), MINE, True),
        (LINK, (), MINE, True),
        (EVE, (MINE,), MINE, True),
        (MINE, (MINE,), EVE, False),
        (MINE, (), EVE, False),
    ],
    ids=["moved", "by a link", "by another's plan", "another's contract", "and nothing kept"],
)
async def test_a_contract_of_a_service_that_moved_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch, file: str, acted: tuple[str, ...], began_by: str, *, is_refused: bool
) -> None:
    """Its block was renamed and leads elsewhere by now, perhaps in front of the same database."""
    began = Contract("drop-city", "production", "2.0", "run-1", datetime(2026, 3, 2, tzinfo=UTC), "kubernetes/shop", "u-1", began_by)
    stand_ins: dict[str, Any] = {
        "find_contracts": ([began], set()),
        "last_deployed": None,
        "platform_of": None,
        "read_here": Here("production", "kubernetes/new", "u-2"),
        "files_of": acted,
    }
    for name, value in stand_ins.items():
        monkeypatch.setattr(migrations, name, giving(value))
    monkeypatch.setattr(migrations, "retried", lambda work: work)
    plan: Any = SimpleNamespace(service="shop")
    phase = Phase("run-2", 1, "run-2", plan, file, "/srv", SimpleNamespace(path=MINE if file == LINK else file))  # type: ignore[arg-type]
    choice = RollbackChoice("redeploy", "1.9", "it ran before")
    with pytest.raises(Refused, match="drop-city") if is_refused else nullcontext():
        await expect_no_contract(phase, choice, environment="production", restored=[], looks=True)


def giving(value: Any) -> Any:
    """Make a stand-in that gives a value."""

    async def give(*_: Any, **__: Any) -> Any:
        return value

    return give
