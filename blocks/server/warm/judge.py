"""The warm judge: has great-expectations imported already and forks a process for each judgement, which saves seconds of computing.

Run as `python -m blocks.server.warm.judge HOME PROGRAM`, by the warm engine when a run that will judge data asks for it. PROGRAM is
a module with `warm()`, which imports, and `main()`, which judges. It ends with the engine, and after ten minutes without a client: it
holds some 200 MB. Its clients (`judge_client.py`) hand their job over as their standard input; if no judge answers, they become PROGRAM
themselves.
"""

from __future__ import annotations

import ctypes
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

from blocks import processes
from blocks.server import layout
from blocks.server.warm import prefork

KEPT = ("SSL_CERT_FILE", "VIRTUAL_ENV", "XDG_RUNTIME_DIR")
QUIET = {"GX_ANALYTICS_ENABLED": "false"}
IDLE_SECONDS = 600
ASK_SECONDS = 0.5
SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


def command(home: Path, program: str) -> list[str]:
    """Build the command of a home directory's judge."""
    return [sys.executable, "-P", "-m", "blocks.server.warm.judge", str(home), program]


def environment() -> dict[str, str]:
    """Give the judge's whole environment: its forks show it, and run what a suite says."""
    return processes.passed_on(*KEPT) | QUIET


def client_command(home: Path, program: str) -> list[str]:
    """Build the command that judges one job by way of this judge, or without it."""
    client = Path(__file__).with_name("judge_client.py")
    return [sys.executable, "-I", "-S", str(client), str(layout.judge_socket(home)), program]


def ask_for(home: Path, program: str) -> bool:
    """Ask a judge to stay, or the warm engine for one, and do not wait for it.

    Returns:
        Whether there was one of them to be asked.
    """
    return _record(layout.judge_socket(home), {"stay": True}) or _record(layout.engine_socket(home), {"judge": program})


def _record(path: Path, what: dict[str, Any]) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ASK_SECONDS)
            connection.connect(str(path))
            connection.sendall(json.dumps(what).encode() + b"\n")
    except OSError:
        return False
    return True


class Judge(prefork.Forks):
    """Forks for jobs."""

    program = ""

    def become(self, request: dict[str, Any], given: Sequence[int]) -> NoReturn:
        """Judge the job that the client handed over; if a file changed since it was imported, as a new interpreter."""
        status = 1
        try:
            end_with_parent(signal.SIGKILL)
            os.setsid()
            for number, descriptor in enumerate(given):
                os.dup2(descriptor, number)
            sys.stdin = os.fdopen(0, closefd=False)
            os.chdir(request["cwd"])
            if self.is_outdated():
                os.execve(sys.executable, [sys.executable, "-P", "-m", self.program], request["env"])  # noqa: S606 - our own interpreter
            os.environ.clear()
            os.environ.update(request["env"])
            status = importlib.import_module(self.program).main()
        except BaseException:  # noqa: BLE001 - the last frame of a process
            traceback.print_exc()
        finally:
            prefork.leave(status)

    def answer_without_fork(self, request: dict[str, Any]) -> bool:
        """Stay for another ten minutes, which being asked does already."""
        return "stay" in request

    def when_idle(self) -> None:
        """End if a file was changed; the next run asks for a new judge."""
        if self.is_outdated():
            self.end()

    def finish(self) -> None:
        """Judge what is begun, and end."""
        self.idle_seconds = 0
        if not self.runs:
            self.end()


def end_with_parent(number: signal.Signals) -> None:
    """Have the kernel signal this process when the one that made it ends, however it does."""
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, number, 0, 0, 0)


def main(home: Path, program: str) -> None:
    """Listen, import, serve: who calls meanwhile waits for the import, which began before its own could."""
    end_with_parent(signal.SIGTERM)
    judge = Judge(prefork.listen(layout.judge_socket(home)), prefork.written(prefork.files_of_ours()), idle_seconds=IDLE_SECONDS)
    judge.program = program
    importlib.import_module(program).warm()
    gc.freeze()
    signal.signal(signal.SIGTERM, lambda _number, _frame: judge.finish())
    judge.serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
