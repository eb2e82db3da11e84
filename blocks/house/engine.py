"""The warm engine: has Prefect and our flows imported already and forks a process for each run, which saves seconds a start.

Run as `python -m blocks.house.engine HOME`. A fork starts with one thread, fresh environment and fresh settings, and runs
`prefect.engine` as `python -m` would. Where a file of ours changed since it was imported, the run begins as a new interpreter
instead, so that a changed flow is read anew by the next run, and the engine begins anew as soon as it has none.
When a run's client dies (the worker gave it up), the run is killed; when the engine ends in order, so do its runs.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from blocks.house import environment, layout

OURS = tuple(f"{environment.PROJECT / room}{os.sep}" for room in ("flows", "tasks", "blocks"))
PREFECT = (
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.engine",
    "prefect._internal.metrics",
    "prefect.events.clients",
    "prefect.runtime",
)
OTHERS = ("httpx", "jinja2", "numpy", "psutil", "pydantic.v1.dataclasses", "yaml")  # what our flows import beside it
FLOWS = ("flows.release", "flows.keeper")  # which import all that ours have in common
REQUEST_SECONDS = 5


@dataclass(frozen=True)
class Run:
    """One forked run: its process, the descriptor that tells its end, the client that stands for it."""

    pid: int
    ended: int
    client: socket.socket


def socket_path(home: Path) -> Path:
    """Say where the engine listens."""
    return layout.socket_folder(home) / "engine.sock"


def command(home: Path) -> list[str]:
    """Build the command of this engine."""
    return [sys.executable, "-m", "blocks.house.engine", str(home)]


def client_command(home: Path) -> list[str]:
    """Build the command that runs one flow run by way of this engine."""
    client = Path(__file__).with_name("engine_client.py")
    return [sys.executable, "-I", "-S", str(client), str(socket_path(home)), str(home / "logs" / "engine.log")]


def written(files: Iterable[str]) -> dict[str, int]:
    """Tell when files were written, in nanoseconds; 0 of one that is gone."""
    found = {}
    for file in files:
        try:
            found[file] = Path(file).stat().st_mtime_ns
        except OSError:
            found[file] = 0
    return found


def files_of_ours() -> list[str]:
    """List the files of this project, imported or not."""
    return [str(file) for room in OURS for file in Path(room).rglob("*.py")]


def imported_of_ours() -> dict[str, str]:
    """Give the files of those that are imported, by their module."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return {name: file for name, file in files.items() if file.startswith(OURS)}


def become_run(request: dict[str, Any], *, anew: bool) -> NoReturn:
    """In a fresh fork: take on the run's environment and folder, and run Prefect's engine to its end; anew as a new interpreter."""
    status = 1
    try:
        os.setsid()
        os.chdir(request["cwd"])
        if anew:
            os.execve(sys.executable, [sys.executable, "-m", "prefect.engine"], request["env"])  # noqa: S606 - our own interpreter
        if not environment.PROJECT.samefile(request["cwd"]):
            forget_ours()  # another project may have rooms of these names
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
        _leave(status)


def forget_ours() -> None:
    """Take this project's modules out of what is imported."""
    for name in imported_of_ours():
        if name != "__main__":
            del sys.modules[name]


def _leave(status: int) -> NoReturn:
    """End as an interpreter does: threads joined, exit handlers run, output flushed."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        importlib.import_module("atexit")._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


class Engine:
    """The engine's loop: one thread, no timer; wakes when a client calls, a run ends or a client is gone."""

    def __init__(self, home: Path, listener: socket.socket, known: Mapping[str, int]) -> None:
        """Serve on a listening Unix socket; `known` tells when files of ours were written, as `written` did before any was imported."""
        self.home, self.listener, self.known = home, listener, known
        self.runs: list[Run] = []

    def is_outdated(self) -> bool:
        """Say whether a file that is imported was written since."""
        return any(self.known.get(file) != now for file, now in written(imported_of_ours().values()).items())

    def serve(self) -> NoReturn:
        """Fork for every client, and tell each how its run ended; ends only by a signal."""
        while True:
            wanted: list[Any] = [self.listener, *(run.ended for run in self.runs), *(run.client for run in self.runs)]
            ready = select.select(wanted, [], [])[0]
            if self.listener in ready:
                self.accept()
            for run in list(self.runs):
                if run.ended in ready:
                    self.conclude(run)
                elif run.client in ready:
                    os.kill(run.pid, signal.SIGKILL)

    def accept(self) -> None:
        """Read one client's request and fork its run; a broken request is dropped."""
        client, _ = self.listener.accept()
        client.settimeout(REQUEST_SECONDS)
        try:
            with client.makefile("rb") as lines:
                request = json.loads(lines.readline())
            pid = os.fork()
            if pid == 0:
                self.forget_all(client)
                become_run(request, anew=self.is_outdated())
            client.sendall(json.dumps({"pid": pid}).encode() + b"\n")
        except (OSError, ValueError):
            logging.getLogger(__name__).exception("a run could not be started")
            client.close()
            return
        self.runs.append(Run(pid, os.pidfd_open(pid), client))

    def conclude(self, run: Run) -> None:
        """Reap a run that ended and tell its client."""
        status = os.waitstatus_to_exitcode(os.waitpid(run.pid, 0)[1])
        with contextlib.suppress(OSError):
            run.client.sendall(json.dumps({"exit": status}).encode() + b"\n")
        run.client.close()
        os.close(run.ended)
        self.runs.remove(run)
        if not self.runs and self.is_outdated():
            os.execv(sys.executable, command(self.home))  # noqa: S606 - our own interpreter

    def forget_all(self, client: socket.socket) -> None:
        """In a fork: close what belongs to the engine and to other runs."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for open_socket in (self.listener, client, *(run.client for run in self.runs)):
            open_socket.close()
        for run in self.runs:
            os.close(run.ended)

    def end(self) -> NoReturn:
        """End in order, and the runs with it."""
        for run in self.runs:
            os.kill(run.pid, signal.SIGKILL)
        sys.exit(0)


def main(home: Path) -> None:
    """Import, listen, serve."""
    known = written(files_of_ours())  # before the imports: a file that is written meanwhile must not pass for the one in memory
    for name in (*PREFECT, *OTHERS):
        importlib.import_module(name)
    for name in FLOWS:
        try:
            importlib.import_module(name)
        except Exception:  # a run of it says so where people look
            logging.getLogger(__name__).exception("%s cannot be imported", name)
    gc.freeze()
    path = socket_path(home)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(64)
    engine = Engine(home, listener, known)
    signal.signal(signal.SIGTERM, lambda _number, _frame: engine.end())
    engine.serve()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
