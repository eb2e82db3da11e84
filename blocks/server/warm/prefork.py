"""A process that has imported much already, and forks for each client that asks: what the warm engine and the warm judge share.

A client sends a line of JSON, and may hand over descriptors; it is sent the fork's process id, and at last how it ended. When a client
dies (whoever started it gave it up), its fork is killed; when this process ends in order, so do its forks.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from blocks.server import settings

OURS = tuple(f"{settings.PROJECT / room}{os.sep}" for room in ("flows", "tasks", "blocks"))
REQUEST_SECONDS = 5
MOST_BYTES, MOST_DESCRIPTORS = 1_000_000, 3


@dataclass(frozen=True)
class Run:
    """One fork: its process, the descriptor that becomes readable when it ends, the client that stands for it."""

    pid: int
    ended: int
    client: socket.socket


def listen(path: Path) -> socket.socket:
    """Listen on a Unix socket that only this user reaches; its path is there when it listens, and no sooner."""
    unready = path.with_name(f"{path.name}~")
    unready.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(unready))
    unready.chmod(0o600)
    listener.listen(64)
    unready.rename(path)
    return listener


def written(files: Iterable[str]) -> dict[str, int]:
    """Give the times at which files were written, in nanoseconds; 0 for one that was removed."""
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


def forget_ours() -> None:
    """Take this project's modules out of what is imported."""
    for name in imported_of_ours():
        if name != "__main__":
            del sys.modules[name]


def leave(status: int) -> NoReturn:
    """End a fork as an interpreter does: threads joined, exit handlers run, output flushed."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
        importlib.import_module("atexit")._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


class Forks(ABC):
    """The loop: one thread; wakes when a client calls, a fork ends or a client disconnects.

    Args:
        listener: A listening Unix socket.
        known: When files of ours were written, as `written` gave it before any was imported.
        idle_seconds: After so long without a client it ends; None never.
    """

    def __init__(self, listener: socket.socket, known: Mapping[str, int], *, idle_seconds: float | None = None) -> None:
        """Keep what to listen on; nothing is accepted yet."""
        self.listener, self.known, self.idle_seconds = listener, known, idle_seconds
        self.runs: list[Run] = []

    @abstractmethod
    def become(self, request: dict[str, Any], given: Sequence[int]) -> NoReturn:
        """In a fresh fork: do what the client asks for, and end."""

    def answer_without_fork(self, request: dict[str, Any]) -> bool:  # noqa: ARG002
        """Do what needs no fork; say whether that was all that was asked for."""
        return False

    def when_idle(self) -> None:  # noqa: B027 - nothing is to be done, where nothing is said
        """Do what may be done only while no fork runs."""

    def is_outdated(self) -> bool:
        """Say whether a file that is imported was written since."""
        return any(self.known.get(file) != now for file, now in written(imported_of_ours().values()).items())

    def serve(self) -> NoReturn:
        """Fork for every client, and send each how its fork ended; ends by a signal, or when it was idle for long enough."""
        while True:
            wanted: list[Any] = [self.listener, *(run.ended for run in self.runs), *(run.client for run in self.runs)]
            ready = select.select(wanted, [], [], None if self.runs else self.idle_seconds)[0]
            if not ready:
                self.end()
            if self.listener in ready:
                self.accept()
            for run in list(self.runs):
                if run.ended in ready:
                    self.conclude(run)
                elif run.client in ready:
                    os.kill(run.pid, signal.SIGKILL)

    def accept(self) -> None:
        """Read one client's request and fork for it; a broken request is dropped."""
        client, _ = self.listener.accept()
        client.settimeout(REQUEST_SECONDS)
        given: list[int] = []
        try:
            request = _read(client, given)
            if self.answer_without_fork(request):
                client.close()
                return
            pid = os.fork()
            if pid == 0:
                self.forget_all(client)
                self.become(request, given)
            self.runs.append(Run(pid, os.pidfd_open(pid), client))
            with contextlib.suppress(OSError):  # a client that disconnected by now is seen by the loop, which kills its fork
                client.sendall(json.dumps({"pid": pid}).encode() + b"\n")
        except (OSError, ValueError):
            logging.getLogger(__name__).exception("a client's request could not be met")
            client.close()
        finally:
            for descriptor in given:
                os.close(descriptor)

    def conclude(self, run: Run) -> None:
        """Reap a fork that ended and send its client the exit code."""
        status = os.waitstatus_to_exitcode(os.waitpid(run.pid, 0)[1])
        with contextlib.suppress(OSError):
            run.client.sendall(json.dumps({"exit": status}).encode() + b"\n")
        run.client.close()
        os.close(run.ended)
        self.runs.remove(run)
        if not self.runs:
            self.when_idle()

    def forget_all(self, client: socket.socket) -> None:
        """In a fork: close what belongs to its parent and to other forks."""
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for open_socket in (self.listener, client, *(run.client for run in self.runs)):
            open_socket.close()
        for run in self.runs:
            os.close(run.ended)

    def end(self) -> NoReturn:
        """End in order, and the forks with it."""
        for run in self.runs:
            os.kill(run.pid, signal.SIGKILL)
        sys.exit(0)


def _read(client: socket.socket, given: list[int]) -> dict[str, Any]:
    """Read a client's line, and take the descriptors that come with it."""
    line = b""
    while not line.endswith(b"\n"):
        part, descriptors, _, _ = socket.recv_fds(client, 65_536, MOST_DESCRIPTORS)
        given += descriptors
        line += part
        if not part or len(line) > MOST_BYTES:
            raise ValueError("the request broke off")
    request = json.loads(line)
    if not isinstance(request, dict):
        raise ValueError("the request is not an object")  # noqa: TRY004 - as of any other request that cannot be read
    return request
