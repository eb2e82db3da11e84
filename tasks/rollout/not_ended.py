"""Processes that a rollback could not end, as those of root that a script had by sudo: they may act on beside what serves again."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from blocks.errors import ShipwayError
from blocks.outside_text import as_ending, error_text
from blocks.platform import Platform
from tasks.record.journal import say
from tasks.rules.lifecycle.results import RollbackResult


@runtime_checkable
class NamesNotEnded(Platform, Protocol):
    """A platform that runs programs which a rollback ends: `ScriptPlatform`, `ScriptHosts`."""

    async def not_ended(self) -> list[str]:
        """Name the processes that could not be ended."""
        ...


async def with_not_ended(found: RollbackResult, platform: Platform) -> RollbackResult:
    """Name in the result of a rollback what it could not end; whoever reads it has to end that."""
    if not isinstance(platform, NamesNotEnded):
        return found
    try:
        names = await platform.not_ended()
    except (ShipwayError, OSError) as error:
        say(f"what the rollback could not end is not known: {error_text(error)}")
        return found
    if not names:
        return found
    return found.model_copy(update={"reason": as_ending(f"{found.reason}. COULD NOT BE ENDED, and may act on: {', '.join(names)}")})
