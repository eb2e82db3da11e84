"""Removal in a storage that others may write: by descriptors, so that no link is followed, and only of what lies where we made it.

A record is set aside by one rename, under a name that only retention makes, and removed there; other names stay.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from blocks.errors import Refused, Tampered
from tasks.record.files import opened_folder
from tasks.record.reading import RELEASE_ID

RECORDS, REMOVED = "records", "removed"
SET_ASIDE = re.compile(rf"{RELEASE_ID.pattern}-[0-9a-f]{{32}}")


def modes_in(base: Path, folder: str) -> dict[str, int]:
    """List a folder of the storage with the mode of each name, a link's its own; empty without the folder.

    Raises:
        Refused: It cannot be listed, or a link or something else is in its place.
    """
    found: dict[str, int] = {}
    try:
        with opened_folder(base, (folder,)) as descriptor, os.scandir(descriptor) as listed:
            for one in listed:
                with suppress(FileNotFoundError):
                    found[one.name] = one.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:
        return {}
    except Tampered as error:
        raise Refused(f"{error}. Find out who put it there; a folder that this user can read belongs there") from error
    except OSError as error:
        raise Refused(f"{base / folder} cannot be listed: {error.strerror}. Look at its rights and its disk") from error
    return found


def remove_folder(base: Path, run: str, *, first: Callable[[], None]) -> None:
    """Remove a record's folder, and what a process that died set aside; that it is not there is fine.

    Args:
        base: The storage's folder.
        run: The run whose record it is.
        first: Is called before, once it is certain that the folders are ours.

    Raises:
        Tampered: A link or something else is in the place of one of the folders.
        OSError: The disk refuses.
    """
    with suppress(FileNotFoundError), opened_folder(base, (RECORDS,)) as records, opened_folder(base, (REMOVED,), make=True) as aside:
        with suppress(FileNotFoundError):
            if not stat.S_ISDIR(os.stat(run, dir_fd=records, follow_symlinks=False).st_mode):
                raise Tampered(f"{base / RECORDS / run} is not a folder that was made here. Find out who put it there")
        first()
        with suppress(FileNotFoundError):
            os.rename(run, f"{run}-{uuid4().hex}", src_dir_fd=records, dst_dir_fd=aside)
        with os.scandir(aside) as found:
            names = [one.name for one in found if SET_ASIDE.fullmatch(one.name)]
        for name in names:
            shutil.rmtree(name, ignore_errors=True, dir_fd=aside)  # which refuses a link


def remove_file(base: Path, folder: str, name: str) -> None:
    """Remove a file, or the link in its place; that there is none is fine.

    Raises:
        Tampered: A link or something else is in the place of the folder.
        OSError: The disk refuses.
    """
    with suppress(FileNotFoundError), opened_folder(base, (folder,)) as descriptor:
        os.unlink(name, dir_fd=descriptor)
