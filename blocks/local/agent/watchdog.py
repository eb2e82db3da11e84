"""The watchdog of one local environment: a small process that starts the agent, and starts it again when it dies.

It holds the public listening socket too, so that connections made while the agent is down wait for the next one.
Run as `python -m blocks.local.agent.watchdog FOLDER LISTENING_FD child|orphan`.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from blocks import processes
from blocks.local.state.file import AGENT_LOCK, AGENT_LOG, STOPPED, WATCHDOG_LOCK
from blocks.processes import Backoff

FIRST_RESTART_SECONDS, SLOWEST_RESTART_SECONDS, STEADY_SECONDS = 0.05, 10.0, 30.0


def start_orphan(folder: Path, listening: int) -> None:
    """Start a watchdog that is an orphan, so that no caller has to reap it.

    Args:
        folder: The environment's folder.
        listening: Descriptor of the public listening socket.
    """
    _start_module("blocks.local.agent.watchdog", folder, listening, "orphan", session=True).wait()


def start_child(folder: Path, listening: int) -> subprocess.Popen[bytes]:
    """Start a watchdog whose end its starter will see; arguments as in `start_orphan`."""
    return _start_module("blocks.local.agent.watchdog", folder, listening, "child", session=True)


def main() -> None:
    """Keep an agent alive until the environment is stopped."""
    folder, listening = Path(sys.argv[1]), int(sys.argv[2])
    if sys.argv[3] == "orphan" and os.fork():
        os._exit(0)
    lock = (folder / WATCHDOG_LOCK).open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    _keep_alive(folder, listening)
    os.close(listening)  # before the lock goes: who finds the lock free must find the port free


def _keep_alive(folder: Path, listening: int) -> None:
    backoff = Backoff(FIRST_RESTART_SECONDS, SLOWEST_RESTART_SECONDS, STEADY_SECONDS)
    while True:
        _wait_until_no_agent_lives(folder)
        if (folder / STOPPED).exists():
            return
        began = time.monotonic()
        _start_module("blocks.local.agent.agent", folder, listening, str(os.getpid())).wait()
        pause = backoff.after(time.monotonic() - began)
        if not (folder / STOPPED).exists():
            time.sleep(pause)


def _wait_until_no_agent_lives(folder: Path) -> None:
    with (folder / AGENT_LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def _start_module(module: str, folder: Path, listening: int, *arguments: str, session: bool = False) -> subprocess.Popen[bytes]:
    """Start one of our modules with nothing of the caller's but a few harmless variables, the log and the socket."""
    processes.rotate(folder / AGENT_LOG)
    return processes.spawn(
        [sys.executable, "-m", module, str(folder), str(listening), *arguments],
        log=folder / AGENT_LOG,
        env=processes.passed_on(),
        cwd=Path(__file__).parents[3],
        pass_fds=(listening,),
        start_new_session=session,
    )


if __name__ == "__main__":
    main()
