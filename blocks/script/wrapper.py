"""Wrapper: runs one script so that it survives the worker that started it, and writes down how it ended.

It leads a session of its own, and writes its process down before the script begins, and the exit code, in one step, after it has ended. Its
order comes over its standard input, so that no secret lies on a disk or among the arguments. It adopts what its script leaves behind
(PR_SET_CHILD_SUBREAPER), so that at the time limit the whole tree is found and ended, whatever it did to its session or environment.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from blocks import processes
from blocks.script.result import keep_room, write_or_part

PR_SET_CHILD_SUBREAPER = 36
OUTPUT, OLDER = "output", "output.1"
PROCESS, SCRIPT, LOG = "process.json", "script.json", "wrapper.log"
STOP = "stop"  # a file that asks for its end, as of a rollback that took over
MOST_BYTES = 1_000_000  # of each of the two files of output
PIECE_BYTES = 65_536
TICK_SECONDS, ROUND_SECONDS = 0.5, 0.05
KILL_ROUNDS = 40
NAMES_SHOWN = 5
UMASK = 0o022


class Keeps(Protocol):
    """What a program's output is given to."""

    def add(self, piece: bytes) -> None:
        """Take a piece."""
        ...


class Output:
    """The script's output, of which the newest one to two megabytes are kept; what cannot be written is let go.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        """Begin with an empty file."""
        self.path, self.older, self.size = folder / OUTPUT, folder / OLDER, 0
        self.file = self._open()

    def add(self, piece: bytes) -> None:
        """Append a piece; a full file becomes the older one."""
        with suppress(OSError):  # as on a full disk, for which no script is stopped
            if self.size > MOST_BYTES:
                with suppress(FileNotFoundError):  # the newer one could not be opened before
                    self.path.replace(self.older)
                newer = self._open()
                os.close(self.file)
                self.file, self.size = newer, 0
            self.size += os.write(self.file, piece)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def main() -> None:
    """Run the script of the order: `wrapper FOLDER LOCK`; returns in the starter at once, and in the wrapper once all is written."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    order = json.loads(sys.stdin.buffer.read())  # half an order is none: its starter has died
    if os.fork():
        os._exit(0)
    wrap(folder, lock, order)


def wrap(folder: Path, lock: int, order: dict[str, Any]) -> None:
    """Run the script of an order to its end, in a process that its starter has forked for it.

    Args:
        folder: The run's folder.
        lock: Descriptor of the lock, held until this process is written down.
        order: What to run, and its limits.
    """
    os.setsid()
    os.umask(UMASK)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    adopt_orphans()
    output = Output(folder)
    keep_room(folder)
    processes.record(folder / PROCESS, os.getpid())
    os.close(lock)
    began = time.monotonic()
    ours, theirs = os.pipe()
    try:
        child = start(order, theirs, theirs)
    except OSError as error:
        why = error.strerror or str(error)
        return write_or_part(folder, {"exit_code": None, "not_run": why, "timed_out": False, "seconds": 0.0, "left": []})
    finally:
        os.close(theirs)
    with suppress(OSError):  # as on a full disk: it runs, and is followed here
        processes.record(folder / SCRIPT, child.pid)
    limits = {name: order[name] for name in ("limit_seconds", "stop_seconds")}
    exit_code, ended_by = follow(child, ours, output, stop=folder / STOP, **limits)
    if exit_code != 0:  # what a script that failed has left is not the service: nothing of it may run beside a rollback
        end_tree(ours, output, stop_seconds=order["stop_seconds"])
    result = {
        "exit_code": exit_code,
        "not_run": "",
        "timed_out": ended_by == "time limit",
        "stopped": ended_by == "rollback",
        "seconds": time.monotonic() - began,
        "left": _names(_descendants()),
    }
    write_or_part(folder, result)
    return _drain(ours)


