"""Reach the Prefect server from the terminal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_URL

from blocks.errors import BadInput
from tasks.lifecycle.retries import as_temporary


@asynccontextmanager
async def server() -> AsyncIterator[PrefectClient]:
    """Open a client of the configured server; never start one on the way, as Prefect would.

    Raises:
        BadInput: No server is configured, or it does not answer.
        Temporary: It answers, but is overloaded or restarting.
    """
    url = PREFECT_API_URL.value()
    fix = "Start one with `shipway up`, or set PREFECT_API_URL to yours."
    if not url:
        raise BadInput("no Prefect server is configured", field="PREFECT_API_URL", fix=fix)
    try:
        async with get_client() as client:
            yield client
    except httpx.TransportError as error:
        raise BadInput(f"{url} does not answer ({type(error).__name__})", field="PREFECT_API_URL", fix=fix) from None
    except httpx.HTTPStatusError as error:
        passing = as_temporary(error)
        if passing is None:
            raise
        raise passing from None
