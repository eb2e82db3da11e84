"""A script's output as it comes: whole lines, cleaned, and the progress that some of them say."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeVar

from prefect.context import FlowRunContext
from prefect.logging.loggers import flow_run_logger

from blocks.outside_text import OutsideText, said
from blocks.progress import emit_progress
from blocks.script.artifact import ProgressArtifact, key_of
from blocks.script.wrapper import OLDER, OUTPUT

MOST_LINE_BYTES = 16_384
TAIL_BYTES, TAIL_LINES = 64_000, 20
MOST_LINES_LOGGED = 1_000
PIECE_BYTES = 1 << 20
BEGIN = b"::progress"
PROGRESS = re.compile(r"::progress\s+(\d{1,3})(?:\.\d+)?\s*%?(?:\s+(.*))?")
ALL_PERCENT = 100
FOLLOWED: set[Path] = set()  # the runs whose end this process has logged, or will


class Progress(NamedTuple):
    """What a line `::progress 40 copying` says."""

    percent: int
    words: str

    def __str__(self) -> str:
        """Write it for people: `40 %: copying`."""
        return f"{self.percent} %{f': {self.words}' if self.words else ''}"


class Ending(Protocol):
    """How a run ended, see `blocks.script.run.Ended`."""

    @property
    def exit_code(self) -> int | None:
        """Its exit code."""

    def in_words(self) -> str:
        """Say it in a few words."""


End = TypeVar("End", bound=Ending)


def read_progress(line: str) -> Progress | None:
    """Read the progress that a line says; None if it is an ordinary one."""
    found = PROGRESS.fullmatch(line.strip())
    return Progress(int(found[1]), (found[2] or "").strip()) if found and int(found[1]) <= ALL_PERCENT else None


class Reader:
    """Reads a run's output as it grows, over the turn of its files.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        """Begin at the oldest line that is kept."""
        self.folder = folder
        self.file: BinaryIO | None = None
        self.rest = b""

    def read(self, *, is_last: bool = False) -> list[bytes]:
        """Give the lines that came since; the last one too, if nothing more will come."""
        lines: list[bytes] = []
        while True:
            piece = self._piece()
            whole = (self.rest + piece).split(b"\n")
            self.rest = whole.pop()
            lines += whole
            if len(self.rest) > MOST_LINE_BYTES:
                lines, self.rest = [*lines, self.rest], b""
            if len(piece) < PIECE_BYTES and not self._turns():
                break
        if is_last and self.rest:
            lines, self.rest = [*lines, self.rest], b""
        return lines

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def _piece(self) -> bytes:
        if self.file is None:
            for name in (OLDER, OUTPUT):
                with suppress(FileNotFoundError):
                    self.file = (self.folder / name).open("rb")
                    break
        return self.file.read(PIECE_BYTES) if self.file is not None else b""

    def _turns(self) -> bool:
        """Go on to the newer file, if there is one behind the one that was read to its end; what was lost meanwhile is left out."""
        if self.file is None:
            return False
        mine = os.fstat(self.file.fileno()).st_ino
        if _inode(self.folder / OUTPUT) in {mine, None}:
            return False
        if rest := self.file.read(PIECE_BYTES):  # it grew before it was turned over
            self.rest += rest
            return True
        newer = OUTPUT if _inode(self.folder / OLDER) == mine else OLDER
        self.close()
        with suppress(FileNotFoundError):
            self.file = (self.folder / newer).open("rb")
        return True


def tail(folder: Path) -> list[OutsideText]:
    """Give the last lines of a run's output."""
    found = b""
    for name in (OUTPUT, OLDER):
        with suppress(OSError):
            path = folder / name
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - TAIL_BYTES))
                found = file.read() + found
        if len(found) >= TAIL_BYTES:
            break
    return [text for line in found[-TAIL_BYTES:].split(b"\n") if (text := _cleaned(line)) and read_progress(text) is None][-TAIL_LINES:]


class Shown:
    """Shows a script's lines in the log of the run, up to a bound, and its progress to those who follow the release.

    Args:
        release: Flow run id of who had it run.
        name: What is run, for people.
        kept: Where the output is kept.
        whose: Whose environment it is, for people.
    """

    def __init__(self, release: str, name: str, *, kept: Path, whose: str) -> None:
        """Nothing is shown yet."""
        self.release, self.name, self.kept = release, name, kept
        self.lines = self.readings = 0
        self.is_followed = False
        self.log, is_in_run = _logger()
        # Outside of a run, it would start a server of its own.
        self.artifact = ProgressArtifact(key_of(whose, kept.parents[1]), name, kept) if is_in_run else None

    def show(self, line: bytes) -> None:
        """Show one line; one that is not shown any more is not even cleaned, which would take longer than to print it."""
        if line.lstrip()[: len(BEGIN)] == BEGIN and (progress := read_progress(_cleaned(line))) is not None:
            self._move(progress)
            return
        if self.lines < MOST_LINES_LOGGED:
            if text := _cleaned(line):
                self.lines += 1
                self.log("%s | %s", self.name, text)
            return
        self.lines += 1
        if self.lines == MOST_LINES_LOGGED + 1:
            self.log("%s: its further lines are not shown here; the newest are kept in %s", self.name, self.kept)

    def _move(self, progress: Progress) -> None:
        self.readings += 1
        if self.readings <= MOST_LINES_LOGGED:
            self.log("%s: %s", self.name, progress)
        if self.artifact is not None:
            emit_progress(self.release, f"{self.name}: {progress}", reading=self.readings)
            self.artifact.move(progress.percent, progress.words)

    def found(self, ended: End) -> None:
        """Log how it ended while it was followed by a process that died; once a process, and not if this one followed it."""
        if self.kept not in FOLLOWED:
            self.say(f"run {self.kept.name} ended before this process looked: it {ended.in_words()}")

    def say(self, words: str) -> None:
        """Log a line of ours about it, as it is followed."""
        self.is_followed = True
        FOLLOWED.add(self.kept)
        self.log("%s: %s", self.name, words)

    def end(self, ended: End) -> End:
        """Log how it ended, if it was followed, and leave its progress there: at 100 %, or where it failed; gives its ending."""
        words = ended.in_words()
        if self.is_followed:
            self.say(words)
        if self.artifact is not None:
            self.artifact.end(words, is_done=ended.exit_code == 0)
        return ended


def _cleaned(line: bytes) -> OutsideText:
    """Clean a line; of one that returns to its beginning, as a bar of progress does, the last state counts."""
    states = [state for state in line[-MOST_LINE_BYTES:].split(b"\r") if state.strip()]
    return said(states[-1].decode(errors="replace")) if states else said("")


def _inode(path: Path) -> int | None:
    with suppress(OSError):
        return path.stat().st_ino
    return None


def _logger() -> tuple[Callable[..., Any], bool]:
    """Give what logs a line, and whether that is the log of a run: the flow's, since of tasks only warnings are kept."""
    context = FlowRunContext.get()
    if context is not None and context.flow_run is not None:
        return flow_run_logger(context.flow_run, context.flow).info, True
    return logging.getLogger("shipway.script").info, False
