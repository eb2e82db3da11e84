"""Waiting without a process: nothing that stands in a run's fields makes it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.errors import Temporary
from flows.lifecycle import suspend


async def test_a_suspension_that_the_server_skips_is_no_end_of_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect skips one whose key was used before, and used keys are a field of the run: so each is new, and a skipped one an error."""
    asked: list[dict[str, Any]] = []

    async def skip(**how: Any) -> None:
        asked.append(how)

    async def note(_run: str, *, at: datetime) -> None:
        assert at.tzinfo is not None

    monkeypatch.setattr(suspend, "_suspend", skip)
    monkeypatch.setattr(suspend, "set_wakeup", note)
    monkeypatch.setattr(suspend, "run_id", lambda: "run")
    for _ in range(2):
        with pytest.raises(Temporary, match="was not suspended, though it has to wait until 2027-01-01 03:00 UTC"):
            await suspend.wait_until(datetime(2027, 1, 1, 3, tzinfo=UTC), name="window")
    assert len({how["key"] for how in asked}) == 2
    assert {how["timeout"] for how in asked} == {None}, "Prefect would end the run if the stack were down when it opens"
