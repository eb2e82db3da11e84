"""A line to the API server that a test can cut: what a network does to Shipway on any cluster, without touching the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from kubernetes import client

from blocks.kubernetes.api.client import Cluster

CHUNK_BYTES = 65_536


class CutLine:
    """A TCP relay between this process and the API server.

    Fields:
        open: Whether new connections are let through; others are reset at once.
        cluster: A client whose every connection goes through the relay.
        accepted: How many connections were let through so far.
    """

    def __init__(self, host: str, port: int) -> None:
        """Remember where the API server is."""
        self._host, self._port = host, port
        self._ends: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.open, self.accepted = True, 0
        self.cluster: Cluster

    def cut(self) -> None:
        """Reset every connection that is open now."""
        for end in list(self._ends):
            end.transport.abort()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection, or reset it while the line is closed."""
        if not self.open:
            writer.transport.abort()
            return
        self.accepted += 1
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = {writer}
        self._ends.add(writer)
        try:
            there, back = await asyncio.open_connection(self._host, self._port)
            ends.add(back)
            self._ends.add(back)
            await asyncio.gather(_copy(reader, back), _copy(there, writer))
        except OSError:
            writer.transport.abort()
        finally:
            for end in ends:
                self._ends.discard(end)
                end.close()

    async def close(self) -> None:
        """End all connections, and wait for it."""
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def line_to(cluster: Cluster) -> AsyncIterator[CutLine]:
    """Put a line that can be cut before a cluster."""
    address = urlsplit(cluster.host)
    line = CutLine(str(address.hostname), address.port or 443)
    server = await asyncio.start_server(line.accept, "127.0.0.1", 0)
    configuration = copy.copy(cluster.api.configuration)
    configuration.host = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    configuration.refresh_api_key_hook = None  # it would write the API server's own address back
    configuration.tls_server_name = configuration.tls_server_name or address.hostname
    line.cluster = Cluster(client.ApiClient(configuration), cluster.namespace)
    try:
        yield line
    finally:
        server.close()
        await line.close()
        line.cluster.api.rest_client.close()
