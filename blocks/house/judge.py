"""The warm judge: has great-expectations imported already and forks a process for each judgement, which saves seconds of computing.

Run as `python -m blocks.house.judge HOME`, by the warm engine when a run that will judge data asks for it, and with no client for ten
minutes it ends, since it holds some 200 MB. Its clients (`judge_client.py`) hand their job over as their standard input; where no judge
answers, they import great-expectations themselves.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from blocks.house import forks, layout

PROGRAM = "tasks.expectations_process"
QUIET = {"GX_ANALYTICS_ENABLED": "false"}
IDLE_SECONDS = 600
ASK_SECONDS = 0.5


def socket_path(home: Path) -> Path:
    """Say where the judge listens."""
    return layout.socket_folder(home) / "judge.sock"


def command(home: Path) -> list[str]:
    """Build the command of this judge."""
    return [sys.executable, "-P", "-m", "blocks.house.judge", str(home)]


def client_command(home: Path) -> list[str]:
    """Build the command that judges one job by way of this judge, or without it."""
    client = Path(__file__).with_name("judge_client.py")
    return [sys.executable, "-I", "-S", str(client), str(socket_path(home)), PROGRAM]


def ask_for(home: Path) -> bool:
    """Ask the warm engine to keep a judge ready, and do not wait for it.

    Returns:
        Whether there is an engine that was asked.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as engine:
            engine.settimeout(ASK_SECONDS)
            engine.connect(str(layout.socket_folder(home) / "engine.sock"))
            engine.sendall(json.dumps({"judge": True}).encode() + b"\n")
    except OSError:
        return False
    return True


class Judge(forks.Forks):
    """Forks for jobs."""

    def become(self, request: dict[str, Any], given: Sequence[int]) -> NoReturn:
        """Judge the job that the client handed over; where a file changed since it was imported, as a new interpreter."""
        status = 1
        try:
            os.setsid()
            for number, descriptor in enumerate(given):
                os.dup2(descriptor, number)
            sys.stdin = os.fdopen(0, closefd=False)
            os.chdir(request["cwd"])
            if self.is_outdated():
                os.execve(sys.executable, [sys.executable, "-P", "-m", PROGRAM], request["env"])  # noqa: S606 - our own interpreter
            os.environ.clear()
            os.environ.update(request["env"])
            status = importlib.import_module(PROGRAM).main()
        except BaseException:  # noqa: BLE001 - the last frame of a process
            traceback.print_exc()
        finally:
            forks.leave(status)

    def when_idle(self) -> None:
        """End where a file was changed; the next run asks for a new judge."""
        if self.is_outdated():
            self.end()


def main(home: Path) -> None:
    """Listen, import, serve: who calls meanwhile waits for the import, which began before its own could."""
    listener = forks.listen(socket_path(home))
    known = forks.written(forks.files_of_ours())
    importlib.import_module(PROGRAM).warm()
    gc.freeze()
    judge = Judge(listener, known, idle_seconds=IDLE_SECONDS)
    signal.signal(signal.SIGTERM, lambda _number, _frame: judge.end())
    judge.serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
