"""Kept files: what a release must find again unchanged, beside the approval key, where the API and the storage cannot write.

Each is encrypted and authenticated under a key of its own (Fernet), with its own name inside, so that none can take another's place.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken

from blocks.errors import Refused
from blocks.key_folder.key_file import derive, give_to_owner, key_path, make_folder, read_key, replace_file
from blocks.key_folder.policy_files import expect_safe

if TYPE_CHECKING:
    from pydantic import BaseModel

SUFFIX = ".kept"
MAX_BYTES = 16_000_000
M = TypeVar("M", bound="BaseModel")


class NotKept(Refused):
    """A file that no other user could write holds nothing that was kept there under this key: it was cut short, changed or moved."""


def kept_path(folder: str, name: str) -> Path:
    """Name a kept file.

    Args:
        folder: Which kind it is, as `places`, or `entries/RUN`.
        name: What it is about, as `type/name`.
    """
    return key_path().parent / folder / f"{name.replace('/', '_')}{SUFFIX}"


def kept_names(folder: str, *, beginning: str = "") -> list[str]:
    """List what is kept in a folder, by name and in order; empty without the folder, or if it cannot be read.

    Args:
        folder: Which kind it is.
        beginning: How the names begin; a `/` in a name is written `_`.
    """
    with contextlib.suppress(OSError):
        names = _names_among((path.name for path in kept_path(folder, "any").parent.iterdir()), SUFFIX)
        return [one for one in names if one.startswith(beginning)]
    return []


def kept_at(folder: str, name: str, *, absent: float = 0.0) -> float:
    """Say when a value was written, in seconds since the epoch; `absent` without one, or if that cannot be read."""
    try:
        return kept_path(folder, name).stat().st_mtime
    except OSError:
        return absent


def listed_names(folder: str, *, suffix: str = SUFFIX) -> list[str]:
    """List what is kept in a folder, for who removes what is not named there; empty only without the folder.

    Args:
        folder: Which kind it is.
        suffix: How its files end.

    Raises:
        Refused: It cannot be listed, or a link or something else is in its place.
    """
    path = kept_path(folder, "any").parent
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            with os.scandir(descriptor) as found:
                return _names_among((one.name for one in found), suffix)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return []
    except OSError as error:
        fix = "It must be a folder, not a link, that this user can read: look at its rights and its disk"
        raise Refused(f"{path} cannot be listed: {error.strerror}. {fix}") from error


def _names_among(found: Iterable[str], suffix: str) -> list[str]:
    return sorted(one.removesuffix(suffix) for one in found if one.endswith(suffix) and not one.startswith("."))


def write_kept(folder: str, name: str, value: dict[str, Any], *, what: str) -> None:
    """Keep a value, unless that is what is kept already.

    Args:
        folder: Which kind it is.
        name: What it is about.
        value: A JSON object.
        what: What it is for, for messages: "the settings that a rollback goes by".

    Raises:
        Refused: The key or its folder cannot be used, what is there was written by others, or it is too long to be read again.
    """
    path = kept_path(folder, name)
    try:
        if _or_none(folder, name, what=what) == value:
            return
        content = _cipher().encrypt(json.dumps({"name": f"{folder}/{name}", "value": value}).encode())
        if len(content) > MAX_BYTES:
            raise Refused(f"{path}, {what}, has {len(content)} bytes; {MAX_BYTES} is the most that is read again, so it was not written")
        make_folder(path.parent)
        replace_file(path, content)
    except OSError as error:
        raise Refused(f"{path}, {what}, cannot be written: {error.strerror}") from None


def read_kept(folder: str, name: str, *, what: str) -> dict[str, Any] | None:
    """Read a value; None if none was kept.

    Raises:
        NotKept: The file was changed or moved, or is of another key; what is written there replaces it.
        Refused: The file is unsafe, or cannot be read.
    """
    return _read(kept_path(folder, name), f"{folder}/{name}", _cipher, what=what)


def read_kept_as(folder: str, name: str, model: type[M], *, what: str, whose: str) -> M | None:
    """Read a kept value as a model; None if nothing is kept.

    Args:
        folder: Which kind it is.
        name: What it is about.
        model: Its form.
        what: What it is for, as in `write_kept`.
        whose: What cannot be read then, for the message.

    Raises:
        Refused: As `read_kept`, or another version of Shipway wrote it.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - commands that read kept names alone need no models

    found = read_kept(folder, name, what=what)
    try:
        return None if found is None else model.model_validate(found)
    except ValidationError as error:
        raise Refused(f"{whose} cannot be read: {error.error_count()} field(s) are wrong, as of another version") from None


def read_all_kept(folder: str, names: Iterable[str], *, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read many values with one look at the key; those that are not there, or cannot be read, are left out.

    Args:
        folder: Which kind it is.
        names: What they are about.
        what: What they are for.
    """
    begin, cipher = kept_path(folder, "any").parent, cache(_cipher)
    for name in names:
        found = None
        with contextlib.suppress(Refused):
            found = _read(begin / f"{name.replace('/', '_')}{SUFFIX}", f"{folder}/{name}", cipher, what=what)
        if found is not None:
            yield name, found


def _read(path: Path, name: str, cipher: Callable[[], Fernet], *, what: str) -> dict[str, Any] | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            expect_safe(path, os.fstat(descriptor))
            found = json.loads(cipher().decrypt(file.read(MAX_BYTES)))
        if found["name"] != name:
            raise NotKept(f"{path}, {what}, was moved there: it is that of {found['name']}")
        return dict(found["value"])
    except FileNotFoundError:
        return None
    except InvalidToken:
        raise NotKept(f"{path}, {what}, was not written under the key {key_path()}, or was changed") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}, {what}, cannot be read: {error}") from None


def remove_kept(folder: str, name: str) -> None:
    """Remove a kept file; that there is none is fine.

    Raises:
        OSError: The folder cannot be written.
    """
    kept_path(folder, name).unlink(missing_ok=True)


@contextlib.contextmanager
def locked(folder: str, name: str, *, what: str) -> Iterator[None]:
    """Hold the lock of a kept file, so that it is read and written in one step; if the process dies, the kernel releases it.

    Raises:
        Refused: The key's folder cannot be used.
    """
    path = kept_path(folder, f".{name}").with_suffix(".lock")
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        give_to_owner(descriptor, path.parent)
    except OSError as error:
        raise Refused(f"{path}, the lock of the file {what}, cannot be opened: {error.strerror}") from None
    with os.fdopen(descriptor, "rb"):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


def _or_none(folder: str, name: str, *, what: str) -> dict[str, Any] | None:
    """Read what is to be written anew: one of another key, or cut short, is replaced; one that others could write is refused."""
    path = kept_path(folder, name)
    try:
        expect_safe(path, path.lstat())
    except FileNotFoundError:
        return None
    try:
        return read_kept(folder, name, what=what)
    except Refused:
        return None


def _cipher() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive(read_key(key_path()), "kept files")))
