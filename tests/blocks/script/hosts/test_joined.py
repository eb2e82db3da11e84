"""Readings that are asked for at the same moment are one, which begins after all have asked."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable

import pytest

from blocks.errors import Unreachable
from blocks.script.hosts.joined import Joined


def counting(*, fails: bool = False) -> tuple[Joined[int], Callable[[], int]]:
    """Give readings that say their number, and how many were made."""
    made = 0

    async def read() -> int:
        nonlocal made
        made += 1
        number = made
        await asyncio.sleep(0.05)
        if fails:
            raise Unreachable("web-1 does not answer")
        return number

    return Joined(None, read), lambda: made


async def test_who_asks_at_the_same_moment_gets_one_reading() -> None:
    """And who asks later another one."""
    joined, made = counting()
    assert await asyncio.gather(joined.get(), joined.get(), joined.get()) == [1, 1, 1]
    assert (await joined.get(), made()) == (2, 2)


async def test_who_asks_after_a_reading_began_gets_a_newer_one() -> None:
    """What has changed since is seen: a shift that is over must not be read as it was before."""
    joined, made = counting()
    first = asyncio.create_task(joined.get())
    while not made():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0.001)
    assert (await joined.get(), await first) == (2, 1)


async def test_one_who_is_cancelled_leaves_the_reading_to_the_others_and_an_error_is_for_all() -> None:
    """Also an error that no one waits for is said to no one."""
    joined, _ = counting()
    tasks = [asyncio.create_task(joined.get()) for _ in range(2)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await tasks[1] == 1
    failing, _ = counting(fails=True)
    found = await asyncio.gather(failing.get(), failing.get(), return_exceptions=True)
    assert [type(one) for one in found] == [Unreachable, Unreachable]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(failing.get(), 0.03)
    await asyncio.sleep(0.06)


def test_a_reading_serves_several_loops_and_a_copy_none() -> None:
    """As of a block that is used in one `asyncio.run` after the other."""
    joined, _ = counting()
    assert [asyncio.run(joined.get()) for _ in range(2)] == [1, 2]
    assert copy.deepcopy({"joined": joined}) == {"joined": None}
