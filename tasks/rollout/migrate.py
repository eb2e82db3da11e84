"""Migrations: run one, keep that a run has contracts, and find the contracts of earlier releases."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx
from prefect import get_client, task
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

from blocks.errors import BadInput
from blocks.platform import Lease, Platform, RunsJobs
from tasks.lifecycle.retries import OBSERVE, ONCE_ON_PLATFORM
from tasks.record.journal import read_entries
from tasks.record.kept_index import keep_run, kept_runs_of
from tasks.record.without_key import is_rolling_back
from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import moment, outcome_of
from tasks.rules.rollout.migrations import Contract, contracts_in, due, restored_in

MOST_TAGGED, SERVER_SECONDS = 20, 5.0
MOST_LINES = 100
LINE_LENGTH = 500


def expect_jobs(platform: Platform, plan: Plan, environment: str) -> None:
    """Refuse a plan with migrations on a platform that cannot run them.

    Raises:
        BadInput: It cannot.
    """
    wanted = due(plan.migrations, environment=environment)
    if wanted and not isinstance(platform, RunsJobs):
        names = ", ".join(one.name for one in wanted)
        raise BadInput(
            f"the platform of {environment} cannot run Jobs, and the plan names {names}",
            field="migrations",
            fix="Leave it out of their `environments`, or name a platform that can, as kubernetes.",
        )


@task(name="run migration", **ONCE_ON_PLATFORM)
async def run_migration(
    platform: Platform,
    *,
    name: str,
    manifest: dict[str, Any],
    lease: Lease,
    timeout_seconds: float,
    key: str,  # noqa: ARG001
) -> dict[str, Any]:
    """Run a migration to its end.

    Returns:
        `seconds`, and `log`: its last 100 lines.

    Raises:
        BadInput: The platform rejects it; nothing ran.
        RolloutFailed: It failed; carries its last lines.
    """
    if not isinstance(platform, RunsJobs):
        raise BadInput(f"this platform cannot run the Job of {name}", field="migrations", fix="Name a platform that can, as kubernetes.")
    began = time.monotonic()
    lines = await platform.run_job(manifest, lease, name=name, timeout_seconds=timeout_seconds)
    return {"seconds": round(time.monotonic() - began, 1), "log": [line[:LINE_LENGTH] for line in lines[-MOST_LINES:]]}


@task(name="note contract", **OBSERVE)
async def note_contract(run: str, *, service: str) -> None:
    """Note beside the key a run whose record has contracts, so that every later rollback finds it.

    Raises:
        KeyFolderFault: The key's folder cannot be used, and this is not a rollback.
    """
    await keep_run("contracts", service, run=run, must=not is_rolling_back())


@task(name="find contracts", **OBSERVE)
async def find_contracts(service: str) -> tuple[list[Contract], set[tuple[str, str, str]]]:
    """Find the contracts that releases of a service started, and those that rollbacks restored.

    What is kept beside the key names the runs, and records decide. Tags of runs count for nothing: whoever has the API's password could
    write some that no rollback may cross.
    """
    contracts: list[Contract] = []
    restored: set[tuple[str, str, str]] = set()
    for run in await kept_runs_of("contracts", service):
        entries = await read_entries(run)
        contracts += contracts_in(entries, run=run)
        restored |= restored_in(entries)
    return contracts, restored


@task(name="find last release", **OBSERVE)
async def last_deployed(service: str, *, version: str) -> datetime | None:
    """Find when the newest release that deployed a version began; None if no record has one.

    It lets a rollback pass, so that a run that only tags name counts, too, if its record says so; of these a few are read.
    """
    kept = await kept_runs_of("deployed", service, version=version)
    tags = await _tagged(f"service:{service}", f"version:{version}", "outcome:deployed") if not kept else []
    records = [await read_entries(run) for run in {*tags, *kept}]
    began = [moment(one[0]) for one in records if one and one[0].evidence.get("version") == version and outcome_of(one) == "deployed"]
    return max(began, default=None)


async def _tagged(*tags: str) -> list[str]:
    """Name some runs by their tags; none if the server does not answer, since a rollback goes on without it."""
    chosen = FlowRunFilter(tags=FlowRunFilterTags(all_=list(tags)))
    with suppress(httpx.HTTPError, RuntimeError, TimeoutError):
        async with asyncio.timeout(SERVER_SECONDS), get_client() as client:
            return [str(run.id) for run in await client.read_flow_runs(flow_run_filter=chosen, limit=MOST_TAGGED)]
    return []
