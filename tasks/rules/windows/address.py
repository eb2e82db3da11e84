"""Where a calendar is: what can be its address, and how to name it without what may be secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

WEB = r"https://[A-Za-z0-9.-]+(:\d{1,5})?([/?][^\s#]*)?|http://(127\.0\.0\.1|localhost)(:\d{1,5})?([/?][^\s#]*)?"
ADDRESS = re.compile(rf"{WEB}|/[^\x00-\x1f]*|credential/[a-z0-9-]+")
FIX = "Write an address with https, a file on the worker's machine as `/srv/team.ics`, or a credential block as `credential/NAME`."


def address_fault(ics: str) -> str | None:
    """Say that a text is not where a calendar can be, without the text, which may hold a secret; None if it is."""
    return None if ADDRESS.fullmatch(ics) else "this is not where a calendar can be"


def is_web(ics: str) -> bool:
    """Say if it is the address of a server."""
    return re.fullmatch(WEB, ics) is not None


def is_credential(ics: str) -> bool:
    """Say if it names a credential block that holds the address."""
    return ics.startswith("credential/")


def address_in_words(ics: str) -> str:
    """Name a calendar by its host, its file, or the block that holds the address."""
    return f"the calendar {urlsplit(ics).hostname if '://' in ics else ics}"
