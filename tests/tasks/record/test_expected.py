"""The expected end as it is shown: in the artifact of a release under way, by what is kept beside the key."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from blocks.key_folder import kept_files
from blocks.key_folder.key_file import create_key, key_path
from flows.commands import status
from tasks.record import expected
from tasks.record.kept_times import keep_times, times_of, times_of_service
from tasks.rules.record.entries import Entry
from tests.rules.rollout.test_history import AT, BEGUN, ENDED, PLAN, WAVE, record

HOSTILE = "<img src=x> [here](https://evil.example)"


@pytest.fixture(autouse=True)
async def _past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    await keep_times(PLAN, run="run-1", entries=record(*BEGUN, *WAVE, *ENDED))


async def test_progress_and_estimate_are_one_artifact_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a row for each phase that is ahead."""
    made: list[tuple[str, str]] = []

    async def read(_run: str) -> list[Entry]:
        return record(*BEGUN)

    async def publish(markdown: str, *, key: str, **_: Any) -> None:
        made.append((key, markdown))

    monkeypatch.setattr(expected, "read_entries", read)
    monkeypatch.setattr(expected, "publish_markdown", publish)
    await expected.publish_progress("run-2", plan=PLAN)
    ((key, text),) = made
    assert key == "progress-shop"
    assert "| Phase ahead | Median | Longest |" in text
    assert "| wave 1 | 1 min 59 s | 1 min 59 s |" in text
    assert "As of 20" in text


@pytest.mark.parametrize(("flow", "moved", "number"), [("release", True, 1), ("release", False, 0), ("rollback", True, 0)])
async def test_the_artifact_of_a_release_that_has_ended_says_how(
    flow: str, number: int, monkeypatch: pytest.MonkeyPatch, *, moved: bool
) -> None:
    """It does not stay at its last step; one that moved nothing had none, and a rollback has none of its own."""
    made: list[tuple[str, str]] = []
    entries = [one.model_copy(update={"evidence": {**one.evidence, "flow": flow}}) for one in record(*BEGUN, *WAVE, *ENDED)]

    async def read(_run: str) -> list[Entry]:
        return [one for one in entries if moved or one.kind != "effect"]

    async def publish(markdown: str, *, key: str, **_: Any) -> None:
        made.append((key, markdown))

    monkeypatch.setattr(expected, "read_entries", read)
    monkeypatch.setattr(expected, "publish_markdown", publish)
    await expected.publish_end("run-2", service="shop")
    assert len(made) == number
    for key, text in made:
        assert key == "progress-shop"
        assert text.startswith("# shop: ")
        assert "deployed" in text.splitlines()[0]
        assert "artifact `release-shop`" in text


def test_no_word_of_others_acts_on_the_page() -> None:
    """The service's name is a pattern of the plan, and the names of steps are words of the plan."""
    found = expected.expected_end(record(*BEGUN), [], at=AT)
    assert found
    text = expected.page_of(found, service=HOSTILE, progress=HOSTILE)
    assert not re.search(r"<img|https://|\]\(", text)
    assert "No past yet" in text


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_a_server_that_does_not_take_it_holds_no_release_up(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is only shown; that it is not is in the log."""

    async def publish(_markdown: str, **_: Any) -> None:
        if how == "refused":
            raise OSError("away")
        await asyncio.Event().wait()

    async def read(_run: str) -> list[Entry]:
        return record(*BEGUN)

    monkeypatch.setattr(expected, "PUBLISH_SECONDS", 0.01 if how == "silent" else 5)
    monkeypatch.setattr(expected, "read_entries", read)
    monkeypatch.setattr(expected, "publish_markdown", publish)
    await expected.publish_progress("run-2", plan=PLAN)
    assert "could not be published" in caplog.text


async def test_the_form_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whatever is wrong with what is kept keeps no question from people."""
    assert (await expected.in_words(record(*BEGUN), plan=PLAN, waits=True)).startswith("once it goes on, 1 min 59 s of work are left")
    monkeypatch.setattr(expected, "times_of", lambda _plan: [None])
    assert await expected.in_words(record(*BEGUN), plan=PLAN) == ""


def test_the_status_has_it_for_people_and_programs() -> None:
    """Of a record whose review does not name a service there is none."""
    found = status._expected(
        [one.model_copy(update={"evidence": {**one.evidence, "service": "shop"}}) for one in record(*BEGUN)], times_of_service
    )
    assert found
    assert (found["found"], found["counted"], found["middle"]) == (1, 1, 119)
    assert "by 1 earlier release" in found["words"]
    assert status._expected(record(*BEGUN), times_of_service) is None


async def test_of_another_service_one_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: `shipway status` asks once for each service that has an open run."""
    for number in range(3):
        await keep_times(PLAN, run=f"run-{number}", entries=record(*BEGUN, *WAVE, *ENDED))
    read, kept_read = list[str](), kept_files._read
    monkeypatch.setattr(kept_files, "_read", lambda path, *more, **named: (read.append(path.name), kept_read(path, *more, **named))[1])
    assert (len(times_of_service("mail")), len(read)) == (0, 1)
    assert len(times_of_service("shop")) == len(read) - 1 > 1


async def test_an_estimate_that_no_calendar_has_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the form nor in the status."""
    took = [one.model_copy(update={"phases": tuple(p.model_copy(update={"seconds": 1e13}) for p in one.phases)}) for one in times_of(PLAN)]
    monkeypatch.setattr(expected, "times_of", lambda _plan: took)
    assert await expected.in_words(record(*BEGUN), plan=PLAN) == ""
    shop = [one.model_copy(update={"evidence": {**one.evidence, "service": "shop"}}) for one in record(*BEGUN)]
    assert status._expected(shop, lambda _service: took) is None
