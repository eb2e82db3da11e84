"""The block that a worker's setting names as its storage of results and records: kept whole beside the key when it is first used.

From then on that counts. Whoever has the API's password can change the block, which would divert every record, or delete it, which would
stop everything that runs. Only if its secrets do not serve any more, as they were rotated, those count that the block has now, at the same
address. What cannot be loaded at all is a storage that refuses: nothing goes forward, and a rollback goes by what lies beside the key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx
from prefect import get_client
from prefect.blocks.core import Block
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectNotFound

from blocks.errors import Refused, Temporary
from blocks.key_folder.kept_files import NotKept, kept_path, read_kept, write_kept
from blocks.key_folder.key_file import key_path, replace_file
from blocks.outside_text import error_text
from blocks.server.result_block import FOLDER, SETTINGS, WHAT, address_of, file_of
from tasks.lifecycle.retries import as_temporary
from tasks.record.borders import guard, hold_of
from tasks.record.objects import BlockObjects, NoStorage, StorageFault, objects_of

ASK_SECONDS = 5.0
Result = TypeVar("Result")

_said: set[str] = set()


class KeptBlock(BlockObjects):
    """Objects in a block as it was kept; once its secrets are refused, with those that the block has now.

    Args:
        block: As it was kept.
        name: Its name, as `type/name`.
        document: What it was made of.
    """

    def __init__(self, block: Any, name: str, document: dict[str, Any]) -> None:
        """Take the block and what it was made of."""
        super().__init__(block)
        self.block_name, self.document = name, document

    async def read(self, path: str) -> bytes | None:
        """Read an object; None where there is none."""
        return await self._or_renewed(BlockObjects.read, path)

    async def replace(self, path: str, content: bytes) -> None:
        """Write an object, whatever is there."""
        await self._or_renewed(BlockObjects.replace, path, content)

    async def _or_renewed(self, work: Callable[..., Awaitable[Result]], *given: Any) -> Result:
        """Do it, and once more with the block's present secrets if that fails.

        Raises:
            StorageFault: It fails with both; names the file of the block, and how it differs from the block as it is now.
        """
        try:
            return await work(self, *given)
        except StorageFault as error:
            document, why = await self._as_it_is_now()
            if document is not None:
                with suppress(Exception):  # whatever a block does that was edited
                    if hold_of(self.block_name, block := _load(document)):
                        found = await work(BlockObjects(block), *given)
                        self._go_on_with(block, document)
                        return found
            path = _file(self.block_name)
            raise StorageFault(f"{error}. The block {self.block_name} is used as {path} keeps it; {why}") from error

    async def _as_it_is_now(self) -> tuple[dict[str, Any] | None, str]:
        """Ask for the block; gives it if it has other secrets at the same address, and why it does not serve either."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                now = await asyncio.to_thread(_ask, self.block_name)
            if address_of(now) != address_of(self.document):
                return None, "on the server it leads elsewhere by now. If that is right, remove the file"
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the block, the storage's own fault is what counts
            return None, f"what it is on the server is not known ({error_text(error) or type(error).__name__})"
        if now["data"] == self.document["data"]:
            return None, "on the server it is the same"
        return self.document | {"data": now["data"]}, "the secrets that it has on the server do not serve either"

    def _go_on_with(self, block: Any, document: dict[str, Any]) -> None:
        logging.getLogger("shipway").warning("the secrets of the block %s were refused; those that it has now serve", self.block_name)
        self.block, self.document = block, document
        _keep(self.block_name, document)


def find_storage(name: str) -> Any:
    """Give the storage of a block: as it was when it was first used here, else as the server has it, which is then kept.

    Args:
        name: The block, as `type/name`.

    Returns:
        The block; a `NoStorage` if it cannot be used.

    Raises:
        Temporary: The server does not answer.
    """
    guard()
    try:
        kept = _kept(name)
        document = kept or _ask(name)
        block = _load(document)
        if not hold_of(name, block):
            return _none(name, "its secrets are too long to be kept out of every text: write shorter ones")
        found = objects_of(block)
        if kept is None:
            _keep(name, document)
    except Refused as error:
        return _none(name, str(error))
    except (ObjectNotFound, KeyError, TypeError, ValueError, RuntimeError, ImportError) as error:
        return _none(name, f"{type(error).__name__}: the block does not exist, or its fields are not those of its type")
    return KeptBlock(block, name, document) if isinstance(found, BlockObjects) else block


def _kept(name: str) -> dict[str, Any] | None:
    """Read what is kept of a block; None, so that it is kept anew, if only the key is another one, and it leads where it led before.

    Raises:
        Refused: It cannot be read.
        Temporary: The server does not answer.
    """
    try:
        kept = read_kept(FOLDER, file_of(name), what=WHAT)
        return dict(kept["document"]) if kept else None
    except NotKept:
        with suppress(OSError, ObjectNotFound):
            if _address_file(name).read_text() == address_of(_ask(name)):
                return None
        raise


def _keep(name: str, document: dict[str, Any]) -> None:
    """Keep a block, and where it leads in the clear, as a hash: that counts if the key is replaced."""
    if key_path().exists():  # a machine without the key keeps nothing, and checks no seals
        with suppress(Refused, OSError):
            write_kept(FOLDER, file_of(name), {"block": name, "document": document}, what=WHAT)
            replace_file(_address_file(name), address_of(document).encode())


def _file(name: str) -> Path:
    return kept_path(FOLDER, file_of(name))


def _address_file(name: str) -> Path:
    return _file(name).with_suffix(".address")


def _ask(name: str) -> dict[str, Any]:
    kind, _, own = name.partition("/")
    try:
        with get_client(sync_client=True) as client:
            found = client.read_block_document_by_name(own, kind)
    except (httpx.HTTPError, OSError) as error:
        passing = as_temporary(error)
        if passing is None:
            raise Refused(f"the server does not give it ({type(error).__name__})") from error
        raise Temporary(f"the Prefect server does not answer for the block {name}, the storage of results and records") from error
    return found.model_dump(mode="json", context={"include_secrets": True})


def _load(document: dict[str, Any]) -> Block:
    block = Block._from_block_document(BlockDocument.model_validate(document))  # noqa: SLF001 - it asks no server
    if not (hasattr(block, "read_path") and hasattr(block, "write_path")):
        raise Refused("its type is not one of a filesystem")
    if str(getattr(block, "basepath", "")).startswith("memory:"):
        raise Refused("it is in the memory of a process, so each one would begin with none")
    return block


def _none(name: str, why: str) -> NoStorage:
    path = _file(name)
    text = (
        f"the storage of results and records, the block {name} that {SETTINGS[0]} names, cannot be used: {why}. "
        f"Nothing goes forward without it. Correct the block{f', and remove {path}' if path.exists() else ''}"
    )
    if text not in _said:
        _said.add(text)
        logging.getLogger("shipway").error("%s", text)
    return NoStorage(name, text)