def adopt_orphans() -> None:
    """Become the parent of what the processes below leave, so that all of them are found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start(order: dict[str, Any], output: int, errors: int) -> subprocess.Popen[bytes]:
    """Start the program of an order, in a session of its own and with an empty input."""
    return subprocess.Popen(
        order["command"],
        cwd=order["folder"],
        env=order["environment"],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        **order["user"],
    )


def follow(
    child: subprocess.Popen[bytes], ours: int, output: Keeps, *, stop: Path, limit_seconds: float, stop_seconds: float
) -> tuple[int | None, str]:
    """Keep the output until the script has ended, which it does at its time limit, and once that is asked for; gives what ended it."""
    deadline = time.monotonic() + limit_seconds
    os.set_blocking(ours, False)
    handle = os.pidfd_open(child.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(handle, selectors.EVENT_READ)
        selector.register(ours, selectors.EVENT_READ)
        prints = True
        while not _ready(selector, handle, timeout=min(TICK_SECONDS, max(0.0, deadline - time.monotonic()))):
            if prints and not _take(ours, output):
                selector.unregister(ours)  # it has closed its output, or sent it elsewhere, and goes on
                prints = False
            _reap(besides=child.pid)
            is_late = time.monotonic() > deadline
            if is_late or stop.exists():
                end_tree(ours, output, stop_seconds=stop_seconds)
                with suppress(subprocess.TimeoutExpired):  # one that may not be signalled, as of sudo, is named in what is left
                    child.wait(stop_seconds)
                return None, "time limit" if is_late else "rollback"
    exit_code = child.wait()
    _take_all(ours, output)
    return exit_code, ""


def _ready(selector: selectors.BaseSelector, handle: int, *, timeout: float) -> bool:
    return any(key.fd == handle for key, _ in selector.select(timeout))


def _take(ours: int, output: Keeps) -> bool:
    """Take a piece of the output, if there is one; False at its end."""
    try:
        piece = os.read(ours, PIECE_BYTES)
    except BlockingIOError:
        return True
    output.add(piece)
    return bool(piece)


def _take_all(ours: int, output: Keeps) -> None:
    """Take what was written so far; what the script leaves running may write on."""
    with suppress(BlockingIOError):
        for _ in range(MOST_BYTES // PIECE_BYTES):
            if not (piece := os.read(ours, PIECE_BYTES)):
                return
            output.add(piece)


def end_tree(ours: int, output: Keeps, *, stop_seconds: float) -> None:
    """End everything that the script started: SIGTERM, then SIGKILL, until nothing is left, or what is left cannot be ended."""
    deadline = time.monotonic() + stop_seconds
    _signal(signal.SIGTERM)
    while _alive() and time.monotonic() < deadline:
        time.sleep(ROUND_SECONDS)
        _take_all(ours, output)
    for _ in range(KILL_ROUNDS):  # one that forks all the time is met in the next round
        if not _alive():
            return
        _signal(signal.SIGKILL)
        time.sleep(ROUND_SECONDS)


def _signal(number: signal.Signals) -> None:
    for pid in _descendants():
        with suppress(OSError):
            os.kill(pid, number)


def _alive() -> list[int]:
    return [pid for pid in _descendants() if processes.start_time(pid) is not None]


def _descendants() -> list[int]:
    """List all processes below this one, those without a parent included, which come to it: so without a child there is none."""
    if not _has_children():
        return []  # to read of every process of a busy machine would cost more than the script
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - a path for each of hundreds costs as much as the reading
        with suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] not in {b"Z", b"X"}:
                children.setdefault(int(fields[1]), []).append(int(name))
    found, ahead = [], [os.getpid()]
    while ahead:
        below = children.pop(ahead.pop(), [])
        found += below
        ahead += below
    return found


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap(*, besides: int) -> None:
    """Bury the orphans that came to us and have ended; not the script, whose status is waited for."""
    with suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None and found.si_pid != besides:
            os.waitpid(found.si_pid, os.WNOHANG)


def _names(pids: list[int]) -> list[str]:
    more = len(pids) - NAMES_SHOWN
    return [_name(pid) for pid in pids[:NAMES_SHOWN]] + ([f"{more} more"] if more > 0 else [])


def _name(pid: int) -> str:
    with suppress(OSError):
        return f"{pid} ({Path(f'/proc/{pid}/comm').read_text(errors='replace').strip()})"
    return str(pid)


def _drain(ours: int) -> None:
    """Take what the service that the script has left goes on to print, and drop it: a closed pipe would end the service."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # buries what ends from now on
    os.set_blocking(ours, True)
    with suppress(OSError):
        while os.read(ours, PIECE_BYTES):
            pass


if __name__ == "__main__":
    main()
