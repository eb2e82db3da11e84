"""Ask a revision whether it is well: many requests side by side over one client, and only a stable answer counts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from prefect import task

from blocks.platform import source_version
from tasks.lifecycle.policy import OBSERVE
from tasks.process.tls import trust
from tasks.rules.plan.plan import HealthCheck, Verification
from tasks.rules.verification.health import BODY_LIMIT_BYTES, Probe, fault_of

AT_ONCE = 50


@task(name="probe health", **OBSERVE)
async def probe_health(target: str, *, verification: Verification, version: str) -> dict[str, object]:
    """Ask every health check in rounds until all were well often enough in a row.

    Args:
        target: Base URL of the revision.
        verification: The plan's checks and how long they must hold.
        version: Replaces `{version}` in expected values.

    Returns:
        `outcome` passed or failed, `reason`, `rounds`, and the last `table` (path, status, milliseconds, fault).
    """
    stability = verification.stability
    deadline = time.monotonic() + stability.timeout_seconds
    good = rounds = 0
    async with probe_client() as client:
        while True:
            probes = await probe_all(client, target, checks=verification.health)
            faults = _faults(probes, verification.health, version)
            rounds += 1
            good = 0 if any(faults) else good + 1
            if good >= stability.successes or time.monotonic() + stability.interval_seconds > deadline:
                break
            await asyncio.sleep(stability.interval_seconds)
    return _report(probes, faults, good=good, rounds=rounds, needed=stability.successes)


async def probe_all(client: httpx.AsyncClient, target: str, *, checks: Sequence[HealthCheck]) -> list[Probe]:
    """Send all requests, at most 50 at once.

    Args:
        client: One client for all, as `probe_client` makes it.
        target: Base URL.
        checks: What to ask.

    Returns:
        One probe a check, in their order.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def probe(check: HealthCheck) -> Probe:
        async with turns:
            return await probe_once(client, target.rstrip("/") + check.path, timeout_seconds=check.timeout_seconds)

    return await asyncio.gather(*(probe(check) for check in checks))


async def probe_once(client: httpx.AsyncClient, url: str, *, timeout_seconds: float) -> Probe:
    """Send one GET; follows no redirect, reads a bounded body, and never raises for what the other side does."""
    start = time.monotonic()
    try:
        async with asyncio.timeout(timeout_seconds), client.stream("GET", url) as response:
            body, cut = await read_body(response)
        return Probe(url, response.status_code, time.monotonic() - start, body, cut=cut)
    except TimeoutError:
        return Probe(url, None, time.monotonic() - start, error=f"no answer within {timeout_seconds:g} s")
    except httpx.HTTPError as error:
        return Probe(url, None, time.monotonic() - start, error=f"no answer: {type(error).__name__} {error}".strip())


@asynccontextmanager
async def probe_client() -> AsyncIterator[httpx.AsyncClient]:
    """Make the one client of a round of probes: no redirects, no environment proxies, no timeout but each probe's own."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    certificates = await trust()
    async with httpx.AsyncClient(verify=certificates, follow_redirects=False, trust_env=False, limits=limits, timeout=None) as client:  # noqa: S113
        yield client


async def read_body(response: httpx.Response) -> tuple[bytes, bool]:
    """Read an answer's body up to 1 MB; of a longer one the beginning is kept, and True says so."""
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > BODY_LIMIT_BYTES:
            return body[:1000], True
    return body, False


def _faults(probes: Sequence[Probe], checks: Sequence[HealthCheck], version: str) -> list[str]:
    wanted = [{name: value.replace("{version}", source_version(version)) for name, value in check.json_fields.items()} for check in checks]
    return [fault_of(probe, status=check.status, json_fields=fields) for probe, check, fields in zip(probes, checks, wanted, strict=True)]


def _report(probes: Sequence[Probe], faults: Sequence[str], *, good: int, rounds: int, needed: int) -> dict[str, object]:
    table = [
        {"url": probe.url, "status": probe.status, "milliseconds": round(probe.seconds * 1000, 1), "fault": fault}
        for probe, fault in zip(probes, faults, strict=True)
    ]
    worst = next((f"{row['url']} {row['fault']}" for row in table if row["fault"]), "")
    if good >= needed:
        return {"outcome": "passed", "reason": f"{len(probes)} checks were well {good} times in a row", "rounds": rounds, "table": table}
    reason = f"{worst}" if worst else f"well only {good} of {needed} times in a row"
    return {"outcome": "failed", "reason": f"{reason} ({rounds} rounds)", "rounds": rounds, "table": table}
