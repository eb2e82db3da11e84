"""An open run whose record cannot be read: what is kept beside the key says whether it waits."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from blocks.key_folder.key_file import create_key, key_path
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import forget_open, keep_wait
from tasks.record import open_runs
from tasks.rules.lifecycle.reconcile import RunFacts, decide_care

RUN = "11111111-2222-3333-4444-555555555555"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())

    async def kept_entry(*_: Any) -> object:
        return object()

    async def default_storage() -> Any:
        raise ValueError("the block of the storage was deleted")

    monkeypatch.setattr(open_runs, "kept_entry", kept_entry)
    monkeypatch.setattr(open_runs, "default_storage", default_storage)


async def care(monkeypatch: pytest.MonkeyPatch, *, marked: timedelta) -> str:
    """Let the keeper look at the suspended run, whose last process began so long ago."""
    begun = now() - marked

    async def see(*_: Any) -> RunFacts:
        return RunFacts("PAUSED", begun, alive=False, heard=None, wake_at=None, stop_requested=False, attempts=1, marked=begun)

    monkeypatch.setattr(open_runs, "see", see)
    run: Any = SimpleNamespace(id=RUN, name="release", deployment_id=RUN)
    return decide_care((await open_runs._look(None, run)).seen, now=now()).act  # type: ignore[arg-type]


async def test_one_that_others_suspended_is_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would keep its canary for ever; whatever fails in the storage."""
    assert await care(monkeypatch, marked=HOUR) == "wake"


async def test_one_that_waits_is_left_until_its_time_or_until_it_went_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that does not answer for an hour ends no release that waits for people."""
    await keep_wait(RUN, now() + HOUR)
    assert await care(monkeypatch, marked=HOUR) == "leave"
    assert await care(monkeypatch, marked=-HOUR) == "wake"
    await keep_wait(RUN, now() - HOUR)
    assert await care(monkeypatch, marked=2 * HOUR) == "wake"
    await keep_wait(RUN, now() + HOUR)
    await forget_open(RUN)
    assert await care(monkeypatch, marked=HOUR) == "wake"
