"""The demo's Prometheus, if the program is installed: it scrapes the router, and the plan uses it as a second source."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

from flows.commands import _output

NAME = "prometheus"
PLAN = "shipway-prometheus.yaml"
START_SECONDS = 20
MOST_BYTES = 1_000_000
SCRAPES, WITHIN_SECONDS = 3, 3  # there are two a second
FIRST = "1.0.0"
SOON = "--scrape.discovery-reload-interval=200ms"
CONFIGURATION = """# Written by `shipway demo`.
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
  - {{job_name: guestbook, static_configs: [{{targets: ["127.0.0.1:{port}"]}}]}}
"""
# Lines of the plan that are commented out: `#` without a blank before a list's item or its fields.
COMMENTED = re.compile(r"^( {4})#(?=- |  )", re.MULTILINE)


async def start(home: Path) -> str:
    """Start a Prometheus that scrapes production's router, if the program is installed.

    Args:
        home: The demo's home directory; its production runs.

    Returns:
        Its address; "" if the program is not installed.
    """
    program = shutil.which(NAME)
    if program is None:
        _output.show("Prometheus is not installed, so the router's counts alone decide (to add it on Debian: apt-get install prometheus).")
        return ""
    from blocks.local.client import LocalClient

    router = await LocalClient(home / "local" / "guestbook-production", service="guestbook", port=0).view()
    return _start(program, home, scraped=router["admin_port"])


async def ask(url: str, home: Path, plan: Path) -> Path:
    """Write a plan that also asks this Prometheus, and wait until Prometheus can answer.

    Args:
        url: Its address; "" if there is none.
        home: The demo's home directory.
        plan: The service's plan.

    Returns:
        The plan for the releases: the service's own if there is no Prometheus.

    Raises:
        Permanent: It does not scrape; its log says why.
    """
    if not url:
        return plan
    from blocks.prometheus.prometheus import Prometheus

    await Prometheus(url=url, lookback_seconds=15).save("shipway", overwrite=True)
    asking = plan.with_name(PLAN)
    await asyncio.to_thread(asking.write_text, uncommented(await asyncio.to_thread(plan.read_text)))
    await asyncio.to_thread(_until_scraped, url, log=home / "logs" / f"{NAME}.log")
    _output.show(f"Prometheus at {url} scrapes the router; the releases use {asking}, which asks it too\n")
    return asking


def uncommented(plan: str) -> str:
    """Uncomment the lines of a plan that ask Prometheus."""
    return COMMENTED.sub(r"\1", plan)


def _start(program: str, home: Path, *, scraped: int) -> str:
    from blocks import processes
    from blocks.server import settings

    folder = home / NAME
    shutil.rmtree(folder, ignore_errors=True)  # else the last samples of an earlier demo count as current for five minutes
    folder.mkdir()
    (folder / "prometheus.yml").write_text(CONFIGURATION.format(port=scraped))
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    argv = [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    argv += ["--storage.tsdb.retention.time=1d", f"--web.listen-address=127.0.0.1:{port}", *_soon(program)]
    processes.start(argv, name=NAME, run=home / "run", log=home / "logs" / f"{NAME}.log", env=settings.inherited(), cwd=folder)
    return f"http://127.0.0.1:{port}"


def _soon(program: str) -> list[str]:
    """Return the option that makes the first scrape happen at once, not after five seconds, if this Prometheus has it."""
    known = subprocess.run([program, SOON, "--version"], capture_output=True, check=False)
    return [SOON] if known.returncode == 0 else []


def _until_scraped(url: str, *, log: Path) -> None:
    """Wait until every SLI is readable, as the checklist requires: an increase needs two scrapes of this demo."""
    from blocks.bounded import read_open
    from blocks.errors import Permanent

    series = f'shipway_request_duration_seconds_count{{version="{FIRST}"}}[{WITHIN_SECONDS}s]'
    query = urllib.parse.urlencode({"query": f"count_over_time({series}) >= {SCRAPES}"})
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{url}/api/v1/query?{query}", timeout=2) as answer,  # noqa: S310 - our own on loopback
        ):
            if json.loads(read_open(answer, headers=answer.headers, most_bytes=MOST_BYTES, seconds=2))["data"]["result"]:
                return
        time.sleep(0.1)
    raise Permanent(f"Prometheus did not scrape the router within {START_SECONDS} s; {log} says why")
