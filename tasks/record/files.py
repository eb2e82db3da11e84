"""Files of a storage that others may write: no link below its folder is followed, no pipe waited for, nothing read without a bound.

Each folder on the way is opened by its name in the one before it (openat, O_NOFOLLOW), so a link that is put there meanwhile is not
followed either. What is not a regular file, or not a folder, where one belongs is `Tampered`: the message names the path and what is there.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from blocks.errors import Tampered

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_FOLDER_BYTES = 256 * 1024 * 1024
MAX_NAMES = 20_000
_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFREG: "a file",
}


def read_file(base: Path, path: str) -> bytes | None:
    """Read a regular file; None if there is none.

    Args:
        base: The storage's folder, which may itself be reached by links.
        path: Where in it.

    Raises:
        Tampered: Something else is there, or on the way; or it is over 64 MB, or may not be read.
        OSError: The disk refuses.
    """
    folder, name = _split(base, path)
    try:
        with opened_folder(base, folder) as descriptor:
            return _read(descriptor, name, shown=base / path)
    except FileNotFoundError:
        return None


def read_folder(base: Path, path: str, *, named: re.Pattern[str]) -> dict[str, bytes | Tampered]:
    """Read a whole folder in one go: a thread for each of its files takes longer than the files.

    Args:
        base: The storage's folder.
        path: Where in it.
        named: Which names count.

    Returns:
        Content by name, in order; instead of a content what is wrong with that file, also where all together are over 256 MB.

    Raises:
        Tampered: Something else is there, or on the way; or there are more than 20,000 files.
        OSError: The disk refuses.
    """
    found: dict[str, bytes | Tampered] = {}
    left = MAX_FOLDER_BYTES
    with suppress(FileNotFoundError), opened_folder(base, PurePosixPath(path).parts) as descriptor:
        for name in _names(descriptor, named, shown=base / path):
            with suppress(FileNotFoundError):
                try:
                    content = _read(descriptor, name, shown=base / path / name, limit=min(left, MAX_FILE_BYTES))
                except Tampered as error:
                    found[name] = error
                else:
                    found[name] = content
                    left -= len(content)
    return found


def create_file(base: Path, path: str, content: bytes, *, mode: int = 0o600) -> bool:
    """Link a fully written file into its place; False, and nothing is changed, if anything is there already.

    Raises:
        Tampered: Something that is not a folder is on the way, or it may not be written.
        OSError: The disk refuses.
    """
    with _written(base, path, content, mode=mode) as (descriptor, draft, name):
        try:
            os.link(draft, name, src_dir_fd=descriptor, dst_dir_fd=descriptor, follow_symlinks=False)
        except FileExistsError:
            return False
    return True


def replace_file(base: Path, path: str, content: bytes, *, mode: int = 0o600) -> None:
    """Rename a fully written file into its place; a link that is there is replaced, not followed.

    Raises:
        Tampered: A folder is there, or something that is not a folder is on the way, or it may not be written.
        OSError: The disk refuses.
    """
    with _written(base, path, content, mode=mode) as (descriptor, draft, name), _said(descriptor, name, shown=base / path):
        os.rename(draft, name, src_dir_fd=descriptor, dst_dir_fd=descriptor)


@contextmanager
def opened_folder(base: Path, folders: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """Open a folder step by step.

    Args:
        base: The storage's folder.
        folders: The names that lead from it to the folder.
        make: Whether to make what is missing below the base.

    Yields:
        Its descriptor.

    Raises:
        Tampered: Something that is not a folder is on the way, or it may not be used.
        OSError: The disk refuses, or it is not there.
    """
    descriptor, shown = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), base
    try:
        for name in folders:
            shown /= name
            with _said(descriptor, name, shown=shown):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=descriptor)
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _FLAGS, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _written(base: Path, path: str, content: bytes, *, mode: int = 0o600) -> Iterator[tuple[int, str, str]]:
    """Write a temporary file in the same folder, down to the disk, and leave none behind."""
    folder, name = _split(base, path)
    base.mkdir(parents=True, exist_ok=True)
    draft = f".{secrets.token_hex(8)}.part"
    with opened_folder(base, folder, make=True) as descriptor:
        with _said(descriptor, ".", shown=base.joinpath(*folder)):
            written = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, mode, dir_fd=descriptor)
        try:
            with os.fdopen(written, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            yield descriptor, draft, name
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=descriptor)


def _read(folder: int, name: str, *, shown: Path, limit: int = MAX_FILE_BYTES) -> bytes:
    with _said(folder, name, shown=shown):
        _expect_file(os.stat(name, dir_fd=folder, follow_symlinks=False), shown)  # before it is opened: opening a device may do something
        descriptor = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        _expect_file(os.fstat(descriptor), shown)
        content = file.read(limit + 1)
    if len(content) > limit:
        raise Tampered(f"{shown} has more bytes than the {limit:,} that are read")
    return content


def _expect_file(status: os.stat_result, shown: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Tampered(f"{shown} is {_kind(status.st_mode)}, not a file that was written here")


def _names(folder: int, named: re.Pattern[str], *, shown: Path) -> list[str]:
    names = []
    with os.scandir(folder) as found:
        for one in found:
            if named.fullmatch(one.name):
                names.append(one.name)
            if len(names) > MAX_NAMES:
                raise Tampered(f"{shown} holds more than {MAX_NAMES:,} files")
    return sorted(names)


@contextmanager
def _said(folder: int, name: str, *, shown: Path) -> Iterator[None]:
    """Say of an operation that failed what is in its place, if that is why."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        mode = 0
        with suppress(OSError):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if error.errno in _FORBIDDEN:
            raise Tampered(f"{shown} is {_kind(mode)} that this process may not use ({stat.filemode(mode)}). Look at its rights") from error
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO}:
            raise Tampered(f"{shown} is {_kind(mode)}, which was not made here") from error
        raise


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "something")


def _split(base: Path, path: str) -> tuple[tuple[str, ...], str]:
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or parts[0] == "/":
        raise Tampered(f"{path} is not a place in the storage {base}")
    return parts[:-1], parts[-1]
