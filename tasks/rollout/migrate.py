"""Migrations: run one, keep that a run has contracts, and find the contracts of earlier releases."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from prefect import task

from blocks.errors import BadInput
from blocks.platform import Lease, Platform, RunsJobs
from tasks.lifecycle.retries import OBSERVE, ONCE_ON_PLATFORM
from tasks.record.deployed import find_last_deployed
from tasks.record.journal import read_entries
from tasks.record.kept_index import keep_run, kept_runs_of
from tasks.record.without_key import is_rolling_back
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.migrations import Contract, Here, contracts_in, due, restored_in

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
async def last_deployed(service: str, *, version: str, here: Here) -> datetime | None:
    """Find when a version was last promoted in an environment by a run that deployed it; None if that is not known."""
    return await find_last_deployed(service, version=version, here=here)
