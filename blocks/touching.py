"""Optional part of a platform, beside those of `blocks.platform`: what it changes besides its own place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class Touching(Protocol):
    """Optional part of a platform: says what it changes beside its own place, so that no two environments share any of it."""

    async def touches(self) -> Mapping[str, str]:
        """Return the identities of these things, as of `blocks.platform.Identified`, by words for people: `the Service shop/web`.

        Raises:
            BadInput: One of them is not this environment's own, as the world is now; names the field and the fix.
        """
        ...
