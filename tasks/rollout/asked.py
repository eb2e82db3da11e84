"""Which secrets serve is asked seldom where that takes long: platforms are loaded each minute, and what hangs may be anybody's edit."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from prefect.blocks.core import Block

from blocks.key_folder.places import whole_settings

LONG_SECONDS = 5.0
TIMES = 10  # as long as asking took: so long its answer counts, and a tenth of a rollback's time goes there at most


class _Found(NamedTuple):
    of: dict[str, Any]
    until: float


_found: dict[tuple[str, object], _Found] = {}


async def seldom(name: str, was: Block, ask: Callable[[], Awaitable[Block | None]], *, by: object) -> Block | None:
    """Ask with which secrets a block serves; if that took long, it is not asked anew at once, whatever the block as it is now holds.

    What answers soon is asked each time, so that a secret which was rotated a moment ago is seen; and so is what others than those of the
    release serve, as these may be taken again.

    Args:
        name: The block, as `type/name`.
        was: As the last release had it.
        ask: Gives the block that serves instead; None if that of the release counts.
        by: How it is asked; what another way found does not count.
    """
    known, settings = _found.get((name, by)), whole_settings(was)
    if known is not None and known.of == settings and time.monotonic() < known.until:
        return None
    began = time.monotonic()
    serving = await ask()
    took = time.monotonic() - began
    if serving is None and took >= LONG_SECONDS:
        _found[name, by] = _Found(settings, time.monotonic() + TIMES * took)
    return serving
