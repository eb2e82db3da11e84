"""Things done side by side end together."""

from __future__ import annotations

import asyncio

import pytest

from tasks.rules.errors import BadInput
from tasks.together import together


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
            raise BadInput("no", field="x", mend="y")
        await asyncio.sleep(60)

    work = asyncio.ensure_future(together(slow(), bad()))
    await asyncio.sleep(0.05)
    if how == "a cancellation":
        work.cancel()
    with pytest.raises(BadInput if how == "a failure" else asyncio.CancelledError):
        await work
    assert said == ["ended"]
