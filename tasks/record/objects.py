"""Objects by path: the little that a record asks of its storage, on a local folder or in a Prefect filesystem block."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from blocks.errors import Refused, Tampered, Temporary
from tasks.process.concurrency import to_its_end
from tasks.record.files import MAX_FILE_BYTES, create_file, read_file, read_folder, replace_file

Result = TypeVar("Result")
REMOTE = {
    "s3",
    "s3a",
    "gs",
    "gcs",
    "az",
    "abfs",
    "abfss",
    "adl",
    "smb",
    "memory",
}  # schemes of fsspec that lead to other machines, or nowhere
MISSING_CODES = {"NoSuchKey", "404", "NotFound"}


class StorageFault(Temporary):
    """The storage does not answer or refuses: what goes forward waits for it, and a rollback goes on without it."""


@runtime_checkable
class Objects(Protocol):
    """Bytes by path."""

    @property
    def name(self) -> str:
        """Where the objects are, for messages and as a key."""
        ...

    async def read(self, path: str) -> bytes | None:
        """Read an object; None where there is none; `Tampered` where something else than an object is there."""
        ...

    async def create(self, path: str, content: bytes) -> bool:
        """Write a new object whole; False, and nothing is changed, where there is one already."""
        ...

    async def replace(self, path: str, content: bytes) -> None:
        """Write an object whole, whatever is there."""
        ...

    async def contents(self, folder: str, *, named: re.Pattern[str]) -> dict[str, bytes | Tampered] | None:
        """Read the objects of a folder whose names fit, by their names and in order; None where this storage cannot list.

        In the place of what is not an object stands the error that says what it is.
        """
        ...


class Folder:
    """Objects as files: created whole or not at all, and never twice; links below the folder are not followed.

    Args:
        base: The folder that paths start in; made when the first object is written.
    """

    def __init__(self, base: Path) -> None:
        """Keep the folder's absolute path."""
        self.base = base.expanduser().resolve()
        self.name = str(self.base)

    async def read(self, path: str) -> bytes | None:
        """Read a file; None where there is none."""
        return await _in_thread(read_file, self.base, path)

    async def create(self, path: str, content: bytes) -> bool:
        """Link a fully written file into its place, which fails where another writer was first."""
        return await _in_thread(create_file, self.base, path, content)

    async def replace(self, path: str, content: bytes) -> None:
        """Rename a fully written file into its place."""
        await _in_thread(replace_file, self.base, path, content)

    async def contents(self, folder: str, *, named: re.Pattern[str]) -> dict[str, bytes | Tampered] | None:
        """Read the files of a folder whose names fit."""
        return await _in_thread(read_folder, self.base, folder, named=named)


class BlockObjects:
    """Objects in a Prefect filesystem block, which knows neither lists nor exclusive writes, nor how long an object is.

    A `RemoteFileSystem` is read up to the bound; other blocks give an object whole, and one that is too long is refused then.

    Two processes that write the same object at the same moment are told apart only by reading back: keep one writer a release.

    Args:
        block: A block with `read_path` and `write_path`.
    """

    def __init__(self, block: Any) -> None:
        """Keep the block and name it by its document, else by its type and base."""
        self.block = block
        base = getattr(block, "basepath", None) or getattr(block, "bucket_name", None) or id(block)
        self.name = str(getattr(block, "_block_document_id", None) or f"{type(block).__name__}:{base}")

    async def read(self, path: str) -> bytes | None:
        """Read an object; None where the storage says that there is none, `Temporary` where it says nothing of use.

        Raises:
            Tampered: It is over 64 MB.
        """
        try:
            content: bytes | None = await _read_block(self.block, path)
        except Exception as error:
            if _is_missing(error):
                return None
            raise StorageFault(f"the storage {self.name} could not be read at {path} ({type(error).__name__})") from error
        if content is not None and len(content) > MAX_FILE_BYTES:
            raise Tampered(f"{path} in the storage {self.name} is over {MAX_FILE_BYTES >> 20} MB. Find out who put it there, and remove it")
        return content

    async def create(self, path: str, content: bytes) -> bool:
        """Write where nothing is, and read back whose object it became."""
        if await self.read(path) is not None:
            return False
        await self.replace(path, content)
        return await self.read(path) == content

    async def replace(self, path: str, content: bytes) -> None:
        """Write an object; `Temporary` where the storage does not take it."""
        try:
            await to_its_end(_settled(self.block.write_path(path, content)))
        except Exception as error:
            raise StorageFault(f"the storage {self.name} could not be written at {path} ({type(error).__name__})") from error

    async def contents(self, folder: str, *, named: re.Pattern[str]) -> dict[str, bytes | Tampered] | None:  # noqa: ARG002
        """Say that this storage cannot list."""
        return None


