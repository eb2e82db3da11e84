"""SSH: hosts reached by asyncssh, whose keys are known before; nothing of the worker's own `~/.ssh` is read, and nothing is forwarded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blocks.errors import BadInput, Permanent, Unreachable, refusing
from blocks.outside_text import error_text
from blocks.script.hosts.names import SSH_PORT, HostName, read_name
from blocks.script.hosts.orders import ANSWER_BEGINS, Broke, Ran

if TYPE_CHECKING:
    import asyncssh

CONNECT_SECONDS, LOGIN_SECONDS = 15.0, 20.0
KEEPALIVE_SECONDS, KEEPALIVES, CLOSE_SECONDS = 15.0, 3, 3.0
MOST_BYTES, PIECE_BYTES = 4_000_000, 65_536
OTHER_KEYS = "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
"""Asked for behind the types of the known keys: a host that has none of these then shows the key it has, and is refused by it.
Else its sshd would end the connection without a word, as if the host were down."""


@dataclass(frozen=True)
class Access:
    """How hosts are reached.

    Fields:
        known_hosts: Lines as in known_hosts(5): the keys of all hosts and jump hosts.
        key: The private key, as ssh-keygen writes it without a passphrase.
        user: Who logs in where a name says no one.
        jump_hosts: The hosts that lead there, in order.
    """

    known_hosts: str
    key: str
    user: str
    jump_hosts: Sequence[str] = ()


class SshHost:
    """One host over an open connection, with the programs that did an order there and wait for the next.

    Args:
        name: As the block has it.
        connection: The connection.
    """

    def __init__(self, name: str, connection: asyncssh.SSHClientConnection) -> None:
        """Keep both; no program runs yet."""
        self.name, self.connection = name, connection
        self.waiting: list[tuple[str, asyncssh.SSHClientProcess[bytes]]] = []

    def is_open(self) -> bool:
        """Say whether it is connected; see `blocks.script.hosts.orders.Connection`."""
        return not self.connection.is_closed()

    async def run(self, command: str, program: bytes, order: bytes, *, timeout_seconds: float) -> Ran:
        """Have a program do an order; see `blocks.script.hosts.orders.Connection`. One program does one at a time."""
        import asyncssh  # noqa: PLC0415 - costs a second, which only who reaches hosts pays

        process = self._waiting(command)
        is_new = process is None
        try:
            async with asyncio.timeout(timeout_seconds):
                if process is None:
                    process = await self.connection.create_process(command, encoding=None)
                    process.stdin.write(program)
                process.stdin.write(order + b"\n")
                output, has_answered = await _answer_of(process.stdout)
                if not has_answered:
                    return await self._ended(process, output, is_new=is_new)
            self.waiting.append((command, process))
            process = None
            return Ran(0, output, b"")
        except TimeoutError:
            raise Unreachable(f"{self.name} did not answer within {timeout_seconds:g} s") from None
        except (OSError, asyncssh.Error) as error:
            raise Broke(f"{self.name}: the connection broke: {error_text(error)}") from None
        finally:
            if process is not None:
                process.close()

    def _waiting(self, command: str) -> asyncssh.SSHClientProcess[bytes] | None:
        """Take a program that waits; those that ended meanwhile are let go."""
        self.waiting = [(known, one) for known, one in self.waiting if not (one.stdout.at_eof() or one.is_closing())]
        found = next((one for known, one in self.waiting if known == command), None)
        self.waiting = [(known, one) for known, one in self.waiting if one is not found]
        return found

    async def _ended(self, process: asyncssh.SSHClientProcess[bytes], output: bytes, *, is_new: bool) -> Ran:
        """Say how a program ended that gave no answer; one that waited was ended meanwhile, which says nothing of the order."""
        if not is_new:
            raise Broke(f"{self.name}: the program there was ended")
        errors = await _end_of(process.stderr)
        await process.wait_closed()
        return Ran(process.exit_status, output, errors)


@asynccontextmanager
async def connected(name: str, access: Access) -> AsyncIterator[SshHost]:
    """Connect to a host, over its jump hosts.

    Raises:
        Unreachable: It does not answer.
        BadInput: Its key is not the known one, or the block's key cannot be read.
        Permanent: It refuses the account, or shares no algorithm with this machine.
    """
    async with AsyncExitStack() as stack:
        tunnel: asyncssh.SSHClientConnection | None = None
        for one in (*access.jump_hosts, name):
            tunnel = await stack.enter_async_context(await _connect(one, access, tunnel))
            stack.push_async_callback(_closed, tunnel)
        assert tunnel is not None  # noqa: S101 - the list has the host itself
        yield SshHost(name, tunnel)


async def _connect(name: str, access: Access, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
    import asyncssh  # noqa: PLC0415 - as above

    where = read_name(name)
    options = await asyncio.to_thread(_options, access)
    notes, user = _keys_noted(), where.user or access.user
    options |= {"username": user, "tunnel": tunnel, "client_factory": lambda: notes}
    try:
        return await asyncssh.connect(where.host, where.port, **options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise _wrong_key(name, where, f"{error}{notes.shown}") from None
    except asyncssh.KeyExchangeFailed as error:
        message = f"{name} answers, and shares no algorithm for connections with this machine: {error_text(error)}. Allow one of them there"
        raise Permanent(message) from None
    except asyncssh.PermissionDenied:
        fault = Permanent(f"{name} refuses {user} with the block's key. Add it to authorized_keys there")
        raise refusing(fault) from None
    except (TimeoutError, OSError, asyncssh.Error) as error:
        raise Unreachable(f"{name} does not answer: {error_text(error)}", delay_seconds=5) from None


def _keys_noted() -> Any:
    """Give a client that keeps in words which key a host showed that is not known; it trusts none."""
    import asyncssh  # noqa: PLC0415 - as above

    class Notes(asyncssh.SSHClient):
        shown = ""

        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's signature
            self.shown = f" (it shows {key.get_algorithm()} {key.get_fingerprint()})"
            return False

    return Notes()


def _wrong_key(name: str, where: HostName, why: str) -> BadInput:
    entry = where.host if where.port == SSH_PORT else f"[{where.host}]:{where.port}"
    fix = f"Find out why, and only then put its present key into the line of {entry}"
    return BadInput(f"{name} does not show the key that is known of it: {why}", field="known_hosts", fix=fix)


def _options(access: Access) -> dict[str, Any]:
    """Give what each connection is made with: all that asyncssh would find on this machine by itself is shut out."""
    import asyncssh  # noqa: PLC0415 - as above

    try:
        known = asyncssh.import_known_hosts(access.known_hosts)
    except ValueError as error:
        raise BadInput(str(error), field="known_hosts", fix="Write lines as `ssh-keyscan` prints them, once you compared them") from None
    try:
        key = asyncssh.import_private_key(access.key)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise BadInput(
            f"it cannot be read: {error}", field="key", fix="Give a private key as ssh-keygen writes it, without a passphrase"
        ) from None

    def match(host: str, _address: str, port: int | None) -> Any:
        return known.match(host, "", port)  # by its name alone: another host's address proves nothing of this one

    return {
        "config": None, "known_hosts": match, "client_keys": [key], "preferred_auth": ["publickey"], "agent_path": None,
        "password_auth": False, "kbdint_auth": False, "host_based_auth": False, "gss_host": None, "gss_auth": False, "gss_kex": False,
        "x509_trusted_certs": None, "disable_trivial_auth": True, "agent_forwarding": False, "x11_forwarding": False, "request_pty": False,
        "server_host_key_algs": OTHER_KEYS, "send_env": None, "proxy_command": None, "canonicalize_hostname": False,
        "connect_timeout": CONNECT_SECONDS, "login_timeout": LOGIN_SECONDS,
        "keepalive_interval": KEEPALIVE_SECONDS, "keepalive_count_max": KEEPALIVES,
    }  # fmt: skip


async def _answer_of(stream: asyncssh.SSHReader[bytes]) -> tuple[bytes, bool]:
    """Read to the end of an answer, True, or of all that comes, False; the last of it is kept."""
    kept = bytearray()
    while piece := await stream.read(PIECE_BYTES):
        kept += piece
        del kept[:-MOST_BYTES]
        if piece.endswith(b"\n") and ANSWER_BEGINS in kept:
            return bytes(kept), True
    return bytes(kept), False


async def _end_of(stream: asyncssh.SSHReader[bytes]) -> bytes:
    """Read to the end, and keep the last of it."""
    kept = bytearray()
    while piece := await stream.read(PIECE_BYTES):
        kept += piece
        del kept[:-MOST_BYTES]
    return bytes(kept)


async def _closed(connection: asyncssh.SSHClientConnection) -> None:
    """Close a connection; one whose host does not take the farewell is given up."""
    connection.close()
    try:
        await asyncio.wait_for(connection.wait_closed(), CLOSE_SECONDS)
    except Exception:  # noqa: BLE001 - whatever it was, the connection is not used any more
        connection.abort()
