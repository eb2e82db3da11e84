"""Processes that outlive whoever starts them: the server stack's, those of the local platform, and scripts.

Identity: a process is its id with its start time, so that a reused id is never mistaken for ours.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOG_LIMIT_BYTES = 10_000_000
PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR")

MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def passed_on(*more: str) -> dict[str, str]:
    """Give what a process may know of our environment: the variables of an allow-list, which hold no secrets.

    Args:
        more: Names of further ones.
    """
    allowed = {*PASSED_ON, *more}
    return {name: value for name, value in os.environ.items() if name in allowed or name.startswith("LC_")}


def fill(text: str, values: Mapping[str, str]) -> str:
    """Replace `{name}` for exactly the names in `values`, once; every other brace stays as it is."""
    names = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({names})\}}", lambda match: values[match[1]], text)


def limit(*bounds: tuple[int, int]) -> None:
    """Bound what this process may use; a lower bound of the machine stays.

    Args:
        bounds: Which resource of setrlimit(2), and the most of it.
    """
    for what, most in bounds:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


@dataclass
class Backoff:
    """Exponential backoff between restarts: twice as long after every end in a row; a steady life begins it anew."""

    first_seconds: float
    slowest_seconds: float
    steady_seconds: float
    seconds: float = 0

    def after(self, lived_seconds: float) -> float:
        """Say how many seconds to wait after a process that lived for so many."""
        begins = not self.seconds or lived_seconds > self.steady_seconds
        self.seconds = self.first_seconds if begins else min(2 * self.seconds, self.slowest_seconds)
        return self.seconds


def start_time(pid: int) -> str | None:
    """Name one life of a process id: boot and start tick from /proc; None if it is not alive, or dead and not yet reaped."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return None if fields[0] in "ZX" else f"{boot}/{fields[19]}"


def machine_id(files: Sequence[Path] = MACHINE_ID_FILES) -> str:
    """Name this machine, the same over restarts: machine-id(5), else the host's name.

    Args:
        files: Where the id is kept; the first that has one counts.
    """
    for path in files:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if text := path.read_text().strip():
                return text
    return os.uname().nodename


def record(path: Path, pid: int) -> None:
    """Write down which process this is."""
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps({"pid": pid, "started": start_time(pid)}))
    draft.replace(path)


def recorded(path: Path) -> int | None:
    """Return the id of the process written down at `path`, if that very process still lives."""
    try:
        note = json.loads(path.read_text())
        alive = note["started"] is not None and start_time(note["pid"]) == note["started"]
    except (FileNotFoundError, ValueError, KeyError):
        return None
    return int(note["pid"]) if alive else None


def start(argv: Sequence[str], *, name: str, run: Path, log: Path, env: Mapping[str, str], cwd: Path) -> int:
    """Start a detached process, write it down as `run`/`name`.pid, and return its id; other arguments as in `spawn`.

    Args:
        argv: Program and arguments.
        name: What it is called in `run`.
        run: Folder of process records.
        log: File that gets its output.
        env: Its whole environment.
        cwd: Its working directory.
    """
    rotate(log)
    process = spawn(argv, log=log, env=env, cwd=cwd)
    record(run / f"{name}.pid", process.pid)
    process.returncode = 0  # it is meant to live on; keeps Popen from warning about that
    return process.pid


def spawn(argv: Sequence[str], *, log: Path, env: Mapping[str, str], cwd: Path, **more: Any) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, without input; its output is appended to a file, since a pipe would break with its starter.

    Args:
        argv: Program and arguments.
        log: The file.
        env: Its whole environment.
        cwd: Its working directory.
        more: What else `Popen` is to be given.

    Raises:
        OSError: The program or the directory is not there, or may not be used.
    """
    with open(log, "ab", opener=_private) as output:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd=cwd, **{"start_new_session": True, **more}
        )


def _private(path: str, flags: int) -> int:
    """Open a file that only this user may read: what a service prints may be a customer's data, or a token."""
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)
    return descriptor


def rotate(log: Path) -> None:
    """Begin a log anew if it is over 10 MB; the old one is kept once, as `.old.log`."""
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_suffix(".old.log"))


def watch(pid: int) -> int | None:
    """Open a descriptor that becomes readable when the process ends; None if it has ended."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def wait(pid: int, *, timeout_seconds: float) -> bool:
    """Wait until a process has ended, ours or not; say whether it did in time."""
    descriptor = watch(pid)
    if descriptor is None:
        return True
    try:
        ended = bool(select.select([descriptor], [], [], timeout_seconds)[0])
    finally:
        os.close(descriptor)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return ended


def stop(path: Path, *, with_signal: signal.Signals, timeout_seconds: float) -> bool:
    """End the process written down at `path`: a signal, then SIGKILL when it does not end in time.

    Returns:
        Whether it ended by the first signal; True if it had ended already.
    """
    pid = recorded(path)
    graceful = True
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, with_signal)
        graceful = wait(pid, timeout_seconds=timeout_seconds)
        if not graceful and recorded(path) == pid:
            os.kill(pid, signal.SIGKILL)
            wait(pid, timeout_seconds=10)
    with contextlib.suppress(OSError):  # the process has ended, and what is written down says so, too
        path.unlink()
    return graceful


def signal_all(group: int, marker: str, number: signal.Signals) -> int:
    """Signal a process group, and every process with a marker in its environment, such as a daemon that left the group.

    Args:
        group: Id of the process that began the group; 0 leaves the group out.
        marker: The variable, as `NAME=value`.
        number: The signal.

    Returns:
        How many were signalled, the group counted as one.
    """
    signalled = 0
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if group > 1:  # 0 would be our own group
            os.killpg(group, number)
            signalled += 1
    for handle in marked(marker):
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(handle, number)
            signalled += 1
    return signalled


def marked(marker: str) -> Iterator[int]:
    """Give a handle of each process that has a variable in its environment; read here, which takes a third of psutil's time.

    Args:
        marker: The variable, as `NAME=value`.
    """
    variable = marker.encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - a path for each of hundreds costs as much as the reading
        if not _has(pid, variable):
            continue
        try:
            handle = os.pidfd_open(int(pid))
        except OSError:
            continue  # it has ended
        try:
            if _has(pid, variable):  # still: the handle is not that of a later process with the same id
                yield handle
        finally:
            os.close(handle)


def _has(pid: str, variable: bytes) -> bool:
    try:
        return variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not ours
        return False
