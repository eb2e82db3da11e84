"""Past: releases and rollbacks by their records; the server is asked for what has none, and whether it still lists the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterId,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort

from tasks.lifecycle.lock import OUTCOME, PAGE
from tasks.record.facts import Found, all_facts, facts_of_runs
from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.wanted import Wanted

SHOWN = ("shipway:release", "shipway:rollback", "shipway:production", "shipway:staging")
NO_RECORD, BROKEN = "no_record", "record_broken"  # of these it is not known how they ended
MOST_VERIFIED = 200
MOST_LEFT_OUT = 20_000  # ids that one request names: the database takes no more than 32,767 values


@dataclass(frozen=True, slots=True)
class Row:
    """One run of the past.

    Fields:
        run: Flow run id.
        flow: Its flow.
        service: "" if that is not known, as `version`.
        outcome: How it ended by its record; `open`, `no_record` or `record_broken`.
        opened: When it was asked for; None if that is not known.
        facts: What its record says; None without one that can be trusted.
        listed: Whether the server lists it.
    """

    run: str
    flow: str
    service: str
    version: str
    outcome: str
    opened: datetime | None
    facts: Facts | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Past:
    """What was found.

    Fields:
        rows: The newest first.
        more: Whether there are older ones than were asked for.
        verified: Whether each record was read and verified now; else what was kept when they were closed counts.
        unchecked: How many records count although their seals could not be checked.
        broken: Records that cannot be trusted, and of which the server does not say what they are.
    """

    rows: list[Row]
    more: bool
    verified: bool
    unchecked: int
    broken: list[str]


async def past_of(client: PrefectClient, storage: Any, wanted: Wanted, *, limit: int) -> Past:
    """List the newest runs that are wanted.

    Args:
        client: Of the server.
        storage: Where the records are.
        wanted: Which.
        limit: How many at most.
    """
    found = await all_facts(storage)
    chosen, read, verified = await _chosen(storage, found, wanted, limit=limit + 1)
    since = chosen[-1].opened if len(chosen) > limit else wanted.since
    others = await _others(client, found, wanted, since=since, limit=limit + 1)
    told = await facts_of_runs(storage, [str(run.id) for run in others])
    told = _joined(told, read)
    known = {facts.run: facts for facts in (*chosen, *told.facts)}
    rows = [row for facts in known.values() if _loosely(wanted).takes(facts) and _ended_so(row := _of_record(facts, told), wanted)]
    rows += [row for run in others if str(run.id) not in known and _fits(row := _of_server(run, {*told.broken, *found.broken}), wanted)]
    rows += await _nameless(client, found, wanted)
    rows = sorted({row.run: row for row in rows}.values(), key=_order, reverse=True)
    gone = await _unlisted(client, [row.run for row in rows[:limit]])
    listed = [replace(row, listed=row.run not in gone) for row in rows[:limit]]
    broken = sorted({*found.broken, *read.broken} - {row.run for row in rows})
    return Past(listed, len(rows) > limit, verified, told.unchecked, broken)


async def _chosen(storage: Any, found: Found, wanted: Wanted, *, limit: int) -> tuple[list[Facts], Found, bool]:
    """Choose the newest runs with a record, and verify them before the wanted outcome counts: what was changed has ended in no known way.

    Returns:
        The runs, what was read of those that were verified, and whether all that may fit were: of too many what was kept counts.
    """
    loose = _loosely(wanted)
    fitting = [facts for facts in found.facts if loose.takes(facts) and wanted.outcome in {"", BROKEN, facts.outcome}]
    if wanted.outcome != BROKEN and min(len(fitting), limit) > MOST_VERIFIED:
        return _newest(fitting, limit=limit), Found(unchecked=found.unchecked), False
    asked, chosen, read = _newest(fitting, limit=MOST_VERIFIED), list[Facts](), Found()
    while asked and len(chosen) < limit:
        part, asked = asked[: limit - len(chosen)], asked[limit - len(chosen) :]
        read = _joined(read, await facts_of_runs(storage, [facts.run for facts in part], verify=True))
        chosen += [facts for facts in part if _ended_so(_of_record(facts, read), wanted)]
    return chosen, read, len(chosen) >= limit or len(fitting) <= MOST_VERIFIED


def _loosely(wanted: Wanted) -> Wanted:
    """Give what is wanted, however it ended."""
    return replace(wanted, outcome="")


def _ended_so(row: Row, wanted: Wanted) -> bool:
    return wanted.outcome in {"", row.outcome}


def _newest(facts: list[Facts], *, limit: int) -> list[Facts]:
    return sorted(facts, key=lambda one: (one.opened, one.run), reverse=True)[:limit]


def _order(row: Row) -> tuple[float, str]:
    return row.opened.timestamp() if row.opened else float("inf"), row.run


def _joined(one: Found, other: Found) -> Found:
    return Found([*one.facts, *other.facts], {**one.broken, **other.broken}, one.unchecked + other.unchecked)


def _of_record(facts: Facts, told: Found) -> Row:
    row = Row(facts.run, facts.flow, facts.service, facts.version, facts.outcome, facts.opened, facts)
    return replace(row, outcome=BROKEN, facts=None) if facts.run in told.broken else row


def _of_server(run: FlowRun, broken: Collection[str]) -> Row:
    """Describe a run without a record that can be trusted by its tags, which anyone with the API's password can write."""
    said = {name: value for name, _, value in (tag.partition(":") for tag in run.tags) if name != "shipway"}
    flow = next((tag.partition(":")[2] for tag in SHOWN if tag in run.tags), "")
    claimed = any(tag.startswith(OUTCOME) for tag in run.tags)
    outcome = BROKEN if str(run.id) in broken else NO_RECORD if claimed else "open"
    at = run.start_time or run.expected_start_time
    return Row(str(run.id), flow, said.get("service", ""), said.get("version", ""), outcome, at)


