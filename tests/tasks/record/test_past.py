"""The past by its records: what is noticed of changed records and of deleted runs, and what of thousands is not read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.schemas.filters import FlowRunFilter

from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.kept_files import write_kept
from blocks.key_folder.key_file import key_path
from flows.commands import history
from tasks.record.facts import FOLDER, Found
from tasks.record.past import _of_record, past_of
from tasks.rules.metrics.metrics import Selection, measure
from tasks.rules.metrics.wanted import Wanted
from tests.rules.metrics.made import MONDAY, Writer, released, rolled_back
from tests.tasks.record.test_facts import ended


class Listed:
    """A server that lists some runs, all of one service by their tags."""

    def __init__(self, *runs: str) -> None:
        """Keep the runs."""
        self.runs, self.requests = {UUID(run) for run in runs}, 0

    async def read_flow_runs(self, *, flow_run_filter: FlowRunFilter, **_: Any) -> list[Any]:
        """Give those that are asked for by id."""
        self.requests += 1
        wanted = (flow_run_filter.id.any_ or []) if flow_run_filter.id else []
        return [type("Run", (), {"id": run, "tags": ["service:shop"]}) for run in wanted if run in self.runs]

    async def count_flow_runs(self, *, flow_run_filter: FlowRunFilter) -> int:
        """Count them."""
        return len(await self.read_flow_runs(flow_run_filter=flow_run_filter))


async def past(storage: Path, server: Any, *, limit: int = 20, **wanted: Any) -> Any:
    """List the past."""
    return await past_of(server, storage, Wanted(**wanted), limit=limit)


async def test_a_record_that_was_changed_is_broken_although_its_facts_were_kept(tmp_path: Path) -> None:
    """Its service is still known, so that a filter does not hide it; what it says is not."""
    run = str(uuid4())
    await ended(tmp_path, run)
    (tmp_path / "records" / run / "00002.json").write_bytes(b"{}")
    (row,) = (await past(tmp_path, Listed(run), service="shop")).rows
    assert (row.outcome, row.service, row.facts, row.listed) == ("record_broken", "shop", None, True)


async def test_a_filter_takes_what_the_record_says_now_and_not_what_was_kept_of_it(tmp_path: Path) -> None:
    """A record that was changed after its end is found as broken, and not as deployed; there it is named apart."""
    good, changed = str(uuid4()), str(uuid4())
    for run in (good, changed):
        await ended(tmp_path, run)
    (tmp_path / "records" / changed / "00002.json").write_bytes(b"{}")
    server = Listed(good, changed)
    assert [row.run for row in (await past(tmp_path, server, outcome="record_broken")).rows] == [changed]
    for limit in (1, 20):
        found = await past(tmp_path, server, outcome="deployed", limit=limit)
        assert ([row.run for row in found.rows], found.more) == ([good], False)
    assert found.broken == [changed]


async def test_without_the_key_it_is_said_of_how_many_the_seals_were_not_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Anyone could have written them, although each was read."""
    run = str(uuid4())
    await ended(tmp_path, run)
    key_path().unlink()
    found = await past(tmp_path, Listed(run))
    assert (found.unchecked, found.verified) == (1, True)
    history._show(found, Wanted(), limit=20)
    assert "1 records count although their seals could not be checked here." in capsys.readouterr().out


def test_the_success_rate_is_that_of_metrics() -> None:
    """Of releases and of production alone; staging alone is not one, and a broken record is in neither."""
    alone = Writer("p", "production", 0).say(0, "review", service="shop").say(1, "closed", outcome="failed").facts()
    staging = Writer("s", "staging", 0).say(0, "review", service="shop").say(1, "closed", outcome="failed").facts()
    facts = [released("a", 0), alone, staging, released("b", 0, outcome="refused"), rolled_back("c", 9, bad="1.0")]
    rows = [_of_record(one, Found()) for one in [*facts, released("x", 0)]]
    rows[-1] = _of_record(released("x", 0), Found(broken={"x": "changed"}))
    success = measure(facts, Selection("", "production", None, MONDAY + timedelta(days=1))).success
    assert history._counts(rows, "") == {"started": success.whole, "deployed": success.part, "unknown": 1}
    assert (success.part, success.whole) == (1, 2)
    assert history._counts(rows, "staging")["started"] == 2


async def test_what_ended_before_it_named_a_service_is_found_by_the_tags_of_its_run(tmp_path: Path) -> None:
    """Under no other service."""
    run = str(uuid4())
    facts = released(run, 0, service="")
    keep_head(run, Head(1, "a" * 64, closed=True))
    write_kept(FOLDER, run, {"head": "a" * 64, "facts": facts.dump()}, what="a test")
    assert [row.run for row in (await past(tmp_path, Listed(run), service="shop")).rows] == [run]
    assert (await past(tmp_path, Listed(), service="shop")).rows == []


async def test_of_more_than_two_hundred_runs_the_kept_facts_count_and_the_deleted_are_found_among_them(tmp_path: Path) -> None:
    """By a few requests; the newest come first, and that there are more is said."""
    runs = [str(uuid4()) for _ in range(260)]
    for number, run in enumerate(runs):
        keep_head(run, Head(1, "a" * 64, closed=True))
        write_kept(FOLDER, run, {"head": "a" * 64, "facts": released(run, number).dump()}, what="a test")
    gone, server = {runs[50], runs[259]}, Listed(*(set(runs) - {runs[50], runs[259]}))
    found = await past(tmp_path, server, limit=250)
    assert ([row.run for row in found.rows], found.more, found.verified) == (runs[:9:-1], True, False)
    assert {row.run for row in found.rows if not row.listed} == gone
    assert server.requests < 10


def test_a_filter_takes_what_the_record_says() -> None:
    """Each field by itself; the end of the span is not in it."""
    facts = released("r", 0, kind="fix", because_of="q", outcome="failed", where=("production/eu",))
    day = timedelta(days=1)
    taken = (
        {}, {"service": "shop"}, {"environment": "production"}, {"environment": "production/eu"}, {"environment": "staging"},
        {"outcome": "failed"}, {"kind": "fix"}, {"who": "rita"}, {"since": facts.opened}, {"until": facts.opened + day},
    )  # fmt: skip
    left: tuple[dict[str, Any], ...] = (
        {"service": "mail"}, {"environment": "production/us"}, {"outcome": "deployed"}, {"kind": "planned"}, {"who": "ada"},
        {"since": datetime.now(UTC) + day}, {"until": facts.opened},
    )  # fmt: skip
    assert [one for one in taken if not Wanted(**one).takes(facts)] == []  # type: ignore[arg-type]
    assert [one for one in left if Wanted(**one).takes(facts)] == []
