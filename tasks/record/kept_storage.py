"""The block that a worker's setting names as its storage of results and records: kept whole beside the key when it is first used.

From then on that counts. Whoever has the API's password can change the block, which would divert every record, or delete it, which would
stop everything that runs. What cannot be loaded at all is a storage that refuses: nothing goes forward, and a rollback goes by what lies
beside the key.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

import httpx
from prefect import get_client
from prefect.blocks.core import Block
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectNotFound

from blocks.errors import Refused, Temporary
from blocks.key_folder.kept_files import kept_path, read_kept, write_kept
from blocks.key_folder.key_file import key_path
from blocks.server.result_block import FOLDER, SETTINGS, WHAT, file_of
from tasks.lifecycle.retries import as_temporary
from tasks.record.borders import guard, hold
from tasks.record.objects import NoStorage, objects_of

_said: set[str] = set()


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
        kept = read_kept(FOLDER, file_of(name), what=WHAT)
        document = dict(kept["document"]) if kept else _ask(name)
        block = _load(document)
        hold(block)
        objects_of(block)
        if kept is None and key_path().exists():  # a machine without the key keeps nothing, and checks no seals
            with suppress(Refused):
                write_kept(FOLDER, file_of(name), {"block": name, "document": document}, what=WHAT)
    except Refused as error:
        return _none(name, str(error))
    except (ObjectNotFound, KeyError, TypeError, ValueError, RuntimeError, ImportError) as error:
        return _none(name, f"{type(error).__name__}: the block does not exist, or its fields are not those of its type")
    return block


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
    path = kept_path(FOLDER, name)
    text = (
        f"the storage of results and records, the block {name} that {SETTINGS[0]} names, cannot be used: {why}. "
        f"Nothing goes forward without it. Correct the block{f', and remove {path}' if path.exists() else ''}"
    )
    if text not in _said:
        _said.add(text)
        logging.getLogger("shipway").error("%s", text)
    return NoStorage(name, text)
