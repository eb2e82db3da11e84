"""Patience with the storage of results and records: ten seconds in all; then it counts as away, and for a minute it is not asked again.

For what must not wait for it: a rollback, which goes on by what lies beside the key and by what runs, and the keeper, which starts one.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from blocks.errors import Tampered
from tasks.record.objects import Objects, StorageFault
from tasks.record.without_key import is_rolling_back

Result = TypeVar("Result")
PATIENCE_SECONDS = 10.0
AWAY_SECONDS = 60.0
LOG = logging.getLogger("shipway")


@dataclass
class Budget:
    """How long this process still waits for answers that do not come."""

    spent_seconds: float = 0.0
    away_until: float = 0.0

    def left(self) -> float:
        """Give the seconds that are left; none while the storage counts as away."""
        if self.away_until and time.monotonic() >= self.away_until:
            self.spent_seconds = self.away_until = 0.0
        return 0.0 if self.away_until else PATIENCE_SECONDS - self.spent_seconds

    def spend(self, seconds: float) -> None:
        """Count seconds that were waited in vain."""
        self.spent_seconds += seconds
        if self.spent_seconds >= PATIENCE_SECONDS and not self.away_until:
            self.away_until = time.monotonic() + AWAY_SECONDS
            LOG.warning("the storage did not do its work for %g s; it counts as away for %g s", PATIENCE_SECONDS, AWAY_SECONDS)


@dataclass
class Budgets:
    """One for what is read, and one for what is written: an object that cannot be read may be where the next one belongs."""

    reads: Budget = field(default_factory=Budget)
    writes: Budget = field(default_factory=Budget)


_budgets = Budgets()  # of this process


class Patient:
    """Objects of a storage that is waited for within a budget; then each call fails at once.

    Args:
        objects: The storage.
        budgets: How long.
    """

    def __init__(self, objects: Objects, budgets: Budgets) -> None:
        """Keep both."""
        self.objects, self.budgets = objects, budgets
        self.name = objects.name

    async def read(self, path: str) -> bytes | None:
        """Read an object, see `Objects`."""
        return await self._ask(lambda: self.objects.read(path))

    async def create(self, path: str, content: bytes) -> bool:
        """Write a new object, see `Objects`."""
        return await self._ask(lambda: self.objects.create(path, content), writes=True)

    async def replace(self, path: str, content: bytes) -> None:
        """Write an object, see `Objects`."""
        await self._ask(lambda: self.objects.replace(path, content), writes=True)

    async def contents(self, folder: str, *, named: re.Pattern[str]) -> dict[str, bytes | Tampered] | None:
        """Read the objects of a folder, see `Objects`."""
        return await self._ask(lambda: self.objects.contents(folder, named=named))

    def may_wait(self, seconds: float) -> bool:
        """Say whether what was not written is tried again after this time, which counts as waited in vain."""
        if self._left(writes=True) <= seconds:
            return False
        self.budgets.writes.spend(seconds)
        return True

    def _left(self, *, writes: bool) -> float:
        return min(self.budgets.reads.left(), self.budgets.writes.left()) if writes else self.budgets.reads.left()

    async def _ask(self, ask: Callable[[], Awaitable[Result]], *, writes: bool = False) -> Result:
        left, began = self._left(writes=writes), time.monotonic()
        if left <= 0:
            raise StorageFault(f"the storage {self.name} counts as away: it did not do its work for {PATIENCE_SECONDS:g} s")
        asked = asyncio.ensure_future(ask())
        try:
            done, _ = await asyncio.wait({asked}, timeout=left)
        finally:
            asked.cancel()  # and not waited for: a thread that hangs in the storage cannot be ended
        fault = asked.exception() if done else StorageFault(f"the storage {self.name} did not answer within {left:.3g} s")
        if fault is None:
            return asked.result()
        if isinstance(fault, StorageFault):
            (self.budgets.writes if writes else self.budgets.reads).spend(time.monotonic() - began)
        raise fault


def patient(objects: Objects) -> Patient:
    """Give a storage for which this process waits ten seconds in all."""
    return Patient(objects, _budgets)


def patient_anew(objects: Objects) -> Patient:
    """Give a storage that is asked although it counted as away, for ten seconds of its own."""
    return Patient(objects, Budgets())


def as_patient_as_now(objects: Objects) -> Objects:
    """Give a storage as it is waited for now: within ten seconds in all by a rollback, else without a bound."""
    return patient(objects) if is_rolling_back() else objects


def forget_waits() -> None:
    """Forget what was waited for in vain, as a new process does."""
    _budgets.reads, _budgets.writes = Budget(), Budget()
