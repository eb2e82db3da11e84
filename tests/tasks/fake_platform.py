"""A platform in memory, written by hand: it can be silent, and others can act on it between two looks.

It keeps the contract of `blocks/platform.py` (tests/platform_contract/test_fake.py), so it refuses what the real ones refuse.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from blocks.errors import BadInput, Refused, RolloutFailed, Superseded, Temporary, WorldMoved
from blocks.platform import Counts, Endpoints, Lease, LogLine, Position

OURS = Lease(owner="run-1", generation=1)
UNREACHABLE = "http://127.0.0.1:9"
ALL = 100


def counted(requests: int, errors: int = 0, *, started: str = "a") -> Counts:
    """Make one revision's counts, all quick."""
    return Counts(started=started, requests=requests, errors=errors, buckets={"0.3": requests, "+Inf": requests})


class FakePlatform:
    """Holds what it was told; `at_look` runs before each reading of the counts, with the number of that reading from 1.

    Fields:
        broken: Versions that cannot come up.
        ill: Versions that are not well as the baseline.
        interferes: What another makes of the position right after each effect.
    """

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
        self.broken: set[str] = set()
        self.ill: set[str] = set()
        self.is_rollback = [False]  # shared by the views of one environment
        self._ready()

    async def current(self) -> Position:
        """Read a copy."""
        return copy.deepcopy(self.position)

    async def acquire_lease(self, owner: str, *, takeover: bool = False) -> Lease:
        """Give a new lease."""
        self.calls.append(f"acquire_lease {owner} {takeover}")
        if self.position["owner"] not in {None, owner} and not takeover:
            raise Refused(f"the fake is owned by {self.position['owner']}")
        self.position.update(owner=owner, generation=self.position["generation"] + 1)
        self.is_rollback[0] = takeover
        return Lease(owner=owner, generation=self.position["generation"])

    async def release_lease(self, lease: Lease) -> None:
        """Give it up, if this lease still owns it."""
        self.calls.append(f"release_lease {lease['owner']}")
        if (self.position["owner"], self.position["generation"]) == (lease["owner"], lease["generation"]):
            self.position["owner"] = None

    async def prepare(self, version: str, lease: Lease, *, timeout_seconds: float) -> None:
        """Bring a canary up; none if the version serves already."""
        self._expect(lease)
        canary = None if version == self.position["baseline"] else version
        if self.position["canary"] not in {None, version} and self.position["baseline"] in self.ill:
            raise RolloutFailed(f"{self.position['baseline']} is not well")  # as it is gone to first
        if canary in self.broken:
            self._do(f"prepare {version} {lease['generation']} {timeout_seconds:g}", canary=None, percent=0)
            raise RolloutFailed(f"{version} does not come up", evidence=("exited with status 1",))
        self._do(f"prepare {version} {lease['generation']} {timeout_seconds:g}", canary=canary, percent=0)

    async def shift(self, percent: int, lease: Lease) -> None:
        """Move the traffic."""
        if not 0 <= percent <= ALL:
            raise BadInput(f"{percent} % is not a share", field="percent", fix="Give 0 to 100")
        self._expect(lease)
        if self.position["canary"] is None:
            raise WorldMoved("the fake has no canary")
        self._do(f"shift {percent} {lease['generation']}", percent=percent)

    async def promote(self, lease: Lease) -> None:
        """Make the canary the baseline, once it has all requests."""
        self._expect(lease)
        position = self.position.copy()
        if position["canary"] is None:
            self._do(f"promote {lease['generation']}")
            return
        if position["percent"] != ALL and position.get("under_way") != "promotion":
            raise WorldMoved(f"{position['canary']} does not get all requests; it cannot be made the baseline")
        previous = position["baseline"] or position["previous"]
        if self.is_rollback[0]:
            previous = None if position["previous"] == position["canary"] else position["previous"]
        self._do(f"promote {lease['generation']}", baseline=position["canary"], canary=None, percent=0, previous=previous)

    async def abort(self, lease: Lease, *, waits: bool = True) -> None:
        """Remove the canary; a baseline that is ill is waited for in vain."""
        self._expect(lease)
        if waits and self.position["canary"] and self.position["baseline"] in self.ill:
            raise RolloutFailed(f"{self.position['baseline']} is not well")
        self._do(f"abort {lease['generation']}", canary=None, percent=0)

    async def endpoints(self) -> Endpoints:
        """No one listens; the paths differ."""
        found = Endpoints(public=UNREACHABLE)
        if self.position["baseline"]:
            found["baseline"] = f"{UNREACHABLE}/baseline"
        if self.position["canary"]:
            found["canary"] = f"{UNREACHABLE}/canary"
        return found

    async def counts(self) -> dict[str, Counts]:
        """Let others act, then read."""
        self.looks += 1
        self.at_look(self.looks)
        return self.numbers.copy()

    async def progress(self) -> list[str]:
        """Say what runs."""
        return [f"{self.position['baseline']} serves; {self.position['canary']} gets {self.position['percent']} %"]

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
        """Hand over one line of each second."""
        for n in range(3):
            take(LogLine(at=since + n, version="1.1", text=f"line {n}"))
        return {}

    def serve(self, **numbers: Counts) -> None:
        """Set counts; names are versions with `_` for the dot and a `v` before."""
        self.numbers |= {name.removeprefix("v").replace("_", "."): counts for name, counts in numbers.items()}

    def silent(self) -> None:
        """Fail as a platform does that does not answer just now."""
        message = "the platform does not answer"
        raise Temporary(message, delay_seconds=0.01)

    def _expect(self, lease: Lease) -> None:
        if lease["generation"] < self.position["generation"]:
            raise Superseded(f"the fake was acquired by {self.position['owner']} under generation {self.position['generation']}")
        if (lease["owner"], lease["generation"]) != (self.position["owner"], self.position["generation"]):
            raise Refused(f"the fake is owned by {self.position['owner']}, not by {lease['owner']}")

    def _do(self, call: str, **changes: Any) -> None:
        self.calls.append(call)
        self.position.update(**(changes | self.interferes))
        self._ready()
        for version in self.position["ready"]:
            self.numbers.setdefault(version, counted(0))

    def _ready(self) -> None:
        self.position["ready"] = {version: True for version in (self.position["baseline"], self.position["canary"]) if version}
