"""Waiting without a process: nothing that stands in a run's fields makes it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.errors import Temporary
from flows.lifecycle import suspend
from tasks.rules.record.durations import SUSPENDS_UNTIL
from tasks.rules.record.entries import Entry, Kind, chain
from tasks.rules.rollout.waiting import says_it_waits, waits, wake_time

UNTIL = datetime(2027, 1, 1, 3, tzinfo=UTC)


class Record:
    """A record in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Stand in for the run's own."""
        self.entries: list[Entry] = []
        monkeypatch.setattr(suspend, "run_id", lambda: "run")
        monkeypatch.setattr(suspend, "read_entries", self.read)
        monkeypatch.setattr(suspend, "append_entry", self.append)

    async def read(self, _: str) -> list[Entry]:
        """Give all."""
        return self.entries

    async def append(self, _: str, what: str, *, kind: Kind, name: str, evidence: dict[str, Any] | None = None) -> None:
        """Append one."""
        last = self.entries[-1] if self.entries else None
        self.entries.append(chain(last, at=UNTIL, kind=kind, who="shipway", what=what, name=name, evidence=evidence))


async def test_the_last_entry_of_a_run_that_waits_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keeper goes by it: an entry that was written once is not written again, and something else may stand behind it by then."""
    record = Record(monkeypatch)
    await record.append("run", "Asked", kind="gate", name="question 1", evidence={SUSPENDS_UNTIL: UNTIL.isoformat()})
    await suspend.say_wait(UNTIL, name="production-1")
    assert len(record.entries) == 1, "it is said already"
    await record.append("run", "Nothing changed", kind="gate", name="unchanged")
    assert not says_it_waits(record.entries)
    for _ in range(2):
        await suspend.say_wait(UNTIL, name="window")
        assert wake_time(record.entries) == UNTIL
        assert waits(record.entries[-1])
    later = UNTIL.replace(hour=4)
    await suspend.say_wait(later, name="window")
    assert (wake_time(record.entries), len(record.entries)) == (later, 4)


async def test_a_run_that_only_looks_again_writes_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks each 30 s, perhaps for days."""
    record = Record(monkeypatch)
    for minute in range(3):
        await suspend.say_wait(UNTIL.replace(minute=minute), name="queue", polls=True)
    assert len(record.entries) == 1
    assert (says_it_waits(record.entries), wake_time(record.entries)) == (True, None)


async def test_a_suspension_that_the_server_skips_does_not_end_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect skips one whose key was used before, and used keys are a field of the run: so each is new, and a skipped one an error."""
    asked: list[dict[str, Any]] = []

    async def skip(**how: Any) -> None:
        asked.append(how)

    async def note(_run: str, *, at: datetime, held: str) -> None:  # noqa: ARG001
        assert at.tzinfo is not None

    async def note_wait(_until: datetime, **_: Any) -> None:
        """Write nothing."""

    monkeypatch.setattr(suspend, "_suspend", skip)
    monkeypatch.setattr(suspend, "set_wakeup", note)
    monkeypatch.setattr(suspend, "run_id", lambda: "run")
    monkeypatch.setattr(suspend, "say_wait", note_wait)
    for _ in range(2):
        with pytest.raises(Temporary, match="was not suspended, though it has to wait until 2027-01-01 03:00 UTC"):
            await suspend.wait_until(datetime(2027, 1, 1, 3, tzinfo=UTC), name="window")
    assert len({how["key"] for how in asked}) == 2
    assert {how["timeout"] for how in asked} == {None}, "Prefect would end the run if the stack were down when it opens"
