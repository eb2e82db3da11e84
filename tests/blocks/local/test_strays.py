"""What a revision leaves behind does not outlive it, and cannot keep the one beside it from serving."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from blocks.local.agent.process import TOKEN_VARIABLE
from blocks.local.agent.strays import end_strays
from blocks.local.platform import LocalPlatform
from blocks.platform import Lease
from tests.local_environments import MakeLocal

HOSTILE = Path(__file__).parents[1] / "local_hostile_service.py"
UID = 61_870
DAEMON = "(setsid sleep 60 &);"
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")


async def deployed(platform: LocalPlatform) -> tuple[Lease, psutil.Process]:
    """Make 1.0 the baseline; give the lease and its process."""
    lease = await platform.acquire_lease("test")
    await platform.prepare("1.0", lease, timeout_seconds=30)
    await platform.promote(lease)
    return lease, await baseline(platform)


async def baseline(platform: LocalPlatform) -> psutil.Process:
    """Give the process of the baseline."""
    runs = (await platform._client().view())["runs"]
    return psutil.Process(next(run["pid"] for run in runs if run["role"] == "baseline"))


async def test_a_daemon_that_stops_the_baseline_ends_with_its_version(make_local: MakeLocal) -> None:
    """The group of its version is not all that is ended; then the baseline goes on."""
    platform = make_local()
    lease, running = await deployed(platform)
    hostile = platform.model_copy(update={"command": [sys.executable, str(HOSTILE), "{port}", str(running.pid)]})
    await hostile.prepare("1.1", lease, timeout_seconds=30)
    await asyncio.to_thread(until, lambda: running.status() == psutil.STATUS_STOPPED)
    await platform.abort(lease)
    async with httpx.AsyncClient() as client:
        assert (await client.get((await platform.endpoints())["public"], timeout=10)).text == "1.0"
    assert running.status() != psutil.STATUS_STOPPED
    assert (await baseline(platform)).pid == running.pid
    assert [one.pid for one in psutil.process_iter(["cmdline"]) if str(HOSTILE) in (one.info["cmdline"] or [])] == []


@pytest.mark.faults
async def test_a_baseline_that_gives_no_answer_after_a_rollback_is_started_anew(make_local: MakeLocal) -> None:
    """Whatever the version beside it did to it."""
    platform = make_local()
    lease, running = await deployed(platform)
    await platform.prepare("1.1", lease, timeout_seconds=30)
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{(await platform.endpoints())['baseline']}/hang", timeout=10)).text == "hung"
        await platform.abort(lease)
        assert (await client.get((await platform.endpoints())["public"], timeout=10)).text == "1.0"
    assert not running.is_running()


@pytest.fixture
def user_processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """End every process of the user at the end."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for one in psutil.process_iter(["uids"]):
        if one.info["uids"] and one.info["uids"].real == UID:
            with suppress(psutil.NoSuchProcess):
                one.kill()
    for child in started:
        child.wait(timeout=20)


def start(started: list[subprocess.Popen[bytes]], code: str, *, mark: str) -> int:
    """Run a shell as the user, in a session of its own."""
    words = ["sh", "-c", code]
    child = subprocess.Popen(
        words, user=UID, group=UID, extra_groups=[], start_new_session=True, cwd="/", env={TOKEN_VARIABLE: mark, "PATH": os.defpath}
    )
    started.append(child)
    return child.pid


def of_the_user() -> set[int]:
    """Give the live processes of the user."""
    found = psutil.process_iter(["uids", "status"])
    return {one.pid for one in found if one.info["uids"] and one.info["uids"].real == UID and one.info["status"] != psutil.STATUS_ZOMBIE}


def born(pid: int) -> int:
    """Give when a process was born, in ticks since the boot."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


@by_root
def test_a_user_of_its_own_has_no_process_that_belongs_to_no_revision(user_processes: list[subprocess.Popen[bytes]]) -> None:
    """Whatever mark it gives itself: the survivor keeps its descendants, and what it left before the other one began."""
    survivor = start(user_processes, f"{DAEMON} setsid sleep 60 & wait", mark="t:1")
    until(lambda: len(of_the_user()) == 3)
    kept = of_the_user()
    time.sleep(0.05)
    retired = start(user_processes, f"{DAEMON} {DAEMON} sleep 60; :", mark="t:1")  # it says that it is the survivor
    until(lambda: len(of_the_user()) == 7)
    began = born(retired)
    os.killpg(retired, signal.SIGKILL)
    os.kill(survivor, signal.SIGSTOP)
    assert end_strays(retired="t:2", born=began, others={survivor: "t:1"}, uid=UID) == 2
    assert of_the_user() == kept
    assert psutil.Process(survivor).status() != psutil.STATUS_STOPPED


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come soon."""
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.02)
