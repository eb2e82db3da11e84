"""Processes of a local environment: started detached, known again by id and start time, and ended only if they are proven ours."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from blocks.processes import spawn, start_time
from blocks.runner import Runner

TOKEN_VARIABLE = "SHIPWAY_REVISION"  # noqa: S105 - names a variable; what it holds proves identity and opens nothing
SERVICE_UMASK = 0o022
DEATH_SECONDS = 5.0  # from SIGKILL to the end; more is a process that the kernel holds
_unburied: list[subprocess.Popen[bytes]] = []  # ended, but another process traces them: only its end lets us have their status


@dataclass
class Process:
    """A live process of ours, with a handle that cannot come to mean another one."""

    pid: int
    born: str
    handle: int
    exited: asyncio.Future[None]
    child: subprocess.Popen[bytes] | None


def free_port(preferred: int) -> int:
    """Find a loopback port that can be bound now: the preferred one if it is free, else the system's choice."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", preferred))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(
    command: Sequence[str], *, working_directory: Path, environment: Mapping[str, str], log: Path, other: Runner | None = None
) -> Process:
    """Start a process as `blocks.processes.spawn` does, as the other user if there is one, and watch it."""
    child = spawn(command, log=log, env=environment, cwd=working_directory, umask=SERVICE_UMASK, **(other.options if other else {}))
    return _watched(child.pid, start_time(child.pid) or "", child)


def adopt(pid: int | None, born: str | None) -> Process | None:
    """Take a process over that an earlier agent started, if it still lives and is the same one."""
    if pid is None or born is None or start_time(pid) != born:
        return None
    try:
        process = _watched(pid, born, None)
    except ProcessLookupError:
        return None
    if start_time(pid) == born:  # the handle is of the process that was proven, not of a successor under the same id
        return process
    release(process)
    return None


def find(token: str) -> tuple[int, str] | None:
    """Find a session leader whose environment carries `token`: a process that was started just before its agent died.

    Returns:
        Its id and start time, or None.
    """
    wanted = f"{TOKEN_VARIABLE}={token}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and os.getsid(int(entry.name)) == int(entry.name):
                born = start_time(int(entry.name))
                if born:
                    return int(entry.name), born
    return None


async def stop(process: Process, *, stop_seconds: float) -> None:
    """End a process and what it left in its group: SIGTERM, then SIGKILL after `stop_seconds`."""
    _send(process, signal.SIGTERM)
    with suppress(TimeoutError):
        async with asyncio.timeout(stop_seconds):
            await asyncio.shield(process.exited)
    if not process.exited.done():
        await kill(process)


async def kill(process: Process) -> None:
    """End a process and its group by SIGKILL."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    _send(process, signal.SIGKILL)
    with suppress(TimeoutError):  # what does not end now serves nothing any more, and must not hold up the environment
        async with asyncio.timeout(DEATH_SECONDS):
            await asyncio.shield(process.exited)


def release(process: Process) -> str:
    """Let go of a process that has ended: close its handle, end the rest of its group, reap it if that can be done now.

    A process that is traced (ptrace(2)) by another one stays a zombie until its tracer ends. A version can do that to the one beside it,
    so nothing waits here.

    Returns:
        How it ended, in words.
    """
    _unburied[:] = [child for child in _unburied if child.poll() is None]
    if not process.exited.done():
        asyncio.get_running_loop().remove_reader(process.handle)
    os.close(process.handle)
    if process.child is None:
        return "ended (its exit status went to an earlier agent)"
    with suppress(ProcessLookupError, PermissionError):  # still unburied, so the group's id is still ours
        os.killpg(process.pid, signal.SIGKILL)
    status = process.child.poll()
    if status is None:
        _unburied.append(process.child)
        return "was ended; its exit status is held by a process that traces it, or it has not ended yet"
    return f"exited with status {status}" if status >= 0 else f"was ended by {signal.Signals(-status).name}"


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process.handle, number)


def _watched(pid: int, born: str, child: subprocess.Popen[bytes] | None) -> Process:
    loop = asyncio.get_running_loop()
    handle = os.pidfd_open(pid)
    exited: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        loop.remove_reader(handle)
        if not exited.done():
            exited.set_result(None)

    loop.add_reader(handle, note)
    return Process(pid=pid, born=born, handle=handle, exited=exited, child=child)
