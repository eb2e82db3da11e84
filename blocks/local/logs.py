"""Log files of a local environment's revisions: written by the services themselves, bounded, and stamped with the time from outside.

A service writes to its file without anything between that could break. The agent notes once a second how far each file has grown, and
when. A line's time is the first note that covers it, so it is late by a second at most and never early.

A line counts before its newline is there, and of a long one its first 64 kB; that head is kept beside the file if the file is turned over
within the line.
"""

from __future__ import annotations

import os
import shutil
from bisect import bisect_left
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from blocks.local.log_lines import Line, begin_of_line, lines_of, open_head
from blocks.local.state.file import LOGS
from blocks.platform import LogLine
from blocks.secret_text import CUT

MAX_BYTES_A_FILE = 25_000_000  # of which there are two a revision, the current and the one before
MAX_LINE_CHARACTERS = 4_000
KEPT_REVISIONS = 6


def log_path(folder: Path, revision_id: str, version: str) -> Path:
    """Say where a revision writes its log."""
    return folder / LOGS / f"{revision_id}-{version}.log"


def stamp(folder: Path, *, now: float, alive: Collection[str] = (), max_bytes: int = MAX_BYTES_A_FILE) -> None:
    """Note how far every log has grown, turn over the full ones, and drop those of revisions long gone.

    Args:
        folder: The environment's folder.
        now: Seconds since the epoch, UTC.
        alive: Ids of revisions whose logs stay, however old.
        max_bytes: Size at which a file is turned over.
    """
    logs = _logs(folder)
    for path in logs:
        size = path.stat().st_size
        stamps = _stamps(path)
        noted = _last_noted(stamps)
        if size > noted:
            with stamps.open("a", encoding="ascii") as file:
                file.write(f"{size} {now:.3f}\n")
        if size > max_bytes:
            _turn_over(path)
    gone = [path for path in logs if path.name.partition("-")[0] not in alive]
    for path in gone[:-KEPT_REVISIONS]:
        for leftover in (path, _older(path)):
            for one in (leftover, _stamps(leftover), _head(leftover), _lost(leftover)):
                one.unlink(missing_ok=True)


def read(folder: Path, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
    """Hand over the lines of all revisions since a moment, a revision after the other, each oldest first.

    Args:
        folder: The environment's folder.
        since: Seconds since the epoch, UTC.
        take: Called for each line.

    Returns:
        Of which versions lines are lost, as too much was logged since, and in which words.
    """
    lost: dict[str, str] = {}
    for path in _logs(folder):
        version = path.name.removesuffix(".log").partition("-")[2]
        is_continued = bool(_kept_head(path))
        if _older(path).exists():
            _hand_over(_older(path), since, version, take, is_continued=is_continued)
        _hand_over(path, since, version, take)
        if _lost_until(path) > since:
            lost[version] = f"the log of {version} was turned over twice since then, and what it said first is lost"
    return lost


def tail(folder: Path, revision_id: str, version: str, *, lines: int) -> list[str]:
    """Read the last lines of one revision's log."""
    path = log_path(folder, revision_id, version)
    if not path.exists():
        return []
    with path.open("rb") as file:
        begin = max(0, path.stat().st_size - lines * MAX_LINE_CHARACTERS)
        file.seek(begin)
        found = file.read(lines * MAX_LINE_CHARACTERS).decode(errors="replace").splitlines()
    whole = [f"{CUT}{found[0]}", *found[1:]] if begin and found else found
    return [_shortened(text) for text in whole[-lines:]]


def _logs(folder: Path) -> list[Path]:
    return sorted((folder / LOGS).glob("*.log"), key=lambda path: int(path.name.partition("-")[0]))


def _stamps(path: Path) -> Path:
    return path.with_name(path.name + ".times")


def _older(path: Path) -> Path:
    return path.with_name(path.name + ".1")


def _lost(path: Path) -> Path:
    return path.with_name(path.name + ".lost")


def _lost_until(path: Path) -> float:
    """Say until when lines are lost (seconds since the epoch); 0 if none are."""
    with suppress(FileNotFoundError, ValueError):
        return float(_lost(path).read_text(encoding="ascii"))
    return 0.0


def _head(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def _kept_head(path: Path) -> bytes:
    """Give the head of the line in which a file goes on; nothing if it begins with a line of its own."""
    with suppress(FileNotFoundError):
        return _head(path).read_bytes()
    return b""


def _last_noted(stamps: Path) -> int:
    if not stamps.exists():
        return 0
    with stamps.open("rb") as file:
        file.seek(max(0, stamps.stat().st_size - 60))
        last = file.read().split(b"\n")[-2:-1]
    return int(last[0].split()[0]) if last else 0


def _turn_over(path: Path) -> None:
    """Copy and truncate: the service keeps writing to the same open file, which was opened for appending."""
    if _older(path).exists():
        stamps = _stamps(_older(path))
        _lost(path).write_text(f"{stamps.stat().st_mtime if stamps.exists() else path.stat().st_mtime:.3f}", encoding="ascii")
    head, before = open_head(path, before=(kept := _kept_head(path))), _head(_older(path))
    shutil.copyfile(path, _older(path))
    os.truncate(path, 0)
    for place, content in ((before, kept), (_head(path), head)):
        place.write_bytes(content)
    if _stamps(path).exists():
        _stamps(path).replace(_stamps(_older(path)))


def _hand_over(path: Path, since: float, version: str, take: Callable[[LogLine], bool | None], *, is_continued: bool = False) -> None:
    """Hand over a file's lines since a moment; the last line counts in the next file if that goes on with it."""
    stamps = _stamps(path).read_text(encoding="ascii").splitlines() if _stamps(path).exists() else []
    pairs = [(int(size), float(at)) for size, at in (stamp.split() for stamp in stamps)]
    sizes, times = [size for size, _ in pairs], [at for _, at in pairs]
    first = bisect_left(times, since)
    begin = begin_of_line(path, sizes[first - 1] if first else 0)
    last_write = path.stat().st_mtime
    for line in lines_of(path, begin=begin, before=b"" if begin else _kept_head(path)):
        index = bisect_left(sizes, line.end)
        at = times[index] if index < len(times) else last_write
        if at >= since and not (line.is_open and is_continued):
            for text in _texts(line):
                take(LogLine(at=at, version=version, text=text))


def _texts(line: Line) -> list[str]:
    """Give what a line says, in parts if it returns to its beginning; a cut shows, since half a secret at the end is found by that."""
    texts = [part.decode(errors="replace") for part in line.head.splitlines()] or [""]
    return [*texts[:-1], f"{texts[-1]}{CUT}"] if line.is_cut else texts


def _shortened(line: str) -> str:
    """Cut a long line, and show that it was cut: half a secret at its end is found by that."""
    return line if len(line) <= MAX_LINE_CHARACTERS else line[: MAX_LINE_CHARACTERS - 1] + CUT
