"""What others deployed by hand is rolled back to what they replaced, by a name: the bad version may say another one of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from blocks.errors import Refused, WorldMoved
from blocks.script.words import Running
from tests.blocks.script.worlds import World, world

ASKED: list[tuple[dict[str, str], str]] = [({"bad": "1.1"}, "1.0"), ({"to": "1.0"}, "1.0"), ({"bad": "1.1", "to": "1.0"}, "1.0"),
         ({"bad": "1.0"}, "0.9"), ({"to": "0.9"}, "0.9")]  # fmt: skip


def run(course: Callable[[World], Awaitable[None]], *, splits: bool) -> None:
    """Release 1.0 over 0.9 and have others deploy 1.1."""

    async def whole() -> None:
        with world() as one:
            one.splits = splits
            await one.deploy("1.0", "first")
            one.acts, one.runs = [], Running("1.1")
            await course(one)

    asyncio.run(whole())


@pytest.mark.parametrize("splits", [True, False], ids=["shares", "one step"])
def test_a_rollback_that_names_nothing_asks_for_a_name_if_others_replaced_what_was_deployed(*, splits: bool) -> None:
    """It went to the version before the one that they replaced."""

    async def course(one: World) -> None:
        with pytest.raises(Refused, match=r"If 1\.0 is bad, `--bad 1\.0` returns to 0\.9; if 1\.1 .*`--bad 1\.1` .* returns to 1\.0"):
            await one.on_demand()
        assert (one.acts, one.runs) == ([], Running("1.1"))

    run(course, splits=splits)


@pytest.mark.parametrize("splits", [True, False], ids=["shares", "one step"])
@pytest.mark.parametrize(("asked", "ends"), ASKED, ids=[str(asked) for asked, _ in ASKED])
def test_with_a_name_it_goes_where_that_says(asked: dict[str, str], ends: str, *, splits: bool) -> None:
    """By scripts, to the version that they replaced, which is noted as what serves; or to an older one, if that was named."""

    async def course(one: World) -> None:
        await one.on_demand(**asked)
        scripts = [f"deploy {ends}", f"shift {ends} 100", f"promote {ends}"]
        assert (one.acts, one.runs) == (scripts if splits else scripts[:1], Running(ends))
        position = await one.platform().current()
        before = "0.9" if ends == "1.0" else None
        assert (position["baseline"], position["canary"], position["previous"]) == (ends, None, before)
        assert not {"instead", "trouble"} & set(position)

    run(course, splits=splits)


@pytest.mark.parametrize("splits", [True, False], ids=["shares", "one step"])
def test_one_that_was_deployed_before_serves_again_without_a_name(*, splits: bool) -> None:
    """Both ways lead to it: others brought it back, or the bad version says so."""

    async def course(one: World) -> None:
        one.runs = Running("0.9")
        assert (await one.on_demand()).version == "0.9"
        assert one.acts[0] == "deploy 0.9"

    run(course, splits=splits)


@pytest.mark.parametrize("readings", range(1, 7))
@pytest.mark.parametrize("splits", [True, False], ids=["shares", "one step"])
def test_a_status_that_changes_its_mind_lets_no_rollback_end_well_without_a_script(readings: int, *, splits: bool) -> None:
    """At whichever reading, also the one behind the choice."""

    async def course(one: World) -> None:
        one.lies = iter(["1.1"] * readings + ["1.0"] * 99)
        with suppress(WorldMoved):
            choice = await one.on_demand(bad="1.1")
            assert (choice.kind == "nothing") == (one.acts == [])  # which the flow ends as refused

    run(course, splits=splits)
