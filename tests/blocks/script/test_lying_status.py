"""With shares, a rollback goes by what Shipway noted and ran itself: the bad version may answer `status`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import nullcontext, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Permanent, Refused, RolloutFailed, ShipwayError, Temporary
from blocks.script.words import OWED, Known, Running, position_of, read_status
from tests.blocks.script.worlds import World, bring, chosen, world

LIES = ["1.0", "2.0", "0.9", "7.7", "", "-", "2.0 1.0 0", "2.0 1.0 50", "2.0 1.0 100", "1.0 2.0 0", "1.0 2.0 100", "0.9 2.0 100", "- 2.0 0",
        "- 1.0 0", "- 1.0 100", "2.0 7.7 30", "2.0 0.9 100", "1.0 7.7 0"]  # fmt: skip


@pytest.mark.parametrize("said", [None, *LIES])
def test_a_release_whose_promote_retired_the_baseline_and_failed_is_rolled_back_to_it(said: str | None) -> None:
    """To the version that served when it began, by `status` right or wrong; it went to the one before that."""

    async def course(one: World) -> None:
        await one.deploy("1.0", "first")
        one.fails = {"promote"}
        with pytest.raises(RolloutFailed):
            await one.deploy("2.0", "second")
        one.fails, one.acts = set(), []
        platform = one.platform().rolling_back()
        await platform.acquire_lease("rollback", takeover=True)
        one.lies = None if said is None else iter([said])
        choice = chosen(await platform.current())
        assert (choice.kind in {"abort", "redeploy"}, choice.version) == (True, "1.0")
        one.lies = None
        await one.roll_back()
        position = await one.platform().current()
        assert (one.runs, position["baseline"], position["previous"]) == (Running("1.0"), "1.0", None)
        assert one.acts == ["deploy 1.0", "shift 1.0 100", "promote 1.0"]

    with world() as one:
        asyncio.run(course(one))


@given(st.sampled_from([0, 10, 100]), st.sampled_from(LIES))
def test_no_status_keeps_a_release_that_was_not_promoted_from_being_aborted(percent: int, said: str) -> None:
    """At each share: the baseline is warm, and one switch brings it back."""

    async def course(one: World) -> None:
        await one.deploy("1.0", "first")
        platform = one.platform()
        lease = await platform.acquire_lease("second")
        await platform.prepare("2.0", lease, timeout_seconds=5)
        if percent:
            await platform.shift(percent, lease)
        one.acts, one.lies = [], iter([said] * 100)
        with pytest.raises(RolloutFailed) if said != "1.0" else nullcontext():
            await one.roll_back()
        assert (one.runs, one.acts) == (Running("1.0"), ["rollback 2.0"])

    with world() as one:
        asyncio.run(course(one))


TOLD = ["2.0"] * 3 + ["2.0 1.0 0"] * 6 + ["2.0 1.0 100"] * 4 + ["1.0"] * 20


UNREADABLE = [Permanent("exited with 7"), Temporary("timed out")]


@pytest.mark.parametrize("promotes", [True, False], ids=["promote", "without promote"])
@pytest.mark.parametrize(
    "said", [TOLD, *([one] * 100 for one in (*LIES, *UNREADABLE))], ids=["as each act wants it", *map(str, (*LIES, *UNREADABLE))]
)
def test_whatever_constant_status_prints_or_raises_a_rollback_runs_all_its_scripts(
    said: Sequence[str | ShipwayError], *, promotes: bool
) -> None:
    """The earlier version has all requests at its end; whether that is told as proved is another matter."""
    expect_scripts(said, promotes=promotes)


@given(st.lists(st.sampled_from([*LIES, *UNREADABLE]), min_size=30, max_size=30))
def test_whatever_status_says_at_each_reading_a_rollback_runs_the_scripts_of_its_version_once(said: Sequence[str | ShipwayError]) -> None:
    """All of them, one after the other; no other script is run, and none twice."""
    expect_scripts(said)


@given(st.lists(st.sampled_from([*LIES, *UNREADABLE]), min_size=30, max_size=30))
def test_whatever_status_says_at_each_reading_also_before_the_takeover_a_rollback_on_demand_acts(
    said: Sequence[str | ShipwayError],
) -> None:
    """It named a canary that no one had prepared, which was the bad version then, and gone under the takeover: nothing was done.

    Another version in the place of the one that was deployed last asks for a name; with one it acts.
    """

    async def course(one: World) -> None:
        await one.deploy("1.0", "first")
        await one.deploy("2.0", "second")
        one.acts, one.lies = [], iter(said)
        with suppress(RolloutFailed, Temporary):
            try:
                choice = await one.on_demand()
            except Refused:
                choice = await one.on_demand(bad="2.0")
            assert choice.kind == "redeploy"
        assert one.acts == ["deploy 1.0", "shift 1.0 100", "promote 1.0"]

    with world() as one:
        asyncio.run(course(one))


def expect_scripts(said: Sequence[str | ShipwayError], *, promotes: bool = True) -> None:
    """Roll back from 2.0, which was promoted and answers `status`; and once more, if that is told as failed."""
    wanted = ["deploy 1.0", "shift 1.0 100", *(["promote 1.0"] if promotes else [])]

    async def course(one: World) -> None:
        one.promotes = promotes
        await one.deploy("1.0", "first")
        await one.deploy("2.0", "second")
        one.acts, one.lies = [], iter(said)
        with suppress(RolloutFailed, Temporary):
            choice = await one.roll_back()
            assert choice.version == "1.0"
        assert one.acts == wanted
        assert (one.runs.canary, one.runs.percent) == ("1.0", 100) if not promotes else one.runs == Running("1.0")
        one.lies = None
        position = await one.platform().rolling_back().current()
        if position["baseline"] != "1.0":  # its end was not proved: another one does not find that nothing is left to do
            assert chosen(position).kind == "redeploy"
            await bring(one.platform(), "1.0", await one.platform().acquire_lease("another", takeover=True))
        position = await one.platform().current()
        assert (position["baseline"], position["canary"], "trouble" in position) == ("1.0", None, False)

    with world() as one:
        asyncio.run(course(one))


@given(st.sampled_from(LIES), st.booleans())
def test_with_shift_owed_no_status_makes_the_canary_the_baseline(said: str, took_over: bool) -> None:  # noqa: FBT001 - a property
    """A rollback whose shift failed is not over, whatever the bad version says to the next one."""
    for owed in ([*OWED], [*OWED[1:]]):
        known = Known(baseline="2.0", canary="1.0", previous=None, touched=True, owed=owed, rollback=took_over)
        found = position_of(known, read_status(said, splits=True), splits=True, owner=None, generation=3)
        assert (found["baseline"], found["canary"]) == ("2.0", "1.0")


def test_the_next_rollback_after_a_shift_that_failed_begins_it_anew() -> None:
    """It said that all was well, as 2.0 then answered with the name of 1.0."""

    async def course(one: World) -> None:
        await one.deploy("1.0", "first")
        await one.deploy("2.0", "second")
        one.fails = {"shift"}
        with pytest.raises(RolloutFailed):
            await one.roll_back()
        one.fails, one.acts, one.lies = set(), [], iter(["1.0"])
        platform = one.platform().rolling_back()
        lease = await platform.acquire_lease("another", takeover=True)
        choice = chosen(await platform.current())
        assert (choice.kind, choice.version) == ("redeploy", "1.0")
        one.lies = None
        await bring(platform, "1.0", lease)
        assert one.runs == Running("1.0")
        assert one.acts[-2:] == ["shift 1.0 100", "promote 1.0"]

    with world() as one:
        asyncio.run(course(one))
