"""Tunnel: one connection to a port of a pod through the API server, a WebSocket of the protocol `v4.channel.k8s.io`.

Each message begins with the number of its channel: 0 carries the data in both directions, 1 the error. On each of them the server
first sends the port, in two bytes. The protocol has no half-closed connections: a close ends both directions.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any

from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, DummyCookieJar, TCPConnector, WSMsgType, WSServerHandshakeError

from blocks.errors import BadInput, ShipwayError, Temporary
from blocks.kubernetes.api.client import Cluster

LOG = logging.getLogger("shipway.kubernetes")
PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
PORT_BYTES = 2
CHUNK_BYTES = 65_536
OPEN_SECONDS = 5.0
CLOSE_SECONDS = 1.0
MOST_WORDS = 600
# Keep-alive finds a dead peer within about 15 s; a ping would also fail a peer that is only busy reading.
KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 15_000}


class Broken(Temporary):
    """The connection broke; the message has the pod's or the API server's error."""


def open_session(context: ssl.SSLContext) -> ClientSession:
    """Open a client session for an API server, without a limit of connections."""
    connector = TCPConnector(limit=0, ssl=context, force_close=True)
    return ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trust_env=False)


def ssl_context(api: Any) -> ssl.SSLContext:
    """Make the TLS context that the official client's configuration describes; reads its files, so it blocks.

    Raises:
        BadInput: They cannot be used.
    """
    try:
        return _ssl_context(api.configuration)
    except (OSError, ValueError) as error:
        fix = "Give the cluster's certificate authority, and a client certificate with its key"
        raise BadInput(f"the certificates cannot be used ({type(error).__name__})", field="config", fix=fix) from None


def _ssl_context(configuration: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not configuration.verify_ssl:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif configuration.ssl_ca_cert or configuration.ca_cert_data:
        context.load_verify_locations(cafile=configuration.ssl_ca_cert or None, cadata=configuration.ca_cert_data or None)
    else:
        context.load_default_certs()
    if configuration.assert_hostname is False:
        context.check_hostname = False
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return context


async def open_tunnel(session: ClientSession, cluster: Cluster, pod: str, port: int) -> ClientWebSocketResponse:
    """Open a tunnel to a pod's port.

    Raises:
        Broken: The API server or the node does not connect.
    """
    path = cluster.path("Pod", pod, below="portforward")
    url, headers = await asyncio.to_thread(cluster.signed, "GET", path, {"ports": str(port)})  # signing may run a program for the token
    configuration = cluster.api.configuration
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            tunnel = await session.ws_connect(
                url,
                headers={name: value for name, value in headers.items() if name.lower() != "accept"},
                protocols=(PROTOCOL,),
                autoclose=False,
                proxy=configuration.proxy or None,
                server_hostname=configuration.tls_server_name or None,
            )
    except TimeoutError:
        raise Broken(f"no connection to {pod}:{port} through {cluster.host} within {OPEN_SECONDS:g} s") from None
    except WSServerHandshakeError as error:
        said = await _refusal(cluster, path, port)
        raise Broken(f"the API server does not forward to {pod}:{port} ({error.status}): {said}") from None
    except (ClientError, OSError) as error:
        raise Broken(f"no connection to {pod}:{port} through {cluster.host}: {type(error).__name__}") from None
    _keep_alive(tunnel.get_extra_info("socket"))
    return tunnel


async def _refusal(cluster: Cluster, path: str, port: int) -> str:
    """Send a plain request for the reason, which the refusal of a WebSocket does not carry."""
    try:
        await cluster.content("GET", path, query={"ports": str(port)}, timeout_seconds=OPEN_SECONDS)
    except ShipwayError as error:
        return str(error)
    return "without a reason"


def _keep_alive(connection: Any) -> None:
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has them all
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def pipe(tunnel: ClientWebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes both ways until either side closes.

    What the server sent before it closed is read first: it has the reason, while a send would only fail.

    Raises:
        Broken: The tunnel broke, or the pod refused; the client may have received a part only.
    """
    up, down = asyncio.create_task(_carry_up(tunnel, reader)), asyncio.create_task(_carry_down(tunnel, writer))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        if up.done() and up.exception() is not None:
            await asyncio.wait((down,), timeout=CLOSE_SECONDS)
    finally:
        up.cancel()
        down.cancel()
        ends = await asyncio.gather(down, up, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _carry_up(tunnel: ClientWebSocketResponse, reader: asyncio.StreamReader) -> None:
    try:
        while data := await reader.read(CHUNK_BYTES):
            await tunnel.send_bytes(bytes((DATA,)) + data)
    except (ClientError, OSError) as error:
        raise Broken(f"the connection broke: {type(error).__name__}") from None


async def _carry_down(tunnel: ClientWebSocketResponse, writer: asyncio.StreamWriter) -> None:
    unread = {DATA: PORT_BYTES, ERROR: PORT_BYTES}  # of the port's number on each channel
    while True:
        message = await tunnel.receive()
        if message.type in {WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED}:
            return
        if message.type is not WSMsgType.BINARY or not message.data or message.data[0] not in unread:
            raise Broken(f"the API server broke the connection: {type(message.data).__name__}")
        channel, payload = message.data[0], message.data[1:]
        skipped = min(unread[channel], len(payload))
        unread[channel] -= skipped
        payload = payload[skipped:]
        if channel == ERROR and payload:
            raise Broken(" ".join(payload.decode("utf-8", "replace").split())[:MOST_WORDS])
        if payload:
            try:
                writer.write(payload)
                await writer.drain()
            except OSError:
                return  # the client has closed


async def close_tunnel(tunnel: ClientWebSocketResponse) -> None:
    """Close a tunnel, with a short wait for the other side's close message."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await tunnel.close()
    except (TimeoutError, ClientError, OSError):
        LOG.debug("the API server did not close the WebSocket in time")
