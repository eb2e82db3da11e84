"""Who listens on a TCP port of this machine: read from /proc and by netlink, as every user may on Linux."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# 127.0.0.1 and 0.0.0.0, as /proc/net/tcp writes them; in tcp6 [::], which takes IPv4, too, and ::ffff:127.0.0.1.
HERE = "0100007F|00000000"
HERE_6 = "0{32}|0000000000000000FFFF00000100007F"
# Local address, any peer, state LISTEN, queues, timer, retransmits, user, timeout, inode: proc_pid_net(5).
LINE = r"^ *\d+: (?:%s):%04X 0+:0000 0A \S+ \S+ \S+ +(\d+) +\d+ (\d+)"

# sock_diag(7): a question about one socket, with any cookie.
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, TCP_LISTEN = 4, 20, 1, 10
ANY = (0xFFFFFFFF, 0xFFFFFFFF)


@dataclass(frozen=True)
class Listener:
    """One listening socket: the user it belongs to, and its inode, which names it in /proc/PID/fd."""

    uid: int
    inode: int

    @property
    def user(self) -> str:
        """Name the user, by number if it has no name."""
        with contextlib.suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name
        return str(self.uid)


def listeners(port: int) -> list[Listener]:
    """List the sockets that take connections to a port of 127.0.0.1; the wildcard addresses take them, too.

    Args:
        port: TCP port.
    """
    return [*_read(Path("/proc/net/tcp"), HERE, port), *_read(Path("/proc/net/tcp6"), HERE_6, port)]


def next_listener(port: int) -> int:
    """Ask the kernel for the inode of the socket that a connection to a port of 127.0.0.1 meets now; takes some microseconds.

    Args:
        port: TCP port.

    Returns:
        The inode; 0 if nothing listens.

    Raises:
        OSError: The kernel does not answer such questions here.
    """
    place = struct.pack("!HH4s28x", port, 0, bytes((127, 0, 0, 1)))
    question = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 1 << TCP_LISTEN) + place + struct.pack("=III", 0, *ANY)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + question)
        answer = kernel.recv(8_192)
    (kind,) = struct.unpack_from("=H", answer, 4)
    return int(struct.unpack_from("=I", answer, 84)[0]) if kind == SOCK_DIAG_BY_FAMILY else 0


def _read(table: Path, addresses: str, port: int) -> list[Listener]:
    try:
        found = re.findall(LINE % (addresses, port), table.read_text(), re.MULTILINE)
    except FileNotFoundError:  # without IPv6 there is no second table
        return []
    return [Listener(uid=int(uid), inode=int(inode)) for uid, inode in found]


def open_sockets(pids: Iterable[int]) -> set[int]:
    """List the inodes of the sockets that these processes have open; those of a process that has ended, or hides them, are left out."""
    found = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for descriptor in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(descriptor.path)  # noqa: PTH115 - pathlib reads no link's text without another stat
                    if target.startswith("socket:["):
                        found.add(int(target[8:-1]))
    return found
