"""Things done side by side end together."""

from __future__ import annotations

import asyncio

import pytest

from blocks.errors import BadInput
from tasks.process.concurrency import to_its_end, together, turns, until_one


async def _say(word: str, seconds: float = 0.0) -> str:
    await asyncio.sleep(seconds)
    return word


async def test_what_each_gives_comes_in_order() -> None:
    """Whoever is done first."""
    assert await together(_say("a", 0.02), _say("b")) == ["a", "b"]
    assert await together() == []


@pytest.mark.parametrize("how", ["a failure", "a cancellation"])
async def test_nothing_goes_on_when_one_fails_or_all_are_ended(how: str) -> None:
    """The error is the first one's own, and is raised when the others have ended, with their clearing up."""
    said: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            said.append("ended")

    async def bad() -> None:
        await asyncio.sleep(0.01)
        if how == "a failure":
            raise BadInput("no", field="x", fix="y")
        await asyncio.sleep(60)

    work = asyncio.ensure_future(together(slow(), bad()))
    await asyncio.sleep(0.05)
    if how == "a cancellation":
        work.cancel()
    with pytest.raises(BadInput if how == "a failure" else asyncio.CancelledError):
        await work
    assert said == ["ended"]


async def test_the_first_result_that_ends_the_others_is_given_and_they_are_over() -> None:
    """Who was done before counts; who was in the middle has cleared up."""
    said: list[str] = []

    async def slow() -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            said.append("ended")
        return "slow"

    ending, found = await until_one(slow(), _say("early"), _say("bad", 0.03), ends=lambda one: one == "bad")
    assert (ending, found, said) == ("bad", ["early", "bad"], ["ended"])
    assert await until_one(_say("a", 0.02), _say("b"), ends=lambda _: False) == (None, ["a", "b"])


async def test_an_error_ends_the_others_too() -> None:
    """It is raised when they are over."""

    async def bad() -> str:
        await asyncio.sleep(0.01)
        raise BadInput("no", field="x", fix="y")

    slow = asyncio.ensure_future(_say("slow", 60))

    async def wait() -> str:
        return await slow

    with pytest.raises(BadInput):
        await until_one(wait(), bad(), ends=lambda _: False)
    assert slow.cancelled()


async def test_as_many_are_let_in_at_once_as_their_name_allows() -> None:
    """All who ask by one name share it, and other names are their own."""
    inside, most = 0, 0

    async def enter(name: str) -> None:
        nonlocal inside, most
        async with turns(name, at_once=2):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1

    await together(*(enter("few") for _ in range(6)))
    assert most == 2
    await together(*(enter(name) for name in ("few", "few", "more", "more")))
    assert most == 4


async def test_what_comes_to_its_end_does_so_however_often_it_is_cancelled() -> None:
    """Nothing happens behind the cancellation, and it goes on afterwards."""
    said: list[str] = []

    async def write() -> None:
        await asyncio.sleep(0.05)
        said.append("written")

    work = asyncio.ensure_future(to_its_end(write()))
    for _ in range(2):
        await asyncio.sleep(0.01)
        work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert said == ["written"]
    assert await to_its_end(_say("a")) == "a"
