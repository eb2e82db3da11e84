"""An API server that is away for a while: the platform reaches it through a line that a test closes, and everybody else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from blocks.kubernetes.platform import KubernetesPlatform
from tests.cluster.cluster_world import World
from tests.cluster.cut_line import CutLine, line_to


@dataclass
class Outage:
    """A platform behind a line.

    Fields:
        line: The line.
        platform: The platform, whose every request takes the line.
    """

    line: CutLine
    platform: KubernetesPlatform

    async def away(self, seconds: float) -> None:
        """Be away for a while: what was open is reset, and so is whoever comes."""
        self.line.open = False
        self.line.cut()
        await asyncio.sleep(seconds)
        self.line.open = True


@contextlib.asynccontextmanager
async def behind_a_line(world: World, platform: KubernetesPlatform) -> AsyncIterator[Outage]:
    """Return the platform as it is, but behind a line."""
    async with line_to(world.cluster) as line:
        yield Outage(line, platform.model_copy(update={"config": SecretStr(kubeconfig_of(line))}))


def kubeconfig_of(line: CutLine) -> str:
    """Write a kubeconfig that takes the line, with the access that the cluster's own one gives."""
    settings: Any = line.cluster.api.configuration
    cluster = {"server": settings.host, "certificate-authority": settings.ssl_ca_cert, "tls-server-name": settings.tls_server_name}
    headers = {name.lower(): value for name, value in line.cluster.signed("GET", "/", None)[1].items()}
    token = headers.get("authorization", "").removeprefix("Bearer ")
    user = {"token": token, "client-certificate": settings.cert_file, "client-key": settings.key_file}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "line",
        "clusters": [{"name": "line", "cluster": {key: value for key, value in cluster.items() if value}}],
        "users": [{"name": "line", "user": {key: value for key, value in user.items() if value}}],
        "contexts": [{"name": "line", "context": {"cluster": "line", "user": "line"}}],
    }
    return json.dumps(content)
