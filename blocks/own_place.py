"""Where an environment of this machine lives, and whether others could put another folder in its place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from blocks.errors import BadInput
from blocks.own_path import changeable, is_sticky


def home() -> Path:
    """Say where Shipway keeps its files: SHIPWAY_HOME, else `~/.shipway`."""
    return Path(os.environ.get("SHIPWAY_HOME") or Path.home() / ".shipway")


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
        if (why := changeable(found)) and not (place != folder and is_sticky(found)):
            fix = f"Make it yours (`chown {os.geteuid()} {place}; chmod go-w {place}`), or leave `folder` out"
            raise BadInput(f"{folder} could be replaced by other users: {place} {why}", field="folder", fix=fix)
