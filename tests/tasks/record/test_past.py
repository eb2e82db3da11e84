"""The past by its records: what is noticed of changed records and of deleted runs, and what of thousands is not read again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from prefect.client.schemas.filters import FlowRunFilter

from blocks.key_folder.heads import Head, keep_head
from blocks.key_folder.kept_files import write_kept
from tasks.record.facts import FOLDER
from tasks.record.past import past_of
from tasks.rules.metrics.wanted import Wanted
from tests.rules.metrics.made import released
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
