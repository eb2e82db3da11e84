"""A release whose run was deleted or lost its tags does not vanish from the history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tasks.record.store import store_entry
from tasks.record.unlisted import Unlisted, find_unlisted


async def test_what_ended_and_is_in_no_list_is_found_by_its_head(tmp_path: Path) -> None:
    """Only what was closed, since the list begins, and of the service."""
    now = datetime.now(UTC)
    for run, outcome, at in (("r1", "failed", now), ("r2", "deployed", now), ("r3", "", now), ("r4", "failed", now - timedelta(days=9))):
        await store_entry(tmp_path, run, kind="opened", who="rita", what="Asked.", evidence={"flow": "release"}, at=at)
        await store_entry(tmp_path, run, kind="review", who="shipway", what="Seen.", evidence={"service": "shop"}, at=at)
        if outcome:
            await store_entry(tmp_path, run, kind="closed", who="shipway", what="Ended.", evidence={"outcome": outcome}, at=at)
    hidden = Unlisted("r1", "release", "failed")
    since = now - timedelta(days=1)
    assert await find_unlisted(tmp_path, listed={"r2"}, since=since) == [hidden]
    assert await find_unlisted(tmp_path, listed={"r2"}, since=since, service="shop") == [hidden]
    assert await find_unlisted(tmp_path, listed={"r2"}, since=since, service="another") == []
    assert len(await find_unlisted(tmp_path, listed={"r2"}, since=None)) == 2
    (tmp_path / "records" / "r1" / "00003.json").unlink()
    assert [one.outcome for one in await find_unlisted(tmp_path, listed={"r2"}, since=since)] == ["record broken"]