def _fits(row: Row, wanted: Wanted) -> bool:
    return not wanted.only_record_tells and wanted.outcome in {"", row.outcome}


async def _others(client: PrefectClient, found: Found, wanted: Wanted, *, since: datetime | None, limit: int) -> list[FlowRun]:
    """Ask for the runs of the span of which no record can be read, or only a broken one."""
    recent = _newest([one for one in found.facts if since is None or one.opened >= since], limit=MOST_LEFT_OUT)
    known = [name for one in recent if (name := _uuid(one.run))]
    service = {"all_": [f"service:{wanted.service}"]} if wanted.service else {}
    chosen = FlowRunFilter(
        id=FlowRunFilterId(not_any_=known) if known else None,
        tags=FlowRunFilterTags(any_=list(SHOWN), **service),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=since, before_=wanted.until) if since or wanted.until else None,
    )
    runs: list[FlowRun] = []
    while len(runs) < limit:
        page = await client.read_flow_runs(
            flow_run_filter=chosen, sort=FlowRunSort.START_TIME_DESC, limit=min(PAGE, limit - len(runs)), offset=len(runs)
        )
        runs += page
        if len(page) < PAGE:
            break
    return runs


async def _nameless(client: PrefectClient, found: Found, wanted: Wanted) -> list[Row]:
    """Find the runs that ended before their record named a service, and that the server lists under the wanted one."""
    if not wanted.service:
        return []
    anyone = replace(wanted, service="")
    nameless = {one.run: one for one in _newest([one for one in found.facts if not one.service and anyone.takes(one)], limit=PAGE)}
    names = [name for run in nameless if (name := _uuid(run))]
    tags = FlowRunFilterTags(all_=[f"service:{wanted.service}"])
    runs = (
        await client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=names), tags=tags), limit=PAGE) if names else []
    )
    nothing = Found()
    return [replace(_of_record(nameless[str(run.id)], nothing), service=wanted.service) for run in runs]


async def _unlisted(client: PrefectClient, runs: Sequence[str]) -> set[str]:
    """Find the runs that the server does not list any more: they were deleted, or lost their tags."""
    names = [name for run in runs if (name := _uuid(run))]
    gone = set(runs) - set(map(str, names))
    asked = [names]
    while asked:
        part = asked.pop()
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=part), tags=FlowRunFilterTags(any_=list(SHOWN)))
        if not part or await client.count_flow_runs(flow_run_filter=chosen) == len(part):
            continue
        if len(part) > PAGE:
            asked += _halves(part)
        else:
            gone |= set(map(str, part)) - {str(run.id) for run in await client.read_flow_runs(flow_run_filter=chosen, limit=PAGE)}
    return gone


def _halves(names: Sequence[UUID]) -> Iterator[list[UUID]]:
    middle = len(names) // 2
    yield from (list(names[:middle]), list(names[middle:]))


def _uuid(run: str) -> UUID | None:
    try:
        return UUID(run)
    except ValueError:
        return None
