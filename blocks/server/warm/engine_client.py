"""What the worker starts for a run: asks the warm engine for a process, and stands for it until it ends.

Started without site-packages and importing next to nothing: its start is the price of every run. If no engine answers, it becomes
an ordinary `python -m prefect.engine`. Arguments: the engine's socket, and the log for the ordinary way.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from io import BufferedReader


def become_engine(log: str) -> NoReturn:
    """Run the flow in this very process, the slow and ordinary way."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.execv(sys.executable, [sys.executable, "-m", "prefect.engine"])  # noqa: S606 - our own interpreter


def ask_engine(path: str) -> tuple[int, BufferedReader]:
    """Hand over environment and folder; return the run's process id and the line on which its exit code comes.

    Raises:
        OSError: No engine answers.
        ValueError: It broke off.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(10)
    connection.connect(path)
    here = os.getcwd()  # noqa: PTH109 - pathlib would be the dearest import of this program
    connection.sendall(json.dumps({"env": dict(os.environ), "cwd": here}).encode() + b"\n")
    lines = connection.makefile("rb")
    pid = int(json.loads(lines.readline())["pid"])
    connection.settimeout(None)
    return pid, lines


def end_like(status: int) -> NoReturn:
    """End with the run's exit code, or by its signal."""
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to restore
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(abs(status))


def outlive(pid: int) -> NoReturn:
    """The engine died, the run did not: wait for its end, whose exit code cannot be known; its state is with the server."""
    with contextlib.suppress(ProcessLookupError):
        select.select([os.pidfd_open(pid)], [], [])
    sys.exit(0)


def main(path: str, log: str) -> NoReturn:
    """Stand for the run: pass signals on, end as it ends."""
    try:
        pid, lines = ask_engine(path)
    except (OSError, ValueError):
        become_engine(log)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: os.kill(pid, received))
    ended = lines.readline()
    if not ended:
        outlive(pid)
    end_like(int(json.loads(ended)["exit"]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
