"""Rollbacks of several environments at once: one that fails stops no other, and each result says how its own ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from blocks.errors import Superseded
from blocks.outside_text import as_ending, error_text
from tasks.lifecycle.retries import as_temporary
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import RollbackResult

Tried = dict[str, RollbackResult | Exception]  # by environment: how its rollback ended, or why it could not be carried out


async def side_by_side(environments: Sequence[str], undo: Callable[[str], Awaitable[RollbackResult | None]]) -> Tried:
    """Roll back several environments at once; one that fails stops no other. Those without a result are left out.

    Raises:
        Superseded: A newer run sees to it.
    """
    found = await asyncio.gather(*map(undo, environments), return_exceptions=True)
    tried: Tried = {}
    for environment, one in zip(environments, found, strict=True):
        if isinstance(one, Superseded) or (isinstance(one, BaseException) and not isinstance(one, Exception)):
            raise one
        if one is not None:
            tried[environment] = one
    return tried


def settled(tried: Tried) -> dict[str, RollbackResult]:
    """Make results of what was tried: an environment that could not be rolled back failed, and says why.

    Raises:
        Temporary: One does not answer; the rollback must be tried again.
    """
    late = next(filter(None, (as_temporary(one) for one in tried.values() if isinstance(one, Exception))), None)
    if late is not None:
        raise late
    return {name: _lost(name, one) if isinstance(one, Exception) else one.at(name) for name, one in tried.items()}


def _lost(environment: str, error: Exception) -> RollbackResult:
    reason = as_ending(f"{environment}: it could not be rolled back: {error_text(error)}")
    return RollbackResult(outcome=Outcome.FAILED, reason=reason, environment=environment, version=None)
