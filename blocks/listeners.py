"""Who listens on a TCP port of this machine: read from /proc, which every user may read on Linux."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"
HERE = ("0100007F", "00000000")  # 127.0.0.1 and 0.0.0.0, as /proc/net/tcp writes them
HERE_6 = ("0" * 32, "0000000000000000FFFF00000100007F")  # [::] takes IPv4, too; ::ffff:127.0.0.1


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


def _read(table: Path, addresses: tuple[str, ...], port: int) -> Iterator[Listener]:
    wanted = {f"{address}:{port:04X}" for address in addresses}
    with contextlib.suppress(FileNotFoundError), table.open() as lines:  # without IPv6 there is no second table
        for line in lines:
            fields = line.split()
            if fields[1] in wanted and fields[3] == LISTENING:
                yield Listener(uid=int(fields[7]), inode=int(fields[9]))


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
