"""TLS trust: certificate authorities, read once per process, since that takes longer than most requests."""

from __future__ import annotations

import asyncio
import os
import ssl
from functools import lru_cache

import httpx


async def trust(*, environment: bool = False) -> ssl.SSLContext:
    """Return the authorities that httpx trusts by default, shared by every client: reading them costs about 50 ms of CPU.

    Args:
        environment: Whether SSL_CERT_FILE and SSL_CERT_DIR count.

    Raises:
        OSError: What the environment names cannot be read.
    """
    named = (os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")) if environment else ("", "")
    return await asyncio.to_thread(_read, *named)


@lru_cache(maxsize=4)
def _read(file: str, folder: str) -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=bool(file or folder))
