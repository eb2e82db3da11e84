"""A path that only this user and root can change: found once, and every folder and link on the way looked at."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

MOST_LINKS = 40  # as the kernel


class NotOwn(Exception):
    """Others could lead a path elsewhere.

    Fields:
        place: The folder, link or file that they can change.
    """

    def __init__(self, place: Path, why: str) -> None:
        """Say which place, and why others can change it."""
        super().__init__(f"{place} {why}")
        self.place = place


def own_path(path: Path) -> Path:
    """Follow a path as the kernel does, and return where it leads.

    Nothing on the way can be replaced by others, so the result means the same file or folder later. What it names itself is not judged
    but for its owner: use `changeable` with the status of what is opened.

    Raises:
        NotOwn: A folder or a link on the way belongs to another user, or others can write to it.
        OSError: It does not exist, or cannot be followed.
    """
    place, left, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    _expect_own_folder(place)
    while left:
        if (part := left.pop()) == "..":
            place = place.parent
            continue
        entry = place / part
        found = entry.lstat()
        if stat.S_ISLNK(found.st_mode):
            _expect_own(entry, found)
            if (links := links + 1) > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            target = entry.readlink()
            place = Path("/") if target.is_absolute() else place
            left += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            continue
        if left:
            _expect_own_folder(entry)
        else:
            _expect_own(entry, found)
        place = entry
    return place


def open_own(path: Path) -> tuple[Path, BinaryIO]:
    """Open a file once, by the path to which it leads, and give both; a pipe is not waited for.

    Raises:
        NotOwn: As `own_path`, or others can write to the file itself.
        OSError: As `own_path`, or it cannot be opened.
    """
    real = own_path(path)
    file = os.fdopen(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if why := changeable(os.fstat(file.fileno())):
        file.close()
        raise NotOwn(real, why)
    return real, file


def changeable(found: os.stat_result) -> str:
    """Say why others than this user and root can change a file or folder, "" if they cannot."""
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to the user {found.st_uid}"
    if found.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if found.st_mode & stat.S_IWGRP and found.st_gid not in {0, os.getegid()}:
        return f"can be written by the group {found.st_gid}"
    return ""


def is_sticky(found: os.stat_result) -> bool:
    """Say if others can only add to a folder, not replace what is there, as in /tmp."""
    return bool(found.st_mode & stat.S_ISVTX) and found.st_uid in {0, os.geteuid()}


def _expect_own(entry: Path, found: os.stat_result) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise NotOwn(entry, f"belongs to the user {found.st_uid}")


def _expect_own_folder(folder: Path) -> None:
    found = folder.lstat()
    if (why := changeable(found)) and not is_sticky(found):
        raise NotOwn(folder, why)
