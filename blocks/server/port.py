"""The API's port: held by every process that knows the password, so that no other user can ever listen on it.

Each holds a socket of its own that is bound to the port and does not listen. With SO_REUSEPORT the kernel lets sockets share a port only
if they belong to one user (socket(7)): as long as one of these processes lives, other users are refused the port, also while the server
is down; and a process that cannot hold it knows that the port is not ours, before it sends the password there. Linux only, as all of this.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from blocks.errors import Refused
from blocks.listeners import listeners
from blocks.server import layout

_held: dict[int, socket.socket] = {}


def hold(home: Path) -> None:
    """Hold the API's port for as long as this process, or a fork of it, lives.

    Raises:
        Refused: It belongs to another user's program, or to another program of ours; the password must not be sent there.
    """
    number = layout.read_facts(home)["port"]
    if number in _held:
        return
    try:
        _held[number] = bind(number, home=home)
    except OSError as error:
        who = ", ".join(sorted({listener.user for listener in listeners(number)}))
        holder = f"a program of the user {who}" if who else "another program"
        message = f"port {number} is held by {holder} ({error.strerror}), so the password of {home} is not sent there; "
        raise Refused(message + f"`shipway up --home {home}` takes another port") from None


def bind(number: int, *, home: Path | None = None) -> socket.socket:
    """Bind a socket to a port of 127.0.0.1 that only sockets of the same user can share.

    Args:
        number: The port; 0 takes a free one.
        home: The home directory; root binds as its owner, whose server it is to meet.

    Raises:
        OSError: The port is taken.
    """
    with _as_owner_of(home), contextlib.ExitStack() as undo:
        # Named as TCP, so that asyncio switches Nagle's algorithm off; else an answer's body waits 40 ms for the ACK of its head.
        bound = undo.enter_context(socket.socket(proto=socket.IPPROTO_TCP))
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(("127.0.0.1", number))
        undo.pop_all()
    return bound


def is_free(number: int) -> bool:
    """Say whether a server of ours could listen on a port of 127.0.0.1, and none does."""
    try:
        bind(number).close()
    except OSError:
        return False
    return not listeners(number)


def keep_over_exec() -> None:
    """Let a program that replaces this one go on holding."""
    for bound in _held.values():
        bound.set_inheritable(True)


@contextlib.contextmanager
def _as_owner_of(home: Path | None) -> Iterator[None]:
    before = os.geteuid()
    owner = home.stat().st_uid if home is not None and before == 0 else before
    if owner == before:
        yield
        return
    os.seteuid(owner)
    try:
        yield
    finally:
        os.seteuid(before)
