"""`shipway status` says what is observed after deployments, by what is kept on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from flows.commands._observed import observed
from tasks.lifecycle.observed import FOLDER, begin_observed
from tests.rules.lifecycle.test_observed import begun


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a key folder of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


def test_what_goes_on_is_listed_with_its_end_and_last_result() -> None:
    """And what is over is not; a file that cannot be read is named."""
    going, since = begun(), datetime(2026, 3, 1, tzinfo=UTC)
    begin_observed("shop", going, release="r1", since=since)
    begin_observed("till", going.model_copy(update={"ended": "its time is over"}), release="r1", since=since)
    kept_path(FOLDER, "broken").write_bytes(b"x")
    broken, shop = observed()
    assert (broken["service"], "broken cannot be read" in broken["what"]) == ("broken", True)
    assert shop["what"].startswith("shop 1.1 until Sun 2026-03-01 14:00 UTC; the first look is due")
    assert (shop["release"], shop["until"], shop["outcome"], shop["passed"]) == ("r1", going.until, "", 0)


def test_where_nothing_is_observed_nothing_is_said() -> None:
    """As before the first release."""
    assert observed() == []
