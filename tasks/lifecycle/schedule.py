"""Scheduled runs: releases and choices of a candidate whose time is to come, as the server has them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Scheduled

from blocks.errors import Refused
from blocks.key_folder.key_file import secret_name
from tasks.lifecycle.lock import OPEN, tagged
from tasks.rules.windows.schedule import Due, due_in
from tasks.rules.windows.zones import in_utc

CANDIDATE = "candidate"
WITHIN_MINUTES, MOST_WITHIN_MINUTES = 60, 10_080  # after its time a chosen release may begin production
MOST = 200
EACH = 3  # of a schedule that recurs the server has made a hundred runs


class ToCome(NamedTuple):
    """A run whose production is to begin: not before `begin`, not later than `latest` (UTC), if that is bounded."""

    run: FlowRun
    begin: datetime
    latest: datetime | None


async def request_release(client: PrefectClient, wanted: Mapping[str, Any], *, service: str, key: str) -> FlowRun:
    """Request a release for now, once for a key.

    Args:
        client: Of the server.
        wanted: The flow's parameters.
        service: The plan's service.
        key: Asked again under it, the server gives the same run; others cannot know what is made of it.

    Raises:
        Refused: Others made a run in its place.
        ObjectNotFound: There is no deployment `release`.
        PrefectHTTPStatusError: The server refuses a parameter, or does not answer.
    """
    known = await client.read_deployment_by_name("release/release")
    names = names_of_release(service, str(wanted["version"]))
    secret = await asyncio.to_thread(secret_name, key)
    found = await client.create_flow_run_from_deployment(known.id, parameters=dict(wanted), idempotency_key=secret, **names)
    if found.deployment_id != known.id or found.parameters.get("plan") != wanted["plan"]:
        raise Refused(f"the run {found.id} was made in place of this release by others; request the release by hand")
    return found


def names_of_release(service: str, version: str) -> dict[str, Any]:
    """Give the name and tags of a release that has not begun, so that people see and find it; it takes them itself when it begins."""
    return {"name": f"release {service} {version}", "tags": [f"service:{service}", f"version:{version}"]}


def in_future(at: datetime) -> dict[str, Any]:
    """Give the first state of a run that starts at a moment."""
    return {"state": Scheduled(scheduled_time=at)}


async def scheduled_candidates(client: PrefectClient) -> list[FlowRun]:
    """List the choices of a candidate that are to come, the next ones first; of one that recurs the next three."""
    state: Any = {"type": {"any_": ["SCHEDULED"]}}
    runs = await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[CANDIDATE])),
        flow_run_filter=FlowRunFilter(state=state),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
        limit=MOST,
    )
    seen: dict[object, int] = {}
    found = []
    for run in runs:
        kind = (run.deployment_id, str(run.parameters.get("plan")), run.auto_scheduled)
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= EACH or not run.auto_scheduled:
            found.append(run)
    return found


async def scheduled_runs(client: PrefectClient) -> list[ToCome]:
    """List the open releases whose production is to begin, and the choices of a candidate, the next ones first.

    One that was scheduled with an earlier preparation may run or wait already.
    """
    found = []
    for run in [*await tagged(client, OPEN), *await scheduled_candidates(client)]:
        due, starts, is_final = due_of(run), due_at(run), run.state is not None and run.state.is_final()
        begin = max((moment for moment in (starts, due and due.begin) if moment), default=None)
        if begin is not None and not is_final:
            found.append(ToCome(run, begin, due.latest if due else None))
    return sorted(found, key=lambda one: one.begin)


def due_of(run: FlowRun) -> Due | None:
    """Read when a run is due from its parameters, which anyone with the API can write; None if they are not moments."""
    try:
        return due_in(run.parameters)
    except ValueError:
        return None


def expected_at(run: FlowRun) -> datetime | None:
    """Give when a run was to start at first, whether it has by now or not; None if that cannot be meant."""
    at = run.expected_start_time
    try:
        return in_utc(datetime.fromtimestamp(at.timestamp(), UTC)) if at else None  # Prefect's own type warns of what its methods do
    except (ValueError, OverflowError):
        return None


def latest_of_candidate(run: FlowRun) -> datetime | None:
    """Give until when the release of a choice may begin production, by its parameters; None if they do not say it."""
    due, expected, within = due_of(run), expected_at(run), run.parameters.get("within_minutes", WITHIN_MINUTES)
    if due is not None and due.latest is not None:
        return due.latest
    is_meant = expected is not None and isinstance(within, int) and 0 < within <= MOST_WITHIN_MINUTES
    return expected + timedelta(minutes=within) if is_meant and expected else None


def due_at(run: FlowRun) -> datetime | None:
    """Give when a run starts that was not started yet; None for any other."""
    if run.state is None or not run.state.is_scheduled() or run.run_count:
        return None
    at = run.state.state_details.scheduled_time or run.expected_start_time
    try:
        return in_utc(datetime.fromtimestamp(at.timestamp(), UTC)) if at else None  # Prefect's own type warns of what its methods do
    except (ValueError, OverflowError):
        return None
