"""Policy files: `policies/NAME.yaml` beside the approval key, on the workers' machines and never on the server.

Who can write there can decide anyway. What cannot be read, or could have been written by others, is an error and never an absent policy.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from blocks.errors import Refused
from blocks.key_folder.key_file import key_path, make_folder, replace_file

SUFFIX = ".yaml"
MAX_BYTES = 1_000_000


def policy_folder() -> Path:
    """Return the folder of the policies."""
    return key_path().parent / "policies"


def read_policy_files() -> dict[str, bytes]:
    """Read every policy file, by name; empty without the folder.

    Raises:
        Refused: The folder or a file cannot be read, belongs to another user, can be changed by others, or is not a policy file.
    """
    return read_files(policy_folder(), suffix=SUFFIX, noun="policy", plural="policies")


def read_files(folder: Path, *, suffix: str, noun: str, plural: str) -> dict[str, bytes]:
    """Read every file of a folder that decides what may go forward, by name; empty without the folder.

    Args:
        folder: It.
        suffix: How its files end; a file whose name begins with a dot is left out.
        noun: What a file is, for messages.
        plural: What its files are.

    Raises:
        Refused: As `read_policy_files`.
    """
    try:
        expect_safe(folder, folder.lstat(), kind=stat.S_ISDIR)
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        return {name.removesuffix(suffix): _read(folder / name, suffix, noun) for name in names}
    except FileNotFoundError as error:
        if not os.path.lexists(folder):
            return {}
        raise Refused(f"the {plural} in {folder} changed while they were read; try again") from error
    except OSError as error:
        raise Refused(f"the {plural} in {folder} cannot be read: {error.strerror}") from None


def write_policy_file(name: str, content: bytes) -> Path:
    """Write or replace a policy file, whole and durably.

    Raises:
        Refused: The folder cannot be written, or others can change it.
    """
    return write_file(policy_folder(), f"{name}{SUFFIX}", content, noun="policy")


def write_file(folder: Path, name: str, content: bytes, *, noun: str) -> Path:
    """Write or replace a file of such a folder, whole and durably.

    Raises:
        Refused: As `write_policy_file`.
    """
    try:
        make_folder(folder)
        expect_safe(folder, folder.lstat(), kind=stat.S_ISDIR)
        replace_file(folder / name, content)
    except OSError as error:
        raise Refused(f"the {noun} cannot be written to {folder}: {error.strerror}") from None
    return folder / name


def remove_policy_file(name: str) -> bool:
    """Remove a policy file, and say whether there was one."""
    try:
        (policy_folder() / f"{name}{SUFFIX}").unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Refused(f"the policy {name} cannot be removed: {error.strerror}") from None
    return True


def expect_safe(path: Path, status: os.stat_result, *, kind: Callable[[int], bool] = stat.S_ISREG) -> None:
    """Refuse a file or folder that another user than its reader or root could have changed.

    Raises:
        Refused: It is of another kind, belongs to another user, or others can write it.
    """
    if not kind(status.st_mode):
        raise Refused(f"{path} is not a {'regular file' if kind is stat.S_ISREG else 'folder'}; nothing is deployed until it is put right")
    if status.st_uid not in (os.geteuid(), 0):
        raise Refused(f"{path} belongs to user {status.st_uid}, not to this process's user {os.geteuid()} or root; nothing is deployed")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused(f"others may change {path}; nothing is deployed until `chmod go-w {path}`")


def _read(path: Path, suffix: str, noun: str) -> bytes:
    if path.suffix != suffix:
        raise Refused(f"{path} is not a {noun} file; name it NAME{suffix}, or move it away")
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        expect_safe(path, os.fstat(descriptor))
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise Refused(f"{path} has more than {MAX_BYTES:,} bytes; a {noun} is a few kilobytes")
    return content
