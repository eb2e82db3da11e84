"""Times of earlier releases: kept beside the key when a record is closed, and believed only as they were sealed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Temporary
from blocks.key_folder.kept_files import kept_path, read_kept, write_kept
from blocks.key_folder.key_file import create_key, key_path
from tasks.record import kept_times
from tasks.record.kept_times import FOLDER, history_of, keep_times, measure_times, times_of
from tasks.rules.record.entries import Entry
from tests.rules.policy.test_rules import plan_of
from tests.rules.rollout.test_history import BEGUN, ENDED, PLAN, WAVE, record

MAIL = plan_of(service="mail")
MOVED = plan_of(production={"platform": "local/of-another-plan", "steps": [{"percent": 100, "watch_seconds": 60}]})  # with the service shop
SERVICES = {"shop": PLAN, "mail": MAIL}


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


def files() -> list[Path]:
    """List the kept files."""
    return sorted(kept_path(FOLDER, "x").parent.glob("*.kept"))


async def test_a_deployed_release_is_kept_once_and_for_its_service_and_blocks() -> None:
    """A plan that goes by its steps alone reads nothing; one of others that calls its service by the same name reads its own."""
    for _ in range(2):
        await keep_times(PLAN, run="run-1", entries=record(*BEGUN, *WAVE, *ENDED))
    await keep_times(PLAN, run="run-2", entries=record(*BEGUN, *WAVE, *ENDED, outcome="rolled_back"))
    assert [one.run for one in times_of(PLAN)] == ["run-1"]
    assert [times_of(one) for one in (MAIL, MOVED)] == [[], []]
    assert [len(history_of(plan)) for plan in (PLAN, plan_of())] == [1, 0]


@pytest.mark.parametrize("wrong", ["another version", "unreadable"])
async def test_what_cannot_be_measured_keeps_no_release_from_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wrong: str
) -> None:
    """A step of another version has fields that this one does not know; or the record does not answer."""

    async def read(_run: str) -> list[Entry]:
        if wrong == "unreadable":
            raise Temporary("the storage does not answer")
        steps = {"steps": [{"kind": "verify", "new": 1}]}
        found = record(*BEGUN, *WAVE, *ENDED)
        return [one.model_copy(update={"evidence": steps}) if one.kind == "review" else one for one in found]

    monkeypatch.setattr(kept_times, "read_entries", read)
    await measure_times(PLAN, run="run-1")
    assert times_of(PLAN) == []
    assert "how long this release took could not be measured" in caplog.text


async def test_what_others_wrote_does_not_count() -> None:
    """Neither plain text, nor the file of another service or another release under this name."""
    await keep_times(MAIL, run="run-1", entries=record(*BEGUN, *WAVE, *ENDED))
    await keep_times(PLAN, run="run-1", entries=record(*BEGUN, *WAVE, *ENDED))
    theirs, ours = sorted(files(), key=lambda path: read_kept(FOLDER, path.stem, what="") != read_kept(FOLDER, files()[0].stem, what=""))
    content: Any = theirs.read_bytes()
    service = (read_kept(FOLDER, ours.stem, what="") or {})["service"]
    ours.write_bytes(content)
    assert times_of(SERVICES[service]) == []
    ours.write_text(json.dumps({"service": service, "run": "x", "at": "2026-11-30T12:00:00Z", "phases": []}))
    assert times_of(SERVICES[service]) == []


async def test_the_oldest_are_forgotten() -> None:
    """Twice as many as count are kept."""
    await keep_times(PLAN, run="run-1", entries=record(*BEGUN, *WAVE, *ENDED))
    (path,) = files()
    value = read_kept(FOLDER, path.stem, what="")
    assert value is not None
    for number in range(105):
        write_kept(FOLDER, f"{path.stem[:25]}20260101T{number:06d}Z-old", value, what="")
    await keep_times(PLAN, run="run-2", entries=record(*BEGUN, *WAVE, *ENDED))
    assert len(files()) == 100
    assert path in files()
