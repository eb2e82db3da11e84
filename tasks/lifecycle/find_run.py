"""Find the run that a person means: by id, the beginning of an id, name, or service."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from blocks.errors import BadInput
from tasks.lifecycle.lock import OPEN, PAGE, tagged

FLOWS = ["release", "rollback", "production", "staging", "verify", "pre_deploy", "post_deploy", "settle", "candidate", "observe"]
BEGINNING = re.compile(r"[0-9a-f][0-9a-f-]{3,35}")
SURE_LENGTH = 8  # what commands print of an id; two runs of one history do not share so much of it
LISTED = 5


async def find_run(client: PrefectClient, words: str, *, waiting: bool = False) -> FlowRun:
    """Find one run of our flows but the keeper, however many there are.

    An open run that matches is preferred; of several ended runs with a name or of a service, the newest.

    Args:
        client: Of the server.
        words: A whole id, its first four characters or more, a run's name, or a service.
        waiting: Prefer those that are suspended.

    Raises:
        BadInput: No run matches, or several open runs do, or several ids begin so.
    """
    try:
        return await client.read_flow_run(UUID(words))
    except ObjectNotFound:
        raise BadInput(
            f"the run {words} does not exist", field="RUN", fix="`shipway status` shows the runs that are open, `shipway history` all."
        ) from None
    except ValueError:
        pass
    if found := [run for run in await tagged(client, OPEN) if _fits(run, words)]:
        suspended = [run for run in found if run.state and run.state.is_paused()]
        return _only((waiting and suspended) or found, words)
    for chosen in ({"name": {"any_": [words]}}, {"tags": {"all_": [_service_tag(words)]}, "parent_task_run_id": {"is_null_": True}}):
        if runs := await _page(client, chosen, limit=1):
            return runs[0]
    if BEGINNING.fullmatch(words.lower()) and (found := [run async for run in _beginning(client, words.lower())]):
        return _only(found, words)
    fix = "Give an id or its beginning as in `shipway history`, a run's name, or a service."
    raise BadInput(f"no run matches {words!r}", field="RUN", fix=fix)


async def _beginning(client: PrefectClient, words: str) -> AsyncIterator[FlowRun]:
    """Look through all runs, the newest first: the server has no filter for the beginning of an id."""
    seen = 0
    while runs := await _page(client, {}, limit=PAGE, offset=seen):
        seen += len(runs)
        for run in runs:
            if str(run.id).startswith(words):
                yield run
                if len(words) >= SURE_LENGTH:
                    return


async def _page(client: PrefectClient, chosen: dict[str, Any], *, limit: int, offset: int = 0) -> list[FlowRun]:
    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=FLOWS)),
        flow_run_filter=FlowRunFilter(**chosen),
        sort=FlowRunSort.EXPECTED_START_TIME_DESC,
        limit=limit,
        offset=offset,
    )


def _only(found: list[FlowRun], words: str) -> FlowRun:
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{run.name} ({str(run.id)[:SURE_LENGTH]})" for run in found[:LISTED])
    raise BadInput(f"{len(found)} runs match {words!r}: {listed}", field="RUN", fix="Give the id of one.")


def _fits(run: FlowRun, words: str) -> bool:
    by_id = BEGINNING.fullmatch(words.lower()) and str(run.id).startswith(words.lower())
    return bool(by_id) or run.name == words or _service_tag(words) in run.tags


def _service_tag(service: str) -> str:
    return f"service:{service}"
