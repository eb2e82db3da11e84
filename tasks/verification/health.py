"""Health: parallel requests to a revision over one client, of which only a stable result counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from prefect import task

from blocks.platform import source_version
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.lifecycle.results import checks_passed
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import HealthCheck, Verification
from tasks.verification.http_check import AT_ONCE, Asker, Checked, address_of, http_client, load_secrets


@task(name="probe health", **OBSERVE)
async def probe_health(target: str, *, verification: Verification, version: str, receiver: Receiver) -> dict[str, object]:
    """Run every health check in rounds until all passed often enough in a row.

    Args:
        target: Base URL of the revision.
        verification: The plan's checks and how long they must hold.
        version: Replaces `{version}` in paths and expected values.
        receiver: Whose version it is, for the credentials that a check names.

    Returns:
        `outcome` passed or failed, `reason`, `rounds`, and the last `table` (path, status, milliseconds, fault).

    Raises:
        BadInput: A credential that a check names does not exist, or is not for this version.
    """
    stability, version = verification.stability, source_version(version)
    secrets = await load_secrets(verification.health, field="verification.health", receiver=receiver)
    deadline = time.monotonic() + stability.timeout_seconds
    good = rounds = 0
    async with http_client() as client:
        asker = Asker(client, secrets)
        while True:
            found = await probe_all(asker, target, checks=verification.health, version=version)
            rounds += 1
            good = 0 if any(one.fault for one in found) else good + 1
            if good >= stability.successes or time.monotonic() + stability.interval_seconds > deadline:
                break
            await asyncio.sleep(stability.interval_seconds)
    urls = [address_of(check, target, version) for check in verification.health]
    return _report(urls, found, good=good, rounds=rounds, needed=stability.successes)


async def probe_all(asker: Asker, target: str, *, checks: Sequence[HealthCheck], version: str) -> list[Checked]:
    """Send all requests, at most 50 at once.

    Args:
        asker: One for all.
        target: Base URL.
        checks: The health checks.
        version: Replaces `{version}`.

    Returns:
        The result of each check, in their order.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def probe(check: HealthCheck) -> Checked:
        async with turns:
            return await asker.check(check, target, version=version, timeout_seconds=check.timeout_seconds)

    return await asyncio.gather(*(probe(check) for check in checks))


def _report(urls: Sequence[str], found: Sequence[Checked], *, good: int, rounds: int, needed: int) -> dict[str, object]:
    table = [
        {"url": url, "status": one.answer.status, "milliseconds": round(one.answer.seconds * 1000, 1), "fault": one.fault}
        for url, one in zip(urls, found, strict=True)
    ]
    worst = next((f"{row['url']} {row['fault']}" for row in table if row["fault"]), "")
    if good >= needed:
        return {"outcome": "passed", "reason": f"{checks_passed(len(found))} {good} times in a row", "rounds": rounds, "table": table}
    reason = f"{worst}" if worst else f"passed only {good} of {needed} times in a row"
    return {"outcome": "failed", "reason": f"{reason} ({rounds} rounds)", "rounds": rounds, "table": table}
