"""Where a local environment lives, and whether others could put another folder in its place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from blocks.errors import BadInput


def expect_own_place(folder: Path) -> None:
    """Expect that only this user and root can change what leads to a folder.

    Without this, whoever may write to a folder above could show one environment while it is compared with others, and then another.

    Args:
        folder: The folder, links followed; it need not exist.

    Raises:
        BadInput: Others can change it, or a folder above it.
    """
    for place in (folder, *folder.parents):
        try:
            found = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise BadInput(f"{place} cannot be looked at: {error.strerror}", field="folder", fix="Name a folder of this user") from None
        if not stat.S_ISDIR(found.st_mode):
            raise BadInput(f"{place} is not a folder", field="folder", fix="Name a folder, with the links in its path followed")
        if (why := _changeable(found)) and not (place != folder and found.st_mode & stat.S_ISVTX and found.st_uid in {0, os.geteuid()}):
            fix = f"Make it yours (`chown {os.geteuid()} {place}; chmod go-w {place}`), or leave `folder` out"
            raise BadInput(f"{folder} could be replaced by other users: {place} {why}", field="folder", fix=fix)


def _changeable(found: os.stat_result) -> str:
    if found.st_uid not in {0, os.geteuid()}:
        return f"belongs to the user {found.st_uid}"
    if found.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if found.st_mode & stat.S_IWGRP and found.st_gid not in {0, os.getegid()}:
        return f"can be written by the group {found.st_gid}"
    return ""
