"""Freeze files: `freezes/ID.json` beside the approval key, on the workers' machines and never on the server.

So a freeze can be set while the server does not answer, and whoever has the server's password cannot take it away.
"""

from __future__ import annotations

from pathlib import Path

from blocks.key_folder.key_file import key_path
from blocks.key_folder.policy_files import read_files, write_file

SUFFIX = ".json"


def freeze_folder() -> Path:
    """Return the folder of the freezes."""
    return key_path().parent / "freezes"


def read_freeze_files() -> dict[str, bytes]:
    """Read every freeze file, by its id; empty without the folder.

    Raises:
        Refused: The folder or a file cannot be read, belongs to another user, can be changed by others, or is not a freeze file.
    """
    return read_files(freeze_folder(), suffix=SUFFIX, noun="freeze", plural="freezes")


def write_freeze_file(name: str, content: bytes) -> Path:
    """Write or replace a freeze file, whole and durably.

    Raises:
        Refused: The folder cannot be written, or others can change it.
    """
    return write_file(freeze_folder(), f"{name}{SUFFIX}", content, noun="freeze")


def forget_freeze_file(name: str) -> None:
    """Remove the file of a freeze that was over long ago."""
    (freeze_folder() / f"{name}{SUFFIX}").unlink(missing_ok=True)
