"""Block types and blocks saved at the server, while others may save the same ones.

Prefect reads a block's type, makes it if it is missing, and writes the block: several requests, between which another process may make or
remove what the first one read. The server then says "already there" or "not found", and the whole is right when it is done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.blocks.core import Block

PAUSES_SECONDS = (0.1, 0.3, 1.0, 3.0)


async def register(kind: type[Block]) -> None:
    """Make a type of block known to the server; again changes nothing.

    Raises:
        ObjectNotFound, ObjectAlreadyExists: Others kept getting in the way, five times in a row.
    """
    await _until_consistent(kind.aregister_type_and_schema)


async def save(block: Block, name: str) -> None:
    """Save a block by this name, in the place of one that is there.

    Raises:
        ObjectNotFound, ObjectAlreadyExists: Others kept getting in the way, five times in a row.
    """

    async def write() -> None:
        await block.save(name, overwrite=True)

    await _until_consistent(write)


async def _until_consistent(write: Callable[[], Awaitable[Any]]) -> None:
    from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound  # noqa: PLC0415 - prefect is slow to import

    for pause in PAUSES_SECONDS:
        try:
            await write()
        except (ObjectNotFound, ObjectAlreadyExists):
            await asyncio.sleep(pause)
        else:
            return
    await write()
