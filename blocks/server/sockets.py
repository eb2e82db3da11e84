"""Where the Unix sockets of a home directory are: in its own `run`, or in a short private folder if that path does not suit.

A socket's path may have 107 bytes, and PostgreSQL reads its folders as a list with commas and quotes. So a long or unusual path has its
sockets in a folder of /run, /tmp or the like, which only we can enter; HOME/run/sockets.path remembers which.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from pathlib import Path

from blocks.errors import Refused

LONGEST_NAME = "/.s.PGSQL.5432.lock"
PATH_LIMIT_BYTES = 107
PLAIN = re.compile(r"[A-Za-z0-9/._+@=~-]+")


def folder(home: Path) -> Path:
    """Give the folder for the sockets of this home directory, making the short one if it is needed.

    Raises:
        Refused: A short private folder cannot be had; says what was tried.
    """
    inside = home / "run"
    if PLAIN.fullmatch(str(inside)) and len(os.fsencode(inside)) + len(LONGEST_NAME) <= PATH_LIMIT_BYTES:
        return inside
    note = inside / "sockets.path"
    tried = []
    for candidate in [*_remembered(note), *_candidates(home)]:
        problem = _problem(candidate)
        if problem is None:
            _remember(note, candidate)
            return candidate
        tried.append(f"{candidate}: {problem}")
    message = f"there is no private folder for the sockets of {home} ({'; '.join(tried)}); fix one of them, or choose a short --home"
    raise Refused(message)


def parents() -> list[Path]:
    """List the folders in which a short one may lie; what a logout removes stands last."""
    first = [Path("/run")] if os.geteuid() == 0 else []
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    usual = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]  # noqa: S108 - the folder in it is private by mode and owner
    return [*first, *usual, *([Path(runtime)] if runtime else [])]


def remove(home: Path) -> None:
    """Remove the short folder of a home directory whose processes have ended, if there is one."""
    for short in _remembered(home / "run" / "sockets.path"):
        if short.parent != home and _problem(short) is None:
            for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock", "engine.sock", "judge.sock"):
                (short / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                short.rmdir()


def _remembered(note: Path) -> list[Path]:
    try:
        found = Path(os.fsdecode(note.read_bytes()))
    except OSError:
        return []
    return [found] if found.is_absolute() and found.is_dir() else []


def _remember(note: Path, short: Path) -> None:
    if _remembered(note) == [short] or not note.parent.is_dir():
        return
    draft = note.with_suffix(f".{os.getpid()}")
    draft.write_bytes(os.fsencode(short))
    draft.replace(note)


def _candidates(home: Path) -> list[Path]:
    name = f"shipway-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
    return [parent / name for parent in parents()]


def _problem(short: Path) -> str | None:
    """Say why a folder cannot hold our sockets: only we may be able to write in it, or to replace it."""
    try:
        above = short.parent.stat()
        short.mkdir(mode=0o700, exist_ok=True)
        seen = short.lstat()
    except OSError as error:
        return error.strerror or str(error)
    if above.st_uid not in (0, os.geteuid()) or (above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX):
        return "others can replace it"
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
        return "it is not a private folder of ours"
    return None if os.access(short, os.W_OK | os.X_OK) else "it cannot be written to"
