"""Names of hosts, as a block lists them: `[USER@]HOST[:PORT]`."""

from __future__ import annotations

import re
from typing import NamedTuple

SSH_PORT, LAST_PORT = 22, 65_535
NAME = re.compile(
    r"(?:(?P<user>[A-Za-z_][A-Za-z0-9_.-]{0,31})@)?"
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


class HostName(NamedTuple):
    """Where a host is, and as whom it is reached; the user is "" if none is named."""

    user: str
    host: str
    port: int


def read_name(text: str) -> HostName:
    """Read a host's name.

    Raises:
        ValueError: It is not one.
    """
    found = NAME.fullmatch(text)
    port = int(found["port"] or SSH_PORT) if found else 0
    if found is None or not 0 < port <= LAST_PORT:
        raise ValueError(f"{text[:80]!r} is not a host: write [USER@]HOST[:PORT], an IPv6 address in brackets")
    return HostName(found["user"] or "", found["six"] or found["host"], port)
