"""The platform in memory, on which tasks are tested, keeps the contract: what passes on it meets no surprise on a real one."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from itertools import count

import pytest

from blocks.platform import LogLine
from tests.platform_contract.contract import PlatformContract
from tests.platform_contract.environment import ALL, ContractEnvironment
from tests.tasks.fake_platform import OURS, UNREACHABLE, FakePlatform, counted


class Serving(FakePlatform):
    """A fake whose revisions are asked and write lines."""

    lines: list[LogLine]

    async def logs(self, since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
        """Hand over what was written."""
        for line in self.lines:
            if line["at"] >= since:
                take(line)
        return {}


class FakeContractEnvironment(ContractEnvironment):
    """One fake; its instances share the position and the counts, as those of a real platform share the environment."""

    def __init__(self) -> None:
        """Begin with a baseline alone."""
        self.fake, self.asked = Serving(baseline=self.first, canary=None, percent=0), count()
        self.fake.position["owner"] = None
        self.fake.lines = []

    def platform(self) -> Serving:
        """Give another view of the same."""
        return copy.copy(self.fake)

    def broken(self) -> tuple[Serving, str]:
        """Give one through which a version does not come up."""
        platform = self.platform()
        platform.broken = {self.second}
        return platform, self.second

    async def make_ill(self, version: str) -> bool:
        """Let it be so."""
        self.fake.ill.add(version)
        return True

    def empty(self) -> FakePlatform:
        """Give one that no one used."""
        platform = FakePlatform(baseline=None, canary=None, percent=0)
        platform.position["owner"] = None
        return platform

    async def ask(self, url: str) -> str:
        """Answer in the place of a version, by the share in force, and count it."""
        position = self.fake.position
        to_canary = url.endswith("/canary") or (url == UNREACHABLE and next(self.asked) * 37 % ALL < position["percent"])
        version = str(position["canary"] if to_canary else position["baseline"])
        if url == UNREACHABLE:
            before = self.fake.numbers.get(version, counted(0))
            self.fake.numbers[version] = counted(before["requests"] + 1)
        return version

    async def write_line(self, url: str, text: str) -> bool:
        """Write it, with an earlier one before."""
        version = await self.ask(url)
        self.fake.lines += [LogLine(at=time.time(), version=version, text=line) for line in ("before", text)]
        return True


class TestFakePlatform(PlatformContract):
    """Keeps every promise in memory."""

    @pytest.fixture
    async def environment(self) -> FakeContractEnvironment:
        """Give a new one."""
        return FakeContractEnvironment()


def test_the_owner_that_tasks_act_as_holds_the_lease() -> None:
    """Tests of tasks act under `OURS` from the beginning."""
    position = FakePlatform().position
    assert (position["owner"], position["generation"]) == (OURS["owner"], OURS["generation"])
