"""Probing many addresses."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time

import httpx

from tasks.rules.plan.plan import HealthCheck
from tasks.verification.health import probe_all
from tasks.verification.http_check import AT_ONCE, Asker, http_client

COUNT = 1_000
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"status":"ok"}'


async def compare(*, runs: int) -> None:
    """1,000 health checks against a bare httpx loop of the same concurrency; at most 1.2 is asked for."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    checks = [HealthCheck(path=f"/healthz/{number}", timeout_seconds=30) for number in range(COUNT)]
    pairs = []
    for _ in range(max(runs, 5)):
        begun = time.perf_counter()
        async with http_client() as client:
            probes = await probe_all(Asker(client), target, checks=checks, version="1.0")
        ours = time.perf_counter() - begun
        assert all(probe.answer.status == 200 for probe in probes)
        pairs.append((ours, await _bare(target)))
    server.close()
    ratios = [ours / bare for ours, bare in pairs]
    print(
        f"   ours {statistics.median(p[0] for p in pairs):.2f} s, bare httpx {statistics.median(p[1] for p in pairs):.2f} s, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


async def _bare(target: str) -> float:
    begun = time.perf_counter()
    turns = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=AT_ONCE)) as client:

        async def get(number: int) -> int:
            async with turns:
                return (await client.get(f"{target}/healthz/{number}", timeout=30)).status_code

        assert set(await asyncio.gather(*(get(number) for number in range(COUNT)))) == {200}
    return time.perf_counter() - begun


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.CancelledError):  # the server is closed under open connections
        while await reader.readline():
            while (await reader.readline()).strip():
                pass
            writer.write(ANSWER)
            await writer.drain()
    writer.close()
