"""What the contract asks of whoever tests a platform: an environment of it, versions to bring there, and a client that asks them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from blocks.platform import Lease, Platform

ALL = 100


class ContractEnvironment(ABC):
    """An environment of the platform under test. Subclass it, and give it to the contract as the fixture `environment`.

    Fields:
        first, second, third: Three versions that come up. `restore` makes the first one the baseline before each test.
        steps: Shares that the platform can make, rising; the last is 100.
        in_place: True if a version replaces the baseline in its own processes: `prepare` then only checks that it could come up, the
            first `shift` brings it up, and the revisions are not reached one beside the other.
        counts: False if the platform does not count requests; `counts()` is then empty.
        ready_seconds: Longest time in which a version comes up.
        settle_seconds: How long requests may still follow the previous share after an effect has returned: 0 if the platform splits them
            itself, the gateway's own delay if it tells a gateway.
        abandon_seconds: Moments after which a caller dies in the middle of an effect, shorter and longer than the effect's first requests.
    """

    first: str = "1.0"
    second: str = "1.1"
    third: str = "1.2"
    steps: tuple[int, ...] = (25, 50, ALL)
    in_place: bool = False
    counts: bool = True
    ready_seconds: float = 30
    settle_seconds: float = 0
    abandon_seconds: tuple[float, ...] = (0, 0.01, 0.1)

    @abstractmethod
    def platform(self) -> Platform:
        """Give a new instance that shares nothing with the previous ones but the environment, as another process would make it."""

    @abstractmethod
    async def ask(self, url: str) -> str:
        """Send one request over a new connection, and give the version that answered."""

    @abstractmethod
    def broken(self) -> tuple[Platform, str]:
        """Give an instance and a version that cannot come up through it."""

    def empty(self) -> Platform | None:
        """Give a platform whose environment never ran a version; None if the platform has no such thing."""
        return None

    async def write_line(self, url: str, text: str) -> bool:
        """Let the revision at a URL write a line that holds `text` to its own log; False if it cannot be made to."""
        del url, text
        return False

    async def make_ill(self, version: str) -> bool:
        """Let a version not be well until `restore`, whatever starts it; False if it cannot be made to."""
        del version
        return False

    async def deploy_by_hand(self, version: str) -> bool:
        """Let a version serve alone without the platform, as people do by hand; False if the platform names none that runs instead."""
        del version
        return False

    def job(self, *, succeeds: bool) -> dict[str, Any]:
        """Give the manifest of a Job, for a platform that runs them."""
        raise NotImplementedError(f"override `job` (succeeds={succeeds}): the platform runs Jobs")

    async def job_runs(self) -> int:
        """Say how many Jobs were begun so far, for a platform that runs them."""
        raise NotImplementedError("override `job_runs`: the platform runs Jobs")

    strategies: ClassVar[tuple[str, ...]] = ()
    """The names of the strategies, for a platform that has several."""

    async def restore(self) -> None:
        """Bring the environment to where each test begins: the first version serves alone, and has no owner."""
        platform = self.platform()
        lease = await platform.acquire_lease("restore", takeover=True)
        await platform.abort(lease)
        if (await platform.current())["baseline"] != self.first:
            await self.bring(lease, self.first, ALL)
            await platform.promote(lease)
        await platform.release_lease(lease)

    async def bring(self, lease: Lease, version: str, *shares: int) -> None:
        """Prepare a version, then give it these shares of the requests, each from a new instance."""
        await self.platform().prepare(version, lease, timeout_seconds=self.ready_seconds)
        for share in shares:
            await self.platform().shift(share, lease)

    async def expect_answers(self, *versions: str, number: int = 8) -> None:
        """Ask the service as users do, and expect that each of these versions answers and no other does, all within `settle_seconds`."""
        public, deadline = (await self.platform().endpoints())["public"], time.monotonic() + self.settle_seconds
        while (found := {await self.ask(public) for _ in range(number)}) != set(versions) and time.monotonic() < deadline:
            continue
        assert found == set(versions), f"{sorted(found)} answer, not {sorted(versions)}"

    async def abandon(self, seconds: float, effect: Callable[[], Awaitable[None]]) -> None:
        """Begin an effect, and let its caller die so many seconds later."""
        task = asyncio.ensure_future(effect())
        await asyncio.wait({task}, timeout=seconds)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


Act = Callable[[ContractEnvironment, Platform, Lease], Awaitable[None]]
ACTS: dict[str, Act] = {
    "prepare": lambda environment, platform, lease: platform.prepare(environment.third, lease, timeout_seconds=environment.ready_seconds),
    "shift": lambda environment, platform, lease: platform.shift(environment.steps[-1], lease),
    "promote": lambda _, platform, lease: platform.promote(lease),
    "abort": lambda _, platform, lease: platform.abort(lease),
}
"""Every effect that a lease fences, with what it is given."""
