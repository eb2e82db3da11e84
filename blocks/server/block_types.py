"""Registers Prefect's own block types, and those of collections, with the server's database: `python -m blocks.server.block_types`.

It needs the server's environment, and calls what the server itself would call at its start.
"""

from __future__ import annotations

import asyncio
import os


async def register() -> None:
    """Register them; again changes nothing."""
    from prefect.plugins import load_prefect_collections  # noqa: PLC0415 - prefect is slow to import
    from prefect.server.database import provide_database_interface  # noqa: PLC0415
    from prefect.server.models.block_registration import run_block_auto_registration  # noqa: PLC0415

    load_prefect_collections()
    database = provide_database_interface()
    async with await database.session() as session:
        await run_block_auto_registration(session=session)
    await (await database.engine()).dispose()


if __name__ == "__main__":
    os.nice(10)  # nothing waits for it
    asyncio.run(register())
