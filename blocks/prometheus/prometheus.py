"""Prometheus block: address, credentials and limits of a server."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar

import httpx
from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.bounded import PLAIN
from blocks.errors import BadInput, Unreachable
from blocks.prometheus.client import PrometheusClient

URL = r"^https?://[^\s/@?#]+(/[^\s?#]*)?$"
TOKEN = re.compile(r"[!-~]+")  # what RFC 9110 lets stand in a header, without spaces
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Prometheus(Block):
    """A Prometheus server, or anything else that answers its HTTP API, whose counters the SLIs of a plan may name.

    Example:
        ```python
        await Prometheus(url="http://127.0.0.1:9090").save("shipway")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Prometheus"
    _block_type_slug: ClassVar[str | None] = "prometheus"
    _description: ClassVar[str | None] = "A Prometheus server whose counters SLIs are judged by."

    url: Annotated[str, Field(pattern=URL, max_length=2_000)] = Field(
        default="http://127.0.0.1:9090", description="Base address, without /api/v1 and without a user or a password."
    )
    bearer_token: SecretStr | None = Field(default=None, description="Sent as `Authorization: Bearer …`.")
    username: str | None = Field(default=None, max_length=500, description="For basic authentication, with `password`.")
    password: SecretStr | None = Field(default=None, description="For basic authentication, with `username`.")
    verify_tls: bool = Field(default=True, description="False trusts any certificate; a machine between could then forge counts.")
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(default=5, description="An answer that takes longer is a time-out.")
    lookback_seconds: Annotated[int, Field(ge=1, le=3_600)] = Field(
        default=120, description="Samples older than this are stale and count as missing. Allow for at least two scrapes."
    )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[PrometheusClient]:
        """Open the one client of a watch; redirects are not followed, so that credentials go nowhere else.

        Raises:
            BadInput: Both kinds of credentials are given, or half of one.
            Unreachable: The certificates to trust cannot be read.
        """
        async with await self._http() as http:
            yield PrometheusClient(http, self.url.rstrip("/"), timeout_seconds=self.timeout_seconds, lookback_seconds=self.lookback_seconds)

    async def _http(self) -> httpx.AsyncClient:
        headers = {**PLAIN, **self._authorization()}
        # Certificates are read from disk, and only if they are needed.
        verify = self.verify_tls and self.url.startswith("https")
        try:
            return await asyncio.to_thread(httpx.AsyncClient, headers=headers, verify=verify, follow_redirects=False, timeout=None)
        except OSError as error:  # as while the file that holds them is replaced
            message = f"the certificates to trust for Prometheus at {self.url} cannot be read: {type(error).__name__}"
            raise Unreachable(message) from None

    def _authorization(self) -> dict[str, str]:
        if self.bearer_token and (self.username or self.password):
            raise BadInput("both a bearer token and a user are given", field="bearer_token", fix="Give the block one of them.")
        if bool(self.username) != bool(self.password):
            raise BadInput("a user and a password belong together", field="username", fix="Give the block both, or neither.")
        if self.bearer_token:
            return {"Authorization": f"Bearer {_sendable_token(self.bearer_token)}"}
        if self.username and self.password:
            user, password = _in_one_line(self.username, field="username"), _in_one_line(self.password.get_secret_value(), field="password")
            return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}
        return {}


def _sendable_token(secret: SecretStr) -> str:
    """Return a token as a header can hold it: files and terminals end it with a line break, which no header may have."""
    token = secret.get_secret_value().strip()
    if not TOKEN.fullmatch(token):
        fix = "Store the token alone, in one line, without `Bearer`."
        raise BadInput("the token has spaces, line breaks or letters outside ASCII, or is empty", field="bearer_token", fix=fix)
    return token


def _in_one_line(text: str, *, field: str) -> str:
    """Return half of a user and password; a line break at the end is of the file that it came from."""
    line = text.rstrip("\r\n")
    if CONTROL.search(line) or (field == "username" and ":" in line):
        raise BadInput(f"the {field} has a control character, or a colon that ends a user", field=field, fix="Store it alone, in one line.")
    return line
