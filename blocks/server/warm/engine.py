"""The warm engine: has Prefect and our flows imported already and forks a process for each run, which saves seconds a start.

Run as `python -m flows.engine HOME`, which says what flows there are. A fork starts with one thread, fresh environment and fresh
settings, and runs `prefect.engine` as `python -m` would. If a file of ours changed since it was imported, the run begins as a new
interpreter instead, so that the next run reads a changed flow again, and the engine restarts as soon as it has no run.
A run that will judge data asks for the warm judge (`blocks.server.warm.judge`), which the engine starts and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import os
import runpy
import signal
import socket
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from blocks.server import api, layout, port, settings
from blocks.server.warm import judge, prefork

PREFECT = (
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.engine",
    "prefect._internal.metrics",
    "prefect.events.clients",
    "prefect.runtime",
)
OTHERS = ("httpx", "jinja2", "numpy", "psutil", "pydantic.v1.dataclasses", "yaml")  # what our flows import beside it


def command(home: Path) -> list[str]:
    """Build the command of this engine."""
    return [sys.executable, "-m", "flows.engine", str(home)]


def client_command(home: Path) -> list[str]:
    """Build the command that runs one flow run by way of this engine."""
    client = Path(__file__).with_name("engine_client.py")
    return [sys.executable, "-I", "-S", str(client), str(layout.engine_socket(home)), str(home / "logs" / "engine.log")]


def become_run(request: dict[str, Any], *, anew: bool) -> NoReturn:
    """In a fresh fork: take on the run's environment and folder, and run Prefect's engine to its end, `anew` as a new interpreter."""
    status = 1
    try:
        os.setsid()
        os.chdir(request["cwd"])
        if anew:
            port.keep_over_exec()
            os.execve(sys.executable, [sys.executable, "-m", "prefect.engine"], request["env"])  # noqa: S606 - our own interpreter
        if not settings.PROJECT.samefile(request["cwd"]):
            prefork.forget_ours()  # another project may have rooms of these names
        os.environ.clear()
        os.environ.update(request["env"])
        sys.path[0] = request["cwd"]
        sys.argv = ["prefect.engine"]
        importlib.import_module("prefect.context").refresh_global_settings_context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # runpy: the module is loaded already, as intended
            runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as ending:
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException:  # noqa: BLE001 - the last frame of a process
        traceback.print_exc()
    finally:
        prefork.leave(status)


class Engine(prefork.Forks):
    """Forks for runs, and keeps the warm judge while it is asked for."""

    def __init__(self, home: Path, listener: socket.socket, known: Mapping[str, int]) -> None:
        """Serve a home directory on a listening Unix socket."""
        super().__init__(listener, known)
        self.home = home
        self.judge: int | None = None

    def become(self, request: dict[str, Any], given: Sequence[int]) -> NoReturn:  # noqa: ARG002
        """Become the run."""
        become_run(request, anew=self.is_outdated())

    def answer_without_fork(self, request: dict[str, Any]) -> bool:
        """Start the warm judge if it is asked for and does not run."""
        if "judge" not in request:
            return False
        if not self.judge_lives():
            self.judge = os.posix_spawn(sys.executable, judge.command(self.home, str(request["judge"])), judge.environment())
        return True

    def judge_lives(self) -> bool:
        """Say whether the judge that was started still runs."""
        pid, self.judge = self.judge, None
        with contextlib.suppress(ChildProcessError):
            if pid is not None and os.waitpid(pid, os.WNOHANG) == (0, 0):
                self.judge = pid
        return self.judge is not None

    def when_idle(self) -> None:
        """Restart if a file was changed; the judge, too, as soon as it judges nothing."""
        if self.is_outdated():
            if self.judge is not None and self.judge_lives():
                os.kill(self.judge, signal.SIGTERM)
            os.execv(sys.executable, command(self.home))  # noqa: S606 - our own interpreter


def main(home: Path, *, load: Callable[[], None]) -> None:
    """Import, listen, serve.

    Args:
        home: The home directory.
        load: Imports the flows; if it fails, each run imports its own flow and says why it cannot.
    """
    port.hold(home)  # so do the forks
    known = prefork.written(prefork.files_of_ours())  # before the imports: a file written meanwhile must not pass for the one in memory
    with api.a_core_of_its_own(home):
        for name in (*PREFECT, *OTHERS):
            importlib.import_module(name)
        try:
            load()
        except Exception:  # a run of it says so where people look
            logging.getLogger(__name__).exception("the flows cannot be imported")
    gc.freeze()
    engine = Engine(home, prefork.listen(layout.engine_socket(home)), known)
    signal.signal(signal.SIGTERM, lambda _number, _frame: engine.end())
    engine.serve()
