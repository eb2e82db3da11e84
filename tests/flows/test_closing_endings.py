"""How a release ends that only waited for ticks of what is done after its deployment."""

from __future__ import annotations

import importlib
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.outside_text import as_ending
from flows.lifecycle import closing
from tasks.rules.lifecycle.ending import Ending

FAILED, DEPLOYED = Ending("failed", as_ending("its process is gone")), Ending("deployed", as_ending("it waits"))
finalize: Any = importlib.import_module("flows.lifecycle.finalize")
TARGETS = ("production/eu", "production/us")


@pytest.mark.parametrize(
    ("ours", "turned", "expected"),
    [
        (TARGETS, DEPLOYED, DEPLOYED),
        (TARGETS[:1], DEPLOYED, FAILED),  # a rollback took the other one over
        ((), DEPLOYED, FAILED),
        ((), FAILED, FAILED),  # it did not wait so
    ],
)
async def test_it_ends_as_deployed_only_while_production_is_its_own(
    monkeypatch: pytest.MonkeyPatch, ours: tuple[str, ...], turned: Ending, expected: Ending
) -> None:
    """A rollback meanwhile may have brought another version, of which nothing here is told."""

    async def entries(_: str) -> list[Any]:
        return []

    async def phase(*_: Any) -> Any:
        return SimpleNamespace(plan=None)

    async def is_ours(_phase: Any, environment: str) -> bool:
        return environment in ours

    monkeypatch.setattr(closing, "kept_entries", entries)
    monkeypatch.setattr(closing, "while_closing", lambda ending, _: ending if turned is FAILED else turned)
    stand_ins: dict[str, Any] = {"phase_to_end": phase, "is_ours": is_ours, "acting_for": nullcontext}
    stand_ins["production_of"] = lambda _: [SimpleNamespace(environment=name) for name in TARGETS]
    for name, value in stand_ins.items():
        monkeypatch.setattr(finalize, name, value)
    assert await closing.ending_while_closing("r1", FAILED, owns=partial(finalize._owns_production, "plan.yaml", "r1")) is expected
