"""`shipway up`: database, server and worker on this machine, for daily use."""

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

HELP = "Start the Prefect server, its database and a worker on this machine, and keep them alive."
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
    parser.add_argument("--home", type=Path, metavar="FOLDER", help="where everything is kept (default: $SHIPWAY_HOME, or ~/.shipway)")
    parser.add_argument("--port", type=int, metavar="PORT", help="port of UI and API on 127.0.0.1 (default: a free one, remembered)")
    password = parser.add_mutually_exclusive_group()
    password.add_argument("--auth", dest="auth", action="store_true", default=None, help="ask for a password (the default at first)")
    password.add_argument("--no-auth", dest="auth", action="store_false", help="let everybody on this machine in; for demonstrations")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="how long to wait until all is ready (default: 120)")


def run(arguments: argparse.Namespace) -> int:
    """Start what does not run, wait until all is ready, say where it is.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when server and worker are ready, 1 when they did not become so, 4 when the folder or the port is not ours.
    """
    from blocks.errors import Refused, ShipwayError
    from blocks.server import layout

    try:
        home = (arguments.home or layout.default_home()).expanduser().absolute()
        raise_house(home, port=arguments.port, auth=arguments.auth, timeout_seconds=arguments.timeout)
    except Refused as error:
        print(error, file=sys.stderr)
        return REFUSED
    except ShipwayError as error:
        print(error, file=sys.stderr)
        return FAILED
    print(describe(home, show_password=sys.stdout.isatty()))
    return FINE


def raise_house(
    home: Path,
    *,
    port: int | None = None,
    auth: bool | None = None,
    timeout_seconds: float = 120,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Bring a house up and make its server ready for releases; afterwards this process talks to it.

    Args:
        home: The house's folder, absolute.
        port: Port of the server; None keeps the remembered one, or takes a free one.
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
    """Make what releases need at the server: the pool and the deployments; again changes nothing.

    After a stop the keeper does its work at once.

    Args:
        home: The house's folder.
        stopped_before: A moment (UTC) at which no process ran: what was under way then, and is not the keeper's to start again, is ended.
    """
    from prefect.context import AsyncClientContext

    from blocks.server import deployments, settings, worker
    from flows.commands._blocks import register_blocks
    from tasks.lifecycle.reconcile import end_those_of_before

    async with AsyncClientContext.get_or_create() as shared:  # one client for all: each reads the machine's certificates, which takes long
        await worker.ensure_pool(home, shared.client)
        if stopped_before is not None:
            for name in await end_those_of_before(shared.client, before=stopped_before):
                print(f"ended: {name}, which was under way when Shipway was stopped")
        await register_blocks()
        if (settings.PROJECT / "prefect.yaml").exists():
            await deployments.deploy_all()
            if stopped_before is not None:  # what died or fell due meanwhile does not wait for the schedule
                keeper = await shared.client.read_deployment_by_name("keeper/keeper")
                await shared.client.create_flow_run_from_deployment(keeper.id)


def describe(home: Path, *, show_password: bool) -> str:
    """Say where everything is.

    Args:
        home: The house's folder.
        show_password: Whether the password itself may be shown; else the file that holds it.
    """
    from blocks.server import layout

    lines = [f"UI      {layout.api_url(home).removesuffix('/api')}"]
    auth = layout.auth_string(home)
    if auth:
        lines.append(f"        password: {auth}" if show_password else f"        password: in {home / 'keys' / 'api.auth'}")
    lines += [f"Logs    {home / 'logs'}", f"Stop    shipway down --home {home}"]
    return "\n".join(lines)
