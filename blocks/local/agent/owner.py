"""Who listens on a revision's port: the revision's own processes, or a stranger, such as another user of the machine."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from blocks.listeners import Listener, listeners, open_sockets
from blocks.local.agent.process import TOKEN_VARIABLE

ROOT, UNNAMED = 0, 65_534  # UNNAMED is also how the kernel shows users that it cannot name here
log = logging.getLogger("shipway.local")


class Owner:
    """Knows the listening sockets of one revision's process; `listening` has their inodes as they were when it last looked.

    Args:
        port: The revision's port.
        pid: Its process, which leads a session.
        token: What its processes carry in their environment.
        uid: The user that they run as.
    """

    def __init__(self, port: int, *, pid: int, token: str, uid: int) -> None:
        """Keep whom to look for; nothing is looked at yet."""
        self.port, self.pid, self.token = port, pid, token
        self.known: set[int] = set()
        self.listening: frozenset[int] = frozenset()
        self.uid = uid
        self._said = False

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
        if any(listener.inode not in self.known for listener in found) and self._is_hidden():
            self.known |= self._trusted(found)
        self.listening = frozenset(listener.inode for listener in found if self._is_ours(listener))
        strangers = [listener for listener in found if not self._is_ours(listener)]
        if strangers:
            return False, f"its port {self.port} is held by a process of the user {strangers[0].user} that is not its own"
        return bool(found), ""

    def _is_ours(self, listener: Listener) -> bool:
        """Root may listen for an ordinary user's process, as a container runtime does: it needs no trick."""
        return listener.inode in self.known or (listener.uid == ROOT and self.uid != ROOT)

    def _is_hidden(self) -> bool:
        """Say if a process of the revision's session closes its descriptors to us, as one with file capabilities does."""
        for pid in self._family():
            try:
                os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 - without stat
            except PermissionError:
                return True
            except OSError:
                continue
        return False

    def _trusted(self, found: list[Listener]) -> set[int]:
        """Take sockets of the user that the revision runs as for its own if it hides them, and no process that can be read has them."""
        own = {listener.inode for listener in found if listener.uid == self.uid != UNNAMED}
        trusted = own - open_sockets(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()) if own else own
        if trusted and not self._said:
            self._said = True
            log.info("process %d hides its descriptors, so port %d counts as its own by its user %d", self.pid, self.port, self.uid)
        return trusted

    def _family(self) -> Iterator[int]:
        """List the processes of the revision: of its session, or with its token."""
        wanted = f"{TOKEN_VARIABLE}={self.token}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if os.getsid(int(entry.name)) == self.pid or wanted in (entry / "environ").read_bytes().split(b"\0"):
                        yield int(entry.name)
