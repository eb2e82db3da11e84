"""`shipway up`: start database, server and workers on this machine, for daily use."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from flows.commands import _output

HELP = "Start the Prefect server, its database and the workers on this machine, and keep them running."
FINE, FAILED, REFUSED = 0, 1, 4
# What preparing the server needs.
NEEDED = (
    "prefect.main",
    "prefect.cli.deploy._core",
    "prefect.workers.process",
    "blocks.kubernetes.platform",
    "flows.release",
    "flows.rollback",
    "flows.settle",
    "flows.keeper",
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument(
        "--home", type=Path, metavar="FOLDER", help="the home directory, which holds everything (default: $SHIPWAY_HOME, or ~/.shipway)"
    )
    parser.add_argument(
        "--port", type=int, metavar="PORT", help="port of UI and API on 127.0.0.1 (default: a free one, kept over restarts)"
    )
    password = parser.add_mutually_exclusive_group()
    password.add_argument(
        "--auth", dest="auth", action="store_true", default=None, help="require a password (the default for a new home directory)"
    )
    password.add_argument(
        "--no-auth", dest="auth", action="store_false", help="let every user of this machine in, but no foreign page in a browser"
    )
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="how long to wait until all is ready (default: 120)")


def run(arguments: argparse.Namespace) -> int:
    """Start what does not run, wait until everything is ready, print where it is.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when server and workers are ready, 1 when they did not become ready, 4 when the folder or the port is not ours.
    """
    from blocks.errors import Refused, ShipwayError
    from blocks.server import layout

    try:
        home = (arguments.home or layout.default_home()).expanduser().absolute()
        start_stack(home, port=arguments.port, auth=arguments.auth, timeout_seconds=arguments.timeout)
    except Refused as error:
        _output.show(error, error=True)
        return REFUSED
    except ShipwayError as error:
        _output.show(error, error=True)
        return FAILED
    _output.show_secret(describe(home, show_password=sys.stdout.isatty()))
    return FINE


def start_stack(
    home: Path,
    *,
    port: int | None = None,
    auth: bool | None = None,
    timeout_seconds: float = 120,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Start the server stack and prepare its server for releases; afterwards this process uses it.

    Args:
        home: The home directory, absolute.
        port: Port of the server; None keeps the previous one, or takes a free one.
        auth: Whether the API asks for a password; None keeps it.
        timeout_seconds: How long server and worker may take together.
        meanwhile: What to do while the server starts; must not need it.

    Raises:
        Refused: The folder or the port is not ours.
        Permanent: The database, the server or the worker cannot become ready, or did not in time.
    """
    from blocks.server import api, lifecycle, settings

    stopped_before = None if lifecycle.is_running(home) else datetime.now(UTC)
    end = time.monotonic() + timeout_seconds
    lifecycle.start(home, port=port, auth=auth)
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        os.environ.pop(name, None)
    settings.enter(home)
    with api.a_core_of_its_own(home):
        for name in NEEDED:  # which takes seconds to import, and they pass while the server starts
            importlib.import_module(name)
            lifecycle.check(home)
    if meanwhile is not None:
        meanwhile()
    lifecycle.wait_for_server(home, timeout_seconds=end - time.monotonic())
    asyncio.run(prepare_server(home, stopped_before=stopped_before))
    lifecycle.wait_for_worker(home, timeout_seconds=end - time.monotonic())


async def prepare_server(home: Path, *, stopped_before: datetime | None = None) -> None:
    """Create what releases need on the server: the pool and the deployments; idempotent.

    After a stop the keeper does its work at once.

    Args:
        home: The home directory.
        stopped_before: A moment (UTC) at which no process ran: runs from before it that the keeper does not start again are ended.
    """
    from prefect.context import AsyncClientContext

    from blocks.server import deployments, worker
    from flows.commands._blocks import register_blocks
    from tasks.lifecycle.strays import end_those_of_before

    async with AsyncClientContext.get_or_create() as shared:  # one client for all: each reads the machine's certificates, which takes long
        await worker.ensure_pool(home, shared.client)
        if stopped_before is not None:
            for name in await end_those_of_before(shared.client, before=stopped_before):
                _output.show(f"Ended: {name}, which was running when Shipway was stopped")
        await register_blocks()
        await deployments.deploy_all()
        if stopped_before is not None:  # dead or due runs do not wait for the schedule
            keeper = await shared.client.read_deployment_by_name("keeper/keeper")
            await shared.client.create_flow_run_from_deployment(keeper.id)


def describe(home: Path, *, show_password: bool) -> str:
    """List where everything is.

    Args:
        home: The home directory.
        show_password: Whether the password itself may be shown; else the file that holds it.
    """
    from blocks.server import layout

    lines = [f"UI      {layout.api_url(home).removesuffix('/api')}"]
    auth = layout.auth_string(home)
    if auth:
        lines.append(f"        it asks for the password {auth if show_password else 'in ' + str(home / 'keys' / 'api.auth')}")
    if not (key := layout.key_file(home)).is_relative_to(home):
        lines.append(f"Key     {key}, which this home directory remembers from SHIPWAY_KEY_FILE")
    lines += [f"Logs    {home / 'logs'}", f"Stop    shipway down --home {home}"]
    return "\n".join(lines)
