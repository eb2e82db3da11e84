"""A platform in memory, written by hand: it can be silent, and others can act on it between two looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from blocks.errors import Temporary
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position

OURS = Lease(owner="run-1", generation=1)


def counted(requests: int, errors: int = 0, *, started: str = "a") -> Counts:
    """Make one revision's counts, all quick."""
    return Counts(started=started, requests=requests, errors=errors, buckets={"0.3": requests, "+Inf": requests})


class FakePlatform:
    """Holds what it was told; `at_look` runs before each reading of the counts, with the number of that reading from 1."""

    def __init__(self, baseline: str | None = "1.0", canary: str | None = "1.1", *, percent: int = 25, previous: str | None = None) -> None:
        """Stand as described, owned by `OURS`."""
        self.position = Position(
            baseline=baseline, canary=canary, percent=percent, ready={}, previous=previous, owner=OURS["owner"], generation=1
        )
        self.numbers: dict[str, Counts] = {version: counted(0) for version in (baseline, canary) if version}
        self.at_look: Callable[[int], None] = lambda _look: None
        self.looks = 0
        self.calls: list[str] = []
        self.interferes: dict[str, Any] = {}
        self._ready()

    async def current(self) -> Position:
        """Read a copy."""
        return self.position.copy()

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Give a new lease."""
        self.calls.append(f"claim {owner} {takeover}")
        self.position.update(owner=owner, generation=self.position["generation"] + 1)
        return Lease(owner=owner, generation=self.position["generation"])

    async def release_lease(self, lease: Lease) -> None:
        """Give it up."""
        self.calls.append(f"release_lease {lease['owner']}")
        self.position["owner"] = None

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Bring a canary up."""
        self._do(f"prepare {version} {lease['generation']} {timeout_seconds:g}", canary=version, percent=0)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Move the traffic."""
        self._do(f"shift {percent} {lease['generation']}", percent=percent)

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline."""
        self._do(f"promote {lease['generation']}", baseline=self.position["canary"] or self.position["baseline"], canary=None, percent=0)

    async def abort(self, lease: Lease) -> None:
        """Take the canary away."""
        self._do(f"abort {lease['generation']}", canary=None, percent=0)

    async def endpoints(self) -> Endpoints:
        """Nobody listens."""
        return Endpoints(public="http://127.0.0.1:9")

    async def counts(self) -> dict[str, Counts]:
        """Let others act, then read."""
        self.looks += 1
        self.at_look(self.looks)
        return self.numbers.copy()

    async def progress(self) -> list[str]:
        """Say nothing."""
        return []

    async def logs(self, since: float, *, limit: int = 500) -> list[LogLine]:
        """Log one line at each second."""
        return [LogLine(at=since + n, version="1.1", text=f"line {n}") for n in range(min(limit, 3))]

    def serve(self, **numbers: Counts) -> None:
        """Set counts; names are versions with `_` for the dot and a `v` before."""
        self.numbers |= {name.removeprefix("v").replace("_", "."): counts for name, counts in numbers.items()}

    def silent(self) -> None:
        """Fail as a platform does that does not answer just now."""
        message = "the platform does not answer"
        raise Temporary(message, delay_seconds=0.01)

    def _do(self, call: str, **changes: Any) -> None:
        self.calls.append(call)
        self.position.update(**(changes | self.interferes))
        self._ready()

    def _ready(self) -> None:
        self.position["ready"] = {version: True for version in (self.position["baseline"], self.position["canary"]) if version}
