"""One run of a script: begun under the lock, followed to its end, and found again by whoever comes after a crash."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from blocks import processes
from blocks.errors import Temporary
from blocks.outside_text import OutsideText, said
from blocks.runner import Runner
from blocks.script import alive
from blocks.script.alive import MARK
from blocks.script.output import Reader, Shown, tail
from blocks.script.result import RESULT
from blocks.script.state import Run, act_of, locked, run_folder
from blocks.script.wrapper import LOG, PROCESS, STOP

PROJECT = str(Path(__file__).parents[2])
LAUNCH = "import sys; sys.path.insert(0, sys.argv.pop(1)); from blocks.script.wrapper import main; main()"
START_SECONDS = 30.0
FIRST_LOOK_SECONDS, SLOWEST_LOOK_SECONDS, SLOWER = 0.02, 0.5, 1.3
TEMPFAIL = os.EX_TEMPFAIL
GONE = "is gone without an exit code (its machine was restarted, its wrapper was killed, or its disk was full)"
LOG_BYTES, NAME_LIMIT = 8_000, 200


class Command(NamedTuple):
    """What is run: program and arguments, whole environment, folder, and the user, None for ours."""

    words: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    user: Runner | None


class Ended(NamedTuple):
    """How a run ended.

    Fields:
        exit_code: Negative for a signal; None if there is none.
        timed_out: Whether it was ended at its time limit.
        not_run: Why the program could not be started, or "".
        seconds: How long it ran.
        left: The processes that it left running, each as `id (name)`; if it failed, those that could not be ended.
        has_begun: False if its wrapper never came to begin it.
        is_known: False if it is gone and no exit code was written.
        stopped: Whether it was ended for a rollback.
    """

    exit_code: int | None = None
    timed_out: bool = False
    not_run: str = ""
    seconds: float = 0.0
    left: Sequence[str] = ()
    has_begun: bool = True
    is_known: bool = True
    stopped: bool = False

    @property
    def asks_again(self) -> bool:
        """Whether the script wants to be run again (EX_TEMPFAIL)."""
        return self.exit_code == TEMPFAIL

    def in_words(self) -> str:
        """Say it in a few words: `exited with 1 after 2.0 s`."""
        after, left = f"after {self.seconds:.1f} s", ", ".join(self.left)
        if not (self.has_begun and self.is_known):
            return GONE if self.has_begun else "was not begun"
        if self.exit_code == 0:
            return f"exited with 0 {after}{f'; it left running: {left}' if left else ''}"
        if self.timed_out and not left:
            return f"timed out {after}, and was ended with all that it had started"
        if self.stopped and not left:
            return f"was ended {after} with all that it had started, as a rollback took over"
        if self.timed_out or self.stopped:
            return f"{'timed out' if self.timed_out else 'was to be ended as a rollback took over,'} {after}{self.beside}"
        if self.exit_code is not None and self.exit_code < 0:
            return f"was killed by signal {-self.exit_code} {after}{self.beside}"
        return f"exited with {self.exit_code} {after}{self.beside}"

    @property
    def beside(self) -> str:
        """What may run on beside whatever comes next, in words: processes of a script that failed, as root's, which it had by sudo."""
        return f"; could not be ended: {', '.join(self.left)}" if self.left and self.exit_code != 0 else ""


def begin(folder: Path, run: Run, command: Command, *, lock: int, stop_seconds: float) -> None:
    """Start a run's wrapper, which holds the lock until its process is written down; call it under that lock.

    Raises:
        Temporary: It cannot be started.
    """
    place = run_folder(folder, run)
    order = {
        "command": list(command.words),
        "environment": {**command.environment, MARK: run["mark"]},
        "folder": command.folder,
        "user": command.user.options if command.user else {},
        "limit_seconds": run["limit_seconds"],
        "stop_seconds": stop_seconds,
    }
    try:
        place.mkdir(mode=0o700)
        log = os.open(place / LOG, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            wrapper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAUNCH, PROJECT, str(place), str(lock)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd="/",
                env=processes.passed_on(),
                pass_fds=[lock],
            )
        finally:
            os.close(log)
        wrapper.communicate(json.dumps(order).encode(), timeout=START_SECONDS)  # it forks, and its first process ends
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Temporary(f"the wrapper of a script cannot be started: {error}") from None


