"""Seals: HMAC-SHA256 under the approval key, by which an object in the storage is known to be what this installation wrote there.

A seal covers an object's path and content, so that neither can be changed, and no object can take another's place. It is a last line of
its own, so that what is sealed can still be read by people: `{"key":"1f…","seal":"9c…"}`; `key` says under which key it was made.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from functools import lru_cache

from blocks.errors import Tampered
from blocks.key_folder.key_file import derive, key_path, read_key

LINE = re.compile(rb'\{"key":"([0-9a-f]{8})","seal":"([0-9a-f]{64})"\}')


class Seal:
    """Seals and checks the objects of a storage.

    Args:
        master: The approval key.
    """

    def __init__(self, master: bytes) -> None:
        """Derive the key, and the name by which another key is noticed."""
        self._key = derive(master, "storage")
        self.name = hashlib.sha256(derive(master, "storage key's name")).hexdigest()[:8]

    def close(self, path: str, content: bytes) -> bytes:
        """Give the content with its seal behind it, as it is stored.

        Args:
            path: Where in the storage it will be.
            content: Any bytes.
        """
        return b'%s\n{"key":"%s","seal":"%s"}\n' % (content, self.name.encode(), self._of(path, content).encode())

    def open(self, path: str, stored: bytes) -> bytes:
        """Check the seal and give the content without it.

        Args:
            path: Where in the storage it was read.
            stored: What was read there.

        Raises:
            Tampered: It is not what `close` gave for this path.
        """
        content, line = split(stored)
        found = LINE.fullmatch(line)
        if found is None:
            raise Tampered(f"{path} in the storage has no seal: it was changed, cut short, or not written by this installation")
        name, seal = found[1].decode(), found[2].decode()
        if name != self.name:
            raise Tampered(
                f"{path} in the storage is sealed under the approval key {name}, and this machine has {self.name} at {key_path()}: "
                "it was written by another installation, or the key was replaced; copy the right key here"
            )
        if not hmac.compare_digest(seal, self._of(path, content)):
            raise Tampered(f"{path} in the storage does not match its seal: it was changed, or copied there from another place")
        return content

    def _of(self, path: str, content: bytes) -> str:
        # The length keeps path and content apart, whatever they hold.
        name = path.encode()
        return hmac.new(self._key, b"%d:%s:%s" % (len(name), name, content), hashlib.sha256).hexdigest()


def split(stored: bytes) -> tuple[bytes, bytes]:
    """Part stored bytes into content and the line of the seal, unchecked; the line is empty if there is none."""
    content, newline, line = stored[:-1].rpartition(b"\n")
    return (content, line) if newline and stored.endswith(b"\n") and LINE.fullmatch(line) else (stored, b"")


def writing_seal() -> Seal:
    """Give the seal of this machine's key to write with.

    Raises:
        Refused: There is none, or it cannot be used; a key made here would make what others wrote look changed.
    """
    return _seal_under(read_key(key_path()))


def reading_seal() -> Seal:
    """Give the seal of this machine's key.

    Raises:
        Refused: There is none, or it cannot be used.
    """
    return _seal_under(read_key(key_path()))


@lru_cache(maxsize=8)
def _seal_under(master: bytes) -> Seal:
    return Seal(master)
