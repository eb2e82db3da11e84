"""Where people see a change that is under way: the page of the pull request by which it goes in."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from blocks.errors import ShipwayError
from blocks.platform import Platform


@runtime_checkable
class Linked(Platform, Protocol):
    """A platform whose changes have pages, as pull requests have: `GitOpsPlatform`."""

    async def link(self) -> str:
        """Return the page of the change under way, or ""."""
        ...


async def through(platform: Platform) -> str:
    """Say by which page a change went in, for the record; "" if there is none, or if that is not known just now."""
    if not isinstance(platform, Linked):
        return ""
    try:
        page = await platform.link()
    except ShipwayError:
        return ""
    return f"through the pull request {page}" if page else ""
