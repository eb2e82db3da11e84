"""Optional part of a platform, beside those of `blocks.platform`: what it changes besides its own place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from blocks.errors import BadInput


class NotOwn(BadInput):
    """Not this environment's own: something that a block names belongs to another workload, or to another one, too.

    Args:
        message: What is wrong.
        field: The place, as in `BadInput`.
        fix: What to write instead.
        things: All that was found, as of `Touching.touches`, what is not its own included.
        refuses_rollbacks: False if it is shared: that refuses releases alone.
    """

    def __init__(self, message: str, *, field: str, fix: str, things: Mapping[str, str], refuses_rollbacks: bool = True) -> None:
        """Keep what was found."""
        super().__init__(message, field=field, fix=fix)
        self.things, self.refuses_rollbacks = dict(things), refuses_rollbacks


@runtime_checkable
class Touching(Protocol):
    """Optional part of a platform: says what it changes beside its own place, so that no two environments share any of it."""

    async def touches(self) -> Mapping[str, str]:
        """Return the identities of these things, as of `blocks.platform.Identified`, by words for people: `the Service shop/web`.

        Raises:
            NotOwn: One of them is not this environment's own, as the world is now; names the field and the fix.
        """
        ...
