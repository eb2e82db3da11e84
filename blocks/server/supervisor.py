"""The supervisor: keeps database, server, engine and workers alive. Run as `python -m blocks.server.supervisor HOME`.

It holds no state: what runs is written down in HOME/run, so a new supervisor adopts what a killed one left.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from blocks import processes
from blocks.errors import Permanent
from blocks.processes import Backoff
from blocks.server import api, keeper_watch, port, postgres, problems, settings, worker
from blocks.server.warm import engine

LOG = logging.getLogger("supervisor")
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS = 0.5, 30.0, 60.0


@dataclass(frozen=True)
class Service:
    """One process of the server stack: how it is started and ended."""

    name: str
    command: Callable[[Path], list[str]]
    environment: Callable[[Path], dict[str, str]]
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20


SERVICES = (
    Service("database", postgres.command, lambda _home: settings.inherited(), postgres.STOP_SIGNAL, 30),
    Service("server", api.command, settings.server_environment),
    Service("engine", engine.command, settings.worker_environment, stop_seconds=5),
    *(Service(name, partial(worker.command, queue=queue), settings.worker_environment) for name, queue in worker.WORKERS.items()),
)


@dataclass
class Watched:
    """A service as the supervisor sees it; `due` and `since` are on the monotonic clock."""

    service: Service
    descriptor: int | None = None
    pid: int | None = None
    since: float = 0
    due: float = 0
    backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS))


def main(home: Path) -> None:
    """Keep the server stack alive until SIGTERM; give way if another supervisor does already."""
    lock = (home / "run" / "supervisor.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    problems.forget(home)
    processes.record(home / "run" / "supervisor.pid", os.getpid())
    with contextlib.suppress(Permanent):  # the server's start says why
        port.hold(home)
    woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    threading.Thread(target=keeper_watch.watch, args=(home,), daemon=True).start()
    keep(home, until=woken)
    stop_services(home)
    (home / "run" / "supervisor.pid").unlink(missing_ok=True)


def keep(home: Path, *, until: int) -> None:
    """Start what does not run, and again when it ends, until the descriptor `until` is readable."""
    watched = [adopt(home, service) for service in SERVICES]
    while True:
        for one in sorted(watched, key=lambda one: one.service.name == "database"):  # making it takes seconds, in which the others load
            if one.descriptor is None and one.due <= time.monotonic():
                launch(home, one)
        pauses = [one.due - time.monotonic() for one in watched if one.descriptor is None]
        descriptors = [one.descriptor for one in watched if one.descriptor is not None]
        ready = select.select([until, *descriptors], [], [], max(0.0, min(pauses)) if pauses else None)[0]
        if until in ready:
            return
        for one in watched:
            if one.descriptor in ready:
                note_end(home, one)


def adopt(home: Path, service: Service) -> Watched:
    """Watch a service, taking over the process that an earlier supervisor left."""
    pid = processes.recorded(home / "run" / f"{service.name}.pid")
    if pid is not None:
        LOG.info("%s: adopted, process %d", service.name, pid)
    return Watched(service, descriptor=None if pid is None else processes.watch(pid), since=time.monotonic())


def launch(home: Path, one: Watched) -> None:
    """Start a service; a failure to do so counts like its end."""
    name, folder = one.service.name, home / "run"
    one.since = time.monotonic()
    try:
        if name == "database":
            postgres.initialise(home)
            postgres.forget_dead(home)
        elif name == "server":
            port.hold(home)
        log = home / "logs" / f"{name}.log"
        argv, env = one.service.command(home), one.service.environment(home)
        pid = processes.start(argv, name=name, run=folder, log=log, env=env, cwd=settings.PROJECT)
    except Exception as error:
        LOG.exception("%s: could not be started", name)
        problems.note(home, name, f"the {name} could not be started: {error}", permanent=isinstance(error, Permanent))
        postpone(one)
        return
    LOG.info("%s: started, process %d", name, pid)
    if (before := problems.read(home, name)) is not None and before["permanent"]:
        problems.forget(home, name)
    one.pid, one.descriptor = pid, processes.watch(pid)
    if one.descriptor is None:
        postpone(one)


def note_end(home: Path, one: Watched) -> None:
    """Note that a service ended, and when to start it again."""
    if one.descriptor is not None:
        os.close(one.descriptor)
    one.descriptor = None
    failed = _reap(one.pid) > 0
    if time.monotonic() - one.since > STEADY_SECONDS:
        problems.forget(home, one.service.name)
    elif failed:
        _note_problem(home, one.service.name)
    postpone(one)
    LOG.warning("%s: ended; next start in %.1f s; its log is in %s", one.service.name, one.due - time.monotonic(), home / "logs")


def _reap(pid: int | None) -> int:
    """Collect ended children; give the exit code of this one, 0 if a signal ended it or it was not our child."""
    code = 0
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == pid and os.WIFEXITED(ended[1]):
                code = os.WEXITSTATUS(ended[1])
    return code


def _note_problem(home: Path, name: str) -> None:
    """Write down that a process ended by itself; not for those that only lack their database."""
    if name == "database" or postgres.is_ready(home):
        log = home / "logs" / f"{name}.log"
        words = log.read_text(errors="replace").strip().splitlines()[-1:] if log.exists() else []
        problems.note(home, name, f"the {name} keeps ending; see {log}. Its last line: {' '.join(words) or 'none'}")


def postpone(one: Watched) -> None:
    """Wait before the next start."""
    now = time.monotonic()
    one.due = now + one.backoff.after(now - one.since)


def stop_services(home: Path) -> None:
    """End every recorded process of the server stack, those first that need the others."""
    for service in reversed(SERVICES):
        graceful = processes.stop(
            home / "run" / f"{service.name}.pid", with_signal=service.stop_signal, timeout_seconds=service.stop_seconds
        )
        LOG.info("%s: ended%s", service.name, "" if graceful else " by SIGKILL")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    main(Path(sys.argv[1]))
