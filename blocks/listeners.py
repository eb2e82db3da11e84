"""Who listens on a TCP port of this machine: read from /proc and by netlink, as every user may on Linux."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# 127.0.0.1 and 0.0.0.0, as /proc/net/tcp writes them; in tcp6 [::], which takes IPv4, too, and ::ffff:127.0.0.1.
HERE = "0100007F|00000000"
HERE_6 = "0{32}|0000000000000000FFFF00000100007F"
# Local address, any peer, state LISTEN, queues, timer, retransmits, user, timeout, inode: proc_pid_net(5).
LINE = r"^ *\d+: (?:%s):%04X 0+:0000 0A \S+ \S+ \S+ +(\d+) +\d+ (\d+)"

LISTENS = re.compile(r" *\d+: \S+ \S+ 0A ")

# sock_diag(7): a question about one socket, with any cookie.
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, TCP_LISTEN = 4, 20, 1, 10
NLM_F_DUMP, NLMSG_DONE = 0x300, 3
ANY = (0xFFFFFFFF, 0xFFFFFFFF)
LOOPBACK = bytes((127, 0, 0, 1))
REACHED = {  # the addresses whose listeners take connections to 127.0.0.1, as above
    socket.AF_INET: {LOOPBACK + bytes(12), bytes(16)},
    socket.AF_INET6: {bytes(16), bytes(10) + b"\xff\xff" + LOOPBACK},
}


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
    try:
        found = [one for family in (socket.AF_INET, socket.AF_INET6) for one in _dumped(family, port)]
    except OSError:  # a kernel that does not answer such questions
        found = [*_read(Path("/proc/net/tcp"), HERE, port), *_read(Path("/proc/net/tcp6"), HERE_6, port)]
    return found


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


def _dumped(family: socket.AddressFamily, port: int) -> Iterator[Listener]:
    """Ask the kernel for what listens: it looks at nothing else, while /proc walks through every connection of the machine.

    Raises:
        OSError: The kernel does not answer such questions here.
    """
    question = struct.pack("=BBBBI48x", family, socket.IPPROTO_TCP, 0, 0, 1 << TCP_LISTEN)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(question), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + question)
        while True:
            answer, place = kernel.recv(1 << 16), 0
            while place < len(answer):
                length, kind = struct.unpack_from("=IH", answer, place)
                if kind == NLMSG_DONE:
                    return
                if kind != SOCK_DIAG_BY_FAMILY:
                    raise OSError("the kernel does not list what listens")
                sport, source = struct.unpack_from("!H2x16s", answer, place + 20)
                if sport == port and source in REACHED[family]:
                    yield Listener(*struct.unpack_from("=II", answer, place + 80))
                place += length + 3 & ~3


def _read(table: Path, addresses: str, port: int) -> list[Listener]:
    """Read the sockets that listen. The kernel lists them first, and a busy machine has tens of thousands of others behind them."""
    line = re.compile(LINE % (addresses, port))
    try:
        with table.open() as lines:
            next(lines, "")  # the names of the columns
            found = [line.match(text) for text in itertools.takewhile(LISTENS.match, lines)]
    except FileNotFoundError:  # without IPv6 there is no second table
        return []
    return [Listener(uid=int(one[1]), inode=int(one[2])) for one in found if one]


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
