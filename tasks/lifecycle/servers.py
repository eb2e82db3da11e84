"""Which Prefect server has an open run: by an id that is in its database, so that it does not matter how the server is reached.

It is the id of one of Prefect's own block types: made once, by the server; the API neither chooses nor changes it, nor deletes it.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from blocks.errors import Refused
from blocks.key_folder.kept_files import read_kept, write_kept
from blocks.outside_text import error_text
from blocks.server.api import IDENTITY
from tasks.lifecycle.clock import now

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

FOLDER, WHAT = "servers", "which says when the keeper of a server last did its work"
MOST_SECONDS = 10
SILENT = timedelta(minutes=10)  # thirty turns of a keeper
LOG = logging.getLogger("shipway")


async def own_server() -> str:
    """Name the server that this process talks to, see `server_of_client`; "" if none is configured."""
    from prefect import get_client  # noqa: PLC0415 - commands that read what is kept need no Prefect
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415

    if not PREFECT_API_URL.value():
        return ""
    async with get_client() as client:
        return await server_of_client(client)


async def server_of_client(client: PrefectClient) -> str:
    """Name the server of a client; "" if it does not say it, which keeps no run from its end.

    A server that does not have its own block types yet makes them.
    """
    import httpx  # noqa: PLC0415
    from prefect.exceptions import ObjectNotFound  # noqa: PLC0415

    try:
        async with asyncio.timeout(MOST_SECONDS):
            try:
                return str((await client.read_block_type_by_slug(IDENTITY)).id)
            except ObjectNotFound:
                await client.request("POST", "/block_types/install_system_block_types")
                return str((await client.read_block_type_by_slug(IDENTITY)).id)
    except (httpx.HTTPError, ObjectNotFound, TimeoutError, ValueError) as error:
        LOG.warning("the server does not say which one it is: %s", error_text(error) or type(error).__name__)
        return ""


async def note_server() -> None:
    """Note beside the key that this server's keeper did its work, for the doctor of another server.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    if server := await own_server():
        await asyncio.to_thread(write_kept, FOLDER, server, {"at": now().isoformat()}, what=WHAT)


def has_keeper(server: str) -> bool:
    """Say if the keeper of a server did its work lately, by what it noted; not if that cannot be read."""
    try:
        noted = read_kept(FOLDER, server, what=WHAT)
        return noted is not None and abs(now() - datetime.fromisoformat(str(noted["at"]))) < SILENT
    except (Refused, KeyError, ValueError, TypeError):
        return False
