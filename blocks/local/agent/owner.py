"""Who listens on a revision's port: the revision's own processes, or a stranger, such as another user of the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from blocks.listeners import Listener, listeners, open_sockets
from blocks.local.agent.process import TOKEN_VARIABLE

ROOT = 0


class Owner:
    """Knows the listening sockets of one revision's process; `listening` has their inodes as they were when it last looked.

    Args:
        port: The revision's port.
        pid: Its process, which leads a session.
        token: What its processes carry in their environment.
    """

    def __init__(self, port: int, *, pid: int, token: str) -> None:
        """Keep whom to look for; nothing is looked at yet."""
        self.port, self.pid, self.token = port, pid, token
        self.known: set[int] = set()
        self.listening: frozenset[int] = frozenset()

    def look(self) -> tuple[bool, str]:
        """Look who listens now; takes some milliseconds.

        Returns:
            Whether the revision listens and nothing else does, and what else does, in words, or "".
        """
        found = listeners(self.port)
        if any(listener.inode not in self.known for listener in found):
            self.known = open_sockets([self.pid])
        if any(listener.inode not in self.known for listener in found):
            self.known |= open_sockets(self._family())
        self.listening = frozenset(listener.inode for listener in found if self._is_ours(listener))
        strangers = [listener for listener in found if not self._is_ours(listener)]
        if strangers:
            return False, f"its port {self.port} is held by a process of the user {strangers[0].user} that is not its own"
        return bool(found), ""

    def _is_ours(self, listener: Listener) -> bool:
        """Root may listen for an ordinary user's process, as a container runtime does: it needs no trick."""
        return listener.inode in self.known or (listener.uid == ROOT and os.geteuid() != ROOT)

    def _family(self) -> Iterator[int]:
        """List the processes of the revision: of its session, or with its token."""
        wanted = f"{TOKEN_VARIABLE}={self.token}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if os.getsid(int(entry.name)) == self.pid or wanted in (entry / "environ").read_bytes().split(b"\0"):
                        yield int(entry.name)
