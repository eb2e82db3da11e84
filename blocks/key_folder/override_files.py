"""Override files: `overrides/RUN/NAME.json` beside the approval key, one for each person who overrides something for a release."""

from __future__ import annotations

from pathlib import Path

from blocks.key_folder.key_file import key_path
from blocks.key_folder.policy_files import read_files, write_file

SUFFIX = ".json"


def override_folder(run: str) -> Path:
    """Return the folder of the overrides of a run."""
    return key_path().parent / "overrides" / run


def read_override_files(run: str) -> dict[str, bytes]:
    """Read every override of a run; empty without any.

    Raises:
        Refused: The folder or a file cannot be read, belongs to another user, or can be changed by others.
    """
    return read_files(override_folder(run), suffix=SUFFIX, noun="override", plural="overrides")


def write_override_file(run: str, name: str, content: bytes) -> Path:
    """Write an override, whole and durably.

    Raises:
        Refused: The folder cannot be written, or others can change it.
    """
    return write_file(override_folder(run), f"{name}{SUFFIX}", content, noun="override")
