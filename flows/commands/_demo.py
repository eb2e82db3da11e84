"""What the demo sets up: the repository, the environments, the approvers, the visitors."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from flows.commands import _demo_prometheus, _output

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from blocks.local.platform import LocalPlatform

FIRST = _demo_prometheus.FIRST
ENVIRONMENTS = ("staging", "production")
VISITORS = "visitors"
SETTLED_SECONDS = 120


@contextlib.contextmanager
def repository(home: Path) -> Iterator[Callable[[], Path]]:
    """Create the service's Git repository in the background.

    Yields:
        A function that waits for the repository and returns its plan.
    """
    from blocks.errors import Permanent
    from blocks.server import settings

    folder = home.parent / f"{home.name}-repository"
    maker = settings.PROJECT / "examples" / "guestbook" / "prepare.py"
    if not maker.exists():
        raise Permanent("the example service is not in an installed package; run the demo from a checkout of the repository: `make demo`")
    process = subprocess.Popen([sys.executable, str(maker), str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def wait() -> Path:
        _, said = process.communicate()
        if process.returncode:
            raise Permanent(f"the example's repository could not be created in {folder}: {said.strip()[-500:]}")
        return folder / "shipway.yaml"

    try:
        yield wait
    finally:
        if process.poll() is None:
            process.communicate()


def platforms(home: Path, folder: Path) -> dict[str, LocalPlatform]:
    """Describe the two environments of the service in this folder."""
    from blocks.local.platform import LocalPlatform

    command = [sys.executable, str(folder / "guestbook.py"), "--port", "{port}", "--version", "{version}"]
    return {
        name: LocalPlatform(
            service="guestbook",
            command=[*command, "--database", "{folder}/guestbook.db"],
            working_directory=str(folder),
            folder=str(home / "local" / f"guestbook-{name}"),
            drain_seconds=3,
        )
        for name in ENVIRONMENTS
    }


async def serve_first(home: Path, folder: Path) -> str:
    """Deploy 1.0.0 to both environments; needs no server.

    Returns:
        The service's public address in production.
    """
    found = platforms(home, folder)
    await asyncio.gather(*(_reset(platform) for platform in found.values()))
    return (await found["production"].endpoints())["public"]


async def _reset(platform: LocalPlatform) -> None:
    position = await platform.current()
    lease = await platform.acquire_lease("demo", takeover=True)  # also from a release that an interrupted demo left
    if position["canary"] is not None or position["baseline"] != FIRST:
        await platform.abort(lease)
    if position["baseline"] != FIRST:
        await platform.prepare(FIRST, lease, timeout_seconds=30)
        await platform.shift(100, lease)
        await platform.promote(lease)
    await platform.release_lease(lease)


async def save_blocks(home: Path, folder: Path) -> None:
    """Save the blocks of the environments and their databases, and enrol the demo's approvers; one after the other."""
    await _save_platforms(home, folder)
    await _save_databases(home)
    await _enrol(home)


async def _save_platforms(home: Path, folder: Path) -> None:
    from blocks.server import saving

    for name, platform in platforms(home, folder).items():
        await saving.save(platform, f"guestbook-{name}")


async def _save_databases(home: Path) -> None:
    from pydantic import SecretStr

    from blocks.credential import Credential
    from blocks.server import saving

    for name in ENVIRONMENTS:
        database = quote(str(home / "local" / f"guestbook-{name}" / "data" / "guestbook.db"))
        address = SecretStr(f"sqlite:///file:{database}?mode=ro&uri=true")
        credential = Credential(value=address, services=["guestbook"], platforms=[f"local/guestbook-{name}"])
        await saving.save(credential, f"guestbook-{name}-database")


async def end_releases(client: PrefectClient) -> None:
    """Cancel the releases that an earlier demo left running, and wait until they have ended: they lock the service.

    Raises:
        Permanent: They did not end in time.
    """
    from prefect.states import Cancelling

    from blocks.errors import Permanent
    from tasks.lifecycle.lock import lock_tag, tagged

    left = await tagged(client, lock_tag("guestbook"))
    if left:
        _output.show(f"An earlier demo left {', '.join(run.name for run in left)} running. Cancelling that first …")
    for run in left:
        if run.state is not None and not run.state.is_final():
            await client.set_flow_run_state(run.id, Cancelling(message="a new demo starts"))
    until = time.monotonic() + SETTLED_SECONDS
    while await tagged(client, lock_tag("guestbook")):
        if time.monotonic() > until:
            raise Permanent(f"the earlier demo's release did not end within {SETTLED_SECONDS} s; `make clean` removes that demo")
        await asyncio.sleep(1)


async def _enrol(home: Path) -> None:
    from blocks.approvers.approvers import Approvers
    from blocks.server import layout, saving

    approvers: Approvers
    try:
        approvers = await Approvers.aload("shipway")
    except ValueError:
        approvers = Approvers()
    for name in ("ada", "grace"):
        if not secret_file(home, name).exists() or name not in approvers.enrolled:
            secret = approvers.enrol(name, replace=True)
            layout.write_private(secret_file(home, name), secret.get_secret_value())
    await saving.save(approvers, "shipway")


@contextlib.contextmanager
def traffic(public: str, *, rate: int) -> Iterator[None]:
    """Send requests to the service while the demo runs."""
    from blocks.server import settings

    script = settings.PROJECT / "examples" / "guestbook" / "traffic.py"
    process = subprocess.Popen(
        [sys.executable, str(script), public, "--rate", str(rate), "--until-killed"], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        yield
    finally:
        process.terminate()
        said, _ = process.communicate(timeout=10)
        _output.show(f"Visitors, {rate} requests a second: {' '.join(said.split())}")


def keep_visitors(home: Path, public: str, *, rate: int) -> None:
    """Send requests until the server stack is stopped: without traffic a release cannot be judged."""
    from blocks import processes
    from blocks.server import settings

    script = settings.PROJECT / "examples" / "guestbook" / "traffic.py"
    argv = [sys.executable, str(script), public, "--rate", str(rate), "--until-killed"]
    log = home / "logs" / f"{VISITORS}.log"
    processes.start(argv, name=VISITORS, run=home / "run", log=log, env=settings.inherited(), cwd=settings.PROJECT)


def end_companions(home: Path) -> None:
    """End the visitors and the Prometheus of a demo that was kept, if they run."""
    from blocks import processes

    for name in (VISITORS, _demo_prometheus.NAME):
        processes.stop(home / "run" / f"{name}.pid", with_signal=signal.SIGTERM, timeout_seconds=10)


def stop(home: Path) -> None:
    """End the visitors, Prometheus, the service, the workers, the server and the database; data are kept."""
    from blocks.errors import ShipwayError
    from blocks.local.client import LocalClient
    from blocks.server import lifecycle

    async def end_services() -> None:
        for folder in sorted((home / "local").glob("*")):
            await LocalClient(folder, service="guestbook", port=0).stop()

    async def end_all() -> None:
        await asyncio.gather(end_services(), asyncio.to_thread(lifecycle.stop, home, now=True))

    end_companions(home)
    try:
        asyncio.run(end_all())
    except ShipwayError as error:
        _output.show(f"Not everything could be stopped: {error}", error=True)


def secret_file(home: Path, name: str) -> Path:
    """Give the file with the secret of a demo approver, which `shipway approve` and `shipway code` take."""
    return home / "keys" / f"demo-{name}.secret"
