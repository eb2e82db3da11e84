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
from tasks.rules.lifecycle.ending import Ending, taken_over
from tests.rules.rollout.test_waves import ALL, plan_of

FAILED, DEPLOYED = Ending("failed", as_ending("its process is gone")), Ending("deployed", as_ending("it waits"))
finalize: Any = importlib.import_module("flows.lifecycle.finalize")
STOPPED = taken_over(DEPLOYED)


@pytest.mark.parametrize(
    ("ours", "asked", "ending", "turned", "expected"),
    [
        (ALL, {}, FAILED, DEPLOYED, DEPLOYED),
        (ALL[:2], {}, FAILED, DEPLOYED, FAILED),  # a rollback took the third one over
        ((), {}, FAILED, DEPLOYED, FAILED),
        ((), {}, FAILED, FAILED, FAILED),  # it did not wait so
        (ALL[:1], {"environment": "production/eu"}, FAILED, DEPLOYED, DEPLOYED),  # the others were never its own
        (ALL[1:], {"environment": "production/eu"}, FAILED, DEPLOYED, FAILED),
        (ALL, {}, DEPLOYED, DEPLOYED, DEPLOYED),
        (ALL[1:], {}, DEPLOYED, DEPLOYED, STOPPED),  # right after its last look, or its last tick
        ((), {"flow": "staging"}, DEPLOYED, DEPLOYED, DEPLOYED),  # production was never its own
    ],
)
async def test_it_ends_as_deployed_only_while_what_it_deployed_to_is_its_own(
    monkeypatch: pytest.MonkeyPatch, ours: tuple[str, ...], asked: dict[str, str], ending: Ending, turned: Ending, expected: Ending
) -> None:
    """A rollback meanwhile may have brought another version, of which nothing here is told."""

    async def entries(_: str) -> list[Any]:
        return []

    async def phase(*_: Any) -> Any:
        return SimpleNamespace(plan=plan_of("back"))

    async def opened(*_: Any) -> Any:
        return SimpleNamespace(evidence=asked)

    async def is_ours(_phase: Any, environment: str) -> bool:
        return environment in ours

    monkeypatch.setattr(closing, "kept_entries", entries)
    monkeypatch.setattr(closing, "while_closing", lambda ending, _: ending if turned is ending else turned)
    stand_ins: dict[str, Any] = {"phase_to_end": phase, "is_ours": is_ours, "acting_for": nullcontext, "read_entry": opened}
    for name, value in stand_ins.items():
        monkeypatch.setattr(finalize, name, value)
    assert await closing.ending_while_closing("r1", ending, owns=partial(finalize._owns_production, "plan.yaml", "r1")) == expected
