"""A server stack of its own whose every process is killed; it comes back, and leaves nothing in the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks import processes
from blocks.server import api, layout, lifecycle, port
from tests.blocks.server.stack_kills import READY_SECONDS, SERVICES, kill, pids, start_apart, wait_for_another, wait_until_ready

pytestmark = [pytest.mark.server, pytest.mark.faults, pytest.mark.xdist_group("stack")]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a server stack that is up, and see that nothing of it is left in the end."""
    folder = tmp_path_factory.mktemp("stack") / "home"
    start_apart(folder)
    wait_until_ready(folder)
    yield folder
    lifecycle.stop(folder, now=True)
    assert not lifecycle.is_running(folder)


def test_a_killed_database_comes_back_under_a_running_server(home: Path) -> None:
    """The server answers again without having been started anew."""
    of_server = pids(home)["server"]
    wait_for_another(home, "database", kill(home, "database"))
    lifecycle.wait_for_server(home, timeout_seconds=READY_SECONDS)
    assert api.ask(home, "/work_pools/shipway")["name"] == "shipway"
    assert pids(home)["server"] == of_server


@pytest.mark.parametrize("name", ["server", "worker", "urgent-worker"])
def test_a_killed_service_comes_back(home: Path, name: str) -> None:
    """Server and worker are started anew and become ready."""
    wait_for_another(home, name, kill(home, name))
    wait_until_ready(home)


def test_after_a_crash_of_everything_up_recovers_with_its_data(home: Path) -> None:
    """As after a power failure: every process gone at once, records and data left."""
    for name in ("supervisor", *reversed(SERVICES)):
        kill(home, name)
    lifecycle.start(home)
    wait_until_ready(home)
    assert api.ask(home, "/work_pools/shipway")["name"] == "shipway"


def test_down_leaves_no_process_and_down_again_is_fine(home: Path) -> None:
    """After `down` nothing of the server stack runs; its port is free, its data are there for the next `up`."""
    before = pids(home)
    lifecycle.stop(home, now=False)
    lifecycle.stop(home, now=False)
    assert [pid for pid in before.values() if pid is not None and processes.start_time(pid) is not None] == []
    assert port.is_free(layout.read_facts(home)["port"])
    lifecycle.start(home)
    wait_until_ready(home)
    assert api.ask(home, "/work_pools/shipway")["name"] == "shipway"
