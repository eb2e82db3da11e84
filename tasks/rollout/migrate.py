"""Migrations: run one, tag the run with its contracts, and find the contracts of earlier releases."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from prefect import get_client, task

from blocks.errors import BadInput
from blocks.platform import Lease, Platform, RunsJobs
from tasks.lifecycle.lock import change_tags, tagged
from tasks.lifecycle.policy import OBSERVE, ONCE_ON_PLATFORM
from tasks.record.journal import read_entries
from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import moment, outcome_of
from tasks.rules.rollout.migrations import Contract, contracts_in, due, restored_in

CONTRACT = "shipway:contract"
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
async def note_contract(run: str) -> None:
    """Tag a run whose record has contracts, so that every later rollback finds it."""
    async with get_client() as client:
        await change_tags(client, run, add={CONTRACT})


@task(name="find contracts", **OBSERVE)
async def find_contracts(service: str) -> tuple[list[Contract], set[tuple[str, str, str]]]:
    """Find the contracts that releases of a service started, and those that rollbacks restored; tags find the runs, records decide."""
    async with get_client() as client:
        runs = [str(run.id) for run in await tagged(client, f"service:{service}", CONTRACT)]
    contracts: list[Contract] = []
    restored: set[tuple[str, str, str]] = set()
    for run in runs:
        entries = await read_entries(run)
        contracts += contracts_in(entries, run=run)
        restored |= restored_in(entries)
    return contracts, restored


@task(name="find last release", **OBSERVE)
async def last_deployed(service: str, *, version: str) -> datetime | None:
    """Find when the newest release that deployed a version began; None if no record has one."""
    async with get_client() as client:
        runs = await tagged(client, f"service:{service}", f"version:{version}", "outcome:deployed")
    for run in reversed(runs):
        entries = await read_entries(str(run.id))
        if entries and entries[0].evidence.get("version") == version and outcome_of(entries) == "deployed":
            return moment(entries[0])
    return None
