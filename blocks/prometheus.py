"""Where a Prometheus server answers, and how it is asked: addresses, credentials and bounds in a block."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar

import httpx
from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.prometheus_client import PrometheusClient
from tasks.rules.errors import BadInput

URL = r"^https?://[^\s/@?#]+(/[^\s?#]*)?$"


class Prometheus(Block):
    """A Prometheus server, or anything else that answers its HTTP API, whose counters SLIs may name.

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
    verify_tls: bool = Field(default=True, description="False trusts any certificate; anybody between could then make up counts.")
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = Field(default=5, description="A later answer is no answer.")
    lookback_seconds: Annotated[int, Field(ge=1, le=3_600)] = Field(
        default=120, description="Samples older than this are stale, which is no data. Allow for two scrapes at least."
    )

    @asynccontextmanager
    async def client(self) -> AsyncIterator[PrometheusClient]:
        """Open the one client of a watch; redirects are not followed, so that credentials go nowhere else.

        Raises:
            BadInput: Both kinds of credentials are given, or half of one.
        """
        headers = {"Accept-Encoding": "identity", **self._authorization()}
        # Certificates are read from disk, and only where they are needed.
        verify = self.verify_tls and self.url.startswith("https")
        async with await asyncio.to_thread(httpx.AsyncClient, headers=headers, verify=verify, follow_redirects=False, timeout=None) as http:
            yield PrometheusClient(http, self.url.rstrip("/"), timeout_seconds=self.timeout_seconds, lookback_seconds=self.lookback_seconds)

    def _authorization(self) -> dict[str, str]:
        if self.bearer_token and (self.username or self.password):
            raise BadInput("both a bearer token and a user are given", field="bearer_token", mend="Give the block one of them.")
        if bool(self.username) != bool(self.password):
            raise BadInput("a user and a password belong together", field="username", mend="Give the block both, or neither.")
        if self.bearer_token:
            return {"Authorization": f"Bearer {self.bearer_token.get_secret_value()}"}
        if self.username and self.password:
            pair = f"{self.username}:{self.password.get_secret_value()}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        return {}