class NoStorage:
    """In the place of a storage that cannot be used, for good: it refuses, and a rollback goes on by what lies beside the key.

    Args:
        name: The storage's.
        why: A sentence, with what to do.
    """

    def __init__(self, name: str, why: str) -> None:
        """Keep what is said each time."""
        self.name, self.why = name, why

    async def read(self, path: str) -> bytes | None:
        """Refuse."""
        raise Refused(f"{self.why}; {path} was not read")

    async def create(self, path: str, content: bytes) -> bool:  # noqa: ARG002
        """Refuse."""
        raise Refused(f"{self.why}; {path} was not written")

    async def replace(self, path: str, content: bytes) -> None:  # noqa: ARG002
        """Refuse."""
        raise Refused(f"{self.why}; {path} was not written")

    async def contents(self, folder: str, *, named: re.Pattern[str]) -> dict[str, bytes | Tampered] | None:  # noqa: ARG002
        """Refuse."""
        raise Refused(f"{self.why}; {folder} was not read")


def objects_of(storage: Any) -> Objects:
    """Reach a storage: a path or Prefect's `LocalFileSystem` as a folder, any other block through its own methods.

    Args:
        storage: A `Path`, a Prefect filesystem block, or what this function returned.

    Raises:
        Refused: It is a remote filesystem of a kind that is not taken.
    """
    if isinstance(storage, Objects):
        return storage
    if isinstance(storage, Path):
        return Folder(storage)
    from prefect.filesystems import LocalFileSystem, RemoteFileSystem  # noqa: PLC0415 - whoever holds a block has paid for this import

    if isinstance(storage, RemoteFileSystem):
        _expect_remote(str(storage.basepath))
    return Folder(Path(storage.basepath or ".")) if isinstance(storage, LocalFileSystem) else BlockObjects(storage)


def _expect_remote(address: str) -> None:
    """Expect that a remote filesystem is one: others of that library write files of this machine, or read through addresses of their own.

    Raises:
        Refused: It is not.
    """
    scheme, found, rest = address.partition("://")
    if not found or scheme not in REMOTE or "::" in rest:
        raise Refused(
            f"the storage of results and records is at {address[:80]!r}, and only {', '.join(sorted(REMOTE))} are taken; "
            "look at the block that PREFECT_DEFAULT_RESULT_STORAGE_BLOCK names"
        )


async def _read_block(block: Any, path: str) -> bytes | None:
    """Read an object, of one that is too long a byte more than the bound where its block lets it be opened."""
    from prefect.filesystems import RemoteFileSystem  # noqa: PLC0415 - whoever holds a block has paid for this import

    if not isinstance(block, RemoteFileSystem):
        content: bytes | None = await _settled(block.read_path(path))
        return content

    def read() -> bytes:
        with block.filesystem.open(block._resolve_path(path), "rb") as opened:  # noqa: SLF001 - as its own `read_path` does
            return bytes(opened.read(MAX_FILE_BYTES + 1))

    return await asyncio.to_thread(read)


async def _settled(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


def _is_missing(error: Exception) -> bool:
    code = (
        str(getattr(error, "response", {}).get("Error", {}).get("Code", "")) if isinstance(getattr(error, "response", None), dict) else ""
    )
    return (
        isinstance(error, FileNotFoundError) or code in MISSING_CODES or (isinstance(error, ValueError) and "does not exist" in str(error))
    )


async def _in_thread(work: Callable[..., Result], base: Path, path: str, *more: Any, **named: Any) -> Result:
    """Run file work beside the event loop; what the disk refuses may pass (a full disk, a mount that is away)."""
    try:
        return await asyncio.to_thread(work, base, path, *more, **named)
    except OSError as error:
        message = f"the storage could not be used at {base / path}: {error.strerror}. Look at its space and rights"
        raise StorageFault(message, delay_seconds=2) from error
