"""Heads: the last entry of each release's record, kept beside the approval key, where who writes the storage cannot write.

A seal shows that an entry is ours, but not that it is the last one: with its head, a record of which the last entries were removed, or an
older copy was put back, is noticed. A head is written right after its entry, so after a crash it may lag behind the record, and never the
other way round.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from blocks.errors import Tampered, Temporary
from blocks.key_folder.key_file import key_path, replace_file


class KeyFolderFault(Temporary):
    """The key's folder cannot be read or written: what goes forward waits for it, and a rollback goes on without it."""


class Head(NamedTuple):
    """The last entry of a record that is known of: its place from 1, its hash, and whether it closed the record."""

    seq: int
    hash: str
    closed: bool = False


def read_head(release: str) -> Head | None:
    """Read the head of a record, or None if none is kept.

    Args:
        release: The release's id, a safe file name.

    Raises:
        KeyFolderFault: The key's folder cannot be read.
        Tampered: What is kept is not a head.
    """
    path = _path(release)
    try:
        return _parsed(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise Tampered(f"{path} does not say where the record of {release} ends: it was changed or cut short; restore keys/") from error
    except OSError as error:
        raise KeyFolderFault(f"{path} cannot be read: {error.strerror}. Look at the key's folder", delay_seconds=2) from error


def keep_head(release: str, head: Head) -> None:
    """Keep a head, atomically and durably, unless a later one is kept.

    Raises:
        KeyFolderFault: The key's folder cannot be written.
        Tampered: What is kept is not a head.
    """
    path = _path(release)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = read_head(release)
        if known is None or known.seq < head.seq:
            replace_file(path, json.dumps(head._asdict()).encode())
    except OSError as error:
        raise KeyFolderFault(f"{path} cannot be written: {error.strerror}. Look at its space and rights", delay_seconds=2) from error


def forget_head(release: str) -> None:
    """Remove the head of a record that was closed long ago.

    Raises:
        OSError: The key's folder cannot be written.
    """
    _path(release).unlink(missing_ok=True)


def closed_heads(*, since: float = 0.0, before: float = float("inf")) -> list[str]:
    """List the releases whose head says that their record is closed, and was written between two moments (seconds since the epoch)."""
    found: list[str] = []
    with suppress(OSError):
        for path in sorted(_path("any").parent.glob("*.json")):
            with suppress(OSError, ValueError, TypeError, KeyError):
                if since <= path.stat().st_mtime < before and _parsed(path.read_bytes()).closed:
                    found.append(path.stem)
    return found


def newest_head() -> float | None:
    """Say when a head was last written, in seconds since the epoch; None without heads, or if the folder cannot be read."""
    with suppress(OSError):
        return max((path.stat().st_mtime for path in _path("any").parent.glob("*.json")), default=None)
    return None


def known_heads() -> list[str]:
    """List the releases of which a head is kept; empty if the folder cannot be read."""
    with suppress(OSError):
        return sorted(path.stem for path in _path("any").parent.glob("*.json"))
    return []


def _parsed(content: bytes) -> Head:
    kept = json.loads(content)
    head = Head(kept["seq"], kept["hash"], kept.get("closed", False))
    if [type(value) for value in head] != [int, str, bool]:
        raise TypeError
    return head


def _path(release: str) -> Path:
    return key_path().parent / "heads" / f"{release}.json"
