"""The promises of readings: what is there, where it is reached, what it answered and what it wrote; none of them changes anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from blocks.platform import LogLine, Platform
from tests.platform_contract.effects import where
from tests.platform_contract.environment import ALL, ContractEnvironment

PATIENCE_SECONDS = 15.0


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what a platform may show a moment later."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens outside of this process
            await asyncio.sleep(0.05)


class ReadingContract:
    """What a platform says."""

    async def test_it_has_every_method(self, environment: ContractEnvironment) -> None:
        """The protocol can be checked without being called."""
        assert isinstance(environment.platform(), Platform)

    async def test_the_position_of_a_service_that_only_serves(self, environment: ContractEnvironment) -> None:
        """Plain values, whole: versions are text, the share is a whole number, readiness covers exactly what is there."""
        position = await environment.platform().current()
        assert set(position) == {"baseline", "canary", "percent", "ready", "previous", "owner", "generation"}
        assert (where(position), position["ready"], position["owner"]) == ((environment.first, None, 0), {environment.first: True}, None)
        assert type(position["percent"]) is type(position["generation"]) is int
        assert position["previous"] is None or isinstance(position["previous"], str)
        assert await environment.platform().current() == position

    async def test_an_environment_without_a_version_says_so_and_takes_its_first_one(self, environment: ContractEnvironment) -> None:
        """Nothing serves, nothing came before; the first version passes through the same effects."""
        platform = environment.empty()
        if platform is None:
            pytest.skip("this platform always has a version")
        position = await platform.current()
        assert (where(position), position["ready"], position["previous"], position["owner"]) == ((None, None, 0), {}, None, None)
        assert await platform.counts() == {}
        lease = await platform.acquire_lease("run-1")
        await platform.prepare(environment.first, lease, timeout_seconds=environment.ready_seconds)
        assert where(await platform.current()) == (None, environment.first, 0)
        await platform.shift(ALL, lease)
        await platform.promote(lease)
        position = await platform.current()
        assert (where(position), position["previous"]) == ((environment.first, None, 0), None)

    async def test_each_revision_is_reached_at_an_address_of_its_own(self, environment: ContractEnvironment) -> None:
        """Whatever share the canary has; a revision that does not run has no address."""
        endpoints = await environment.platform().endpoints()
        assert set(endpoints) == {"public", "baseline"}
        assert [await environment.ask(endpoints["public"]), await environment.ask(endpoints["baseline"])] == [environment.first] * 2
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second)
        for share in (0, ALL):
            if share:
                await environment.platform().shift(share, lease)
            wanted = {"baseline": environment.first, "canary": environment.second}
            if environment.in_place:
                del wanted["baseline" if share else "canary"]
            endpoints = await environment.platform().endpoints()
            found = {role: await environment.ask(str(url)) for role, url in endpoints.items() if role != "public"}
            assert found == wanted

    async def test_requests_are_counted_by_the_version_that_answered(self, environment: ContractEnvironment) -> None:
        """Counts rise by what was asked, and the histogram holds no more than was counted."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second, ALL)
        if not environment.counts:
            assert await environment.platform().counts() == {}
            return
        await environment.expect_answers(environment.second)
        before = await environment.platform().counts()
        await environment.expect_answers(environment.second, number=10)

        async def counted() -> bool:
            now = await environment.platform().counts()
            return now[environment.second]["requests"] - before[environment.second]["requests"] >= 10

        await until(counted)
        now = await environment.platform().counts()
        assert set(now) == {environment.first, environment.second}
        assert now[environment.second]["requests"] == before[environment.second]["requests"] + 10
        assert now[environment.first] == before[environment.first]
        for counts in now.values():
            assert counts["started"]
            assert 0 <= counts["errors"] <= counts["requests"]
            assert list(counts["buckets"])[-1] == "+Inf"
            assert list(counts["buckets"].values()) == sorted(counts["buckets"].values())
            assert counts["buckets"]["+Inf"] <= counts["requests"]

    async def test_progress_is_told_in_lines(self, environment: ContractEnvironment) -> None:
        """An operator reads which versions are there."""
        lease = await environment.platform().acquire_lease("run-1")
        await environment.bring(lease, environment.second)
        lines = await environment.platform().progress()
        assert all(isinstance(line, str) and "\n" not in line for line in lines)
        assert environment.first in " ".join(lines)
        assert environment.second in " ".join(lines)

    async def test_logs_are_handed_over_since_a_moment_by_version(self, environment: ContractEnvironment) -> None:
        """A line that was written is there with its version and its moment, each version's oldest first; nothing is left out."""

        async def lines_since(moment: float) -> list[LogLine]:
            found: list[LogLine] = []
            assert await environment.platform().logs(moment, found.append) == {}
            return found

        began, url = time.time(), (await environment.platform().endpoints())["baseline"]
        if not await environment.write_line(url, "contract-line-1"):
            pytest.skip("this platform's versions cannot be made to write a line")

        async def written() -> bool:
            return any("contract-line-1" in line["text"] for line in await lines_since(began - 1))

        await until(written)
        lines = await lines_since(began - 1)
        (line,) = [line for line in lines if "contract-line-1" in line["text"]]
        assert line["version"] == environment.first
        assert began - 1 <= line["at"] <= time.time() + 1
        ours = [one["at"] for one in lines if one["version"] == environment.first]
        assert ours == sorted(ours)
        assert all(one["at"] >= began - 1 for one in lines)
        assert await lines_since(time.time() + 3_600) == []