def is_under_way(folder: Path, run: Run) -> bool:
    """Say whether a run has begun and has not ended; one that is just being started holds the lock, which the caller has had since."""
    return alive.is_under_way(run_folder(folder, run), run["mark"])


def ended(folder: Path, run: Run) -> Ended:
    """Read how a run ended that is not under way."""
    place = run_folder(folder, run)
    with suppress(OSError, ValueError):
        found = Ended(**json.loads((place / RESULT).read_bytes()))
        return found._replace(left=[said(one, limit=NAME_LIMIT) for one in found.left], not_run=said(found.not_run))
    return Ended(has_begun=(place / PROCESS).exists(), is_known=False)


async def follow(folder: Path, run: Run, shown: Shown, *, stop_seconds: float) -> None:
    """Show a run's output until it has ended; one whose wrapper was killed is followed by its own process, to the same time limit."""
    await asyncio.to_thread(_wait_until_begun, folder)
    reader, delay = Reader(run_folder(folder, run)), FIRST_LOOK_SECONDS
    try:
        with _watched(run_folder(folder, run)) as has_ended:
            while await asyncio.to_thread(is_under_way, folder, run):
                for line in await asyncio.to_thread(reader.read):
                    shown.show(line)
                await asyncio.to_thread(_end_if_late, folder, run, stop_seconds)
                await _pause(delay, has_ended)
                delay = min(delay * SLOWER, SLOWEST_LOOK_SECONDS)
        for line in await asyncio.to_thread(reader.read, is_last=True):
            shown.show(line)
    finally:
        reader.close()


@contextmanager
def _watched(place: Path) -> Iterator[asyncio.Event]:
    """Give what is set as soon as a run's wrapper has ended, so that the end is seen at once and not at the next look."""
    has_ended, wrapper, loop = asyncio.Event(), processes.recorded(place / PROCESS), asyncio.get_running_loop()
    handle = None if wrapper is None else processes.watch(wrapper)
    if handle is None:
        yield has_ended
        return

    def end() -> None:
        loop.remove_reader(handle)
        has_ended.set()

    loop.add_reader(handle, end)
    try:
        yield has_ended
    finally:
        loop.remove_reader(handle)
        os.close(handle)


async def _pause(seconds: float, has_ended: asyncio.Event) -> None:
    """Wait; where the wrapper ends meanwhile, no longer."""
    if has_ended.is_set():  # what it started outlives it, as after SIGKILL
        await asyncio.sleep(seconds)
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await has_ended.wait()


async def end(folder: Path, run: Run, shown: Shown, *, stop_seconds: float) -> None:
    """End a run with all that it started; its wrapper does that, else what carries its mark is ended from here."""
    place = run_folder(folder, run)
    with suppress(OSError):  # as on a full disk: then it is followed to its end
        await asyncio.to_thread((place / STOP).touch)
    await follow(folder, run, shown, stop_seconds=stop_seconds)
    if not (place / RESULT).exists():
        await asyncio.to_thread(processes.signal_all, 0, f"{MARK}={run['mark']}", signal.SIGKILL)


def _wait_until_begun(folder: Path) -> None:
    with locked(folder):
        pass


def evidence(folder: Path, run: Run) -> list[OutsideText]:
    """Give the last lines that a run wrote."""
    return tail(run_folder(folder, run))


def why_not_begun(folder: Path, run: Run) -> str:
    """Say why a run was not begun, by the last line of its wrapper's log."""
    path, log = run_folder(folder, run) / LOG, b""
    with suppress(OSError):
        log = path.read_bytes()[-LOG_BYTES:]
    lines = [text for line in log.decode(errors="replace").splitlines() if (text := said(line))]
    return f"it was not begun: {lines[-1] if lines else 'its wrapper could write no reason down, as on a full disk'}; see {path}"


def in_words(run: Run, *, now: float) -> str:
    """Say for people what runs: `deploy 1.1 runs for 12 s (run 3)`."""
    return f"{act_of(run)} runs for {max(0.0, now - run['began']):.0f} s (run {run['id']})"


def _end_if_late(folder: Path, run: Run, stop_seconds: float) -> None:
    alive.end_if_late(run_folder(folder, run), run["mark"], deadline=run["began"] + run["limit_seconds"], stop_seconds=stop_seconds)
