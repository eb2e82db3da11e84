"""The file that says how long records, runs and artifacts are kept: beside the approval key, where the API's password does not reach."""

from __future__ import annotations

import os
from pathlib import Path

from blocks.errors import Refused
from blocks.key_folder.key_file import key_path
from blocks.key_folder.policy_files import expect_safe

NAME = "retention.yaml"
MOST_BYTES = 64_000


def retention_path() -> Path:
    """Say where the file is."""
    return key_path().parent / NAME


def retention_text() -> bytes | None:
    """Read the file; None if there is none.

    Raises:
        Refused: It cannot be read, or others can write it.
    """
    path = retention_path()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            expect_safe(path, os.fstat(descriptor))
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error
