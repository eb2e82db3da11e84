"""A rollback's script takes turns with present secrets, which may be what others wrote; they use up no try of the release's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from blocks.errors import RolloutFailed, Temporary
from blocks.script.run import TEMPFAIL, Ended
from blocks.script.words import Running
from tests.blocks.script.worlds import bring, chosen, world

ENDINGS = {
    "exits with 0": Ended(exit_code=0),
    "exits with 1": Ended(exit_code=1),
    "is killed": Ended(exit_code=-9),
    "timed out": Ended(timed_out=True),
    "cannot be run": Ended(not_run="Exec format error"),
    "is gone": Ended(is_known=False),
    "asks again": Ended(exit_code=TEMPFAIL),
}
ACTS = [(True, "deploy"), (True, "shift"), (True, "promote"), (True, "rollback"), (False, "deploy"), (False, "rollback")]


async def twice(what: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
    """Try an effect once more if it asks for that, as a flow's retries do."""
    try:
        return await what(*args, **more)
    except Temporary:
        return await what(*args, **more)


@pytest.mark.parametrize("elsewhere", ENDINGS)
@pytest.mark.parametrize(("splits", "effect"), ACTS, ids=[f"{effect}, {'shares' if splits else 'one step'}" for splits, effect in ACTS])
def test_whatever_a_run_with_present_secrets_does_those_of_the_release_are_tried_twice(
    effect: str, elsewhere: str, *, splits: bool
) -> None:
    """One passing fault of the first run; the second one with the release's own secrets does it, and the rollback ends well."""

    async def course() -> None:
        with world() as one:
            one.splits = splits
            await one.deploy("1.0", "first")
            if effect != "rollback":
                await one.deploy("2.0", "second")
            else:
                platform = one.platform()
                lease = await platform.acquire_lease("second")
                await platform.prepare("2.0", lease, timeout_seconds=5)
                await platform.shift(100, lease)
            one.acts, one.fails_once, one.elsewhere = [], effect, ENDINGS[elsewhere]
            platform = one.platform().rolling_back()
            lease = await platform.acquire_lease("rollback", takeover=True)
            await (twice(platform.abort, lease) if effect == "rollback" else bring(platform, "1.0", lease, by=twice))
            assert one.runs == Running("1.0")
            tries = [act for act in one.acts if act.startswith(effect)]
            assert ["elsewhere" in act for act in tries] == [False, True, False]
            assert chosen(await one.platform().current()).kind == "nothing"

    asyncio.run(course())


@pytest.mark.parametrize("said", [None, "1.0", "2.0 1.0 100"])
@pytest.mark.parametrize("effect", ["deploy", "shift", "promote"])
def test_a_rollbacks_script_that_is_gone_without_an_exit_code_is_run_again(effect: str, said: str | None) -> None:
    """As one that failed: `status` may say that it was done."""

    async def course() -> None:
        with world() as one:
            await one.deploy("1.0", "first")
            await one.deploy("2.0", "second")
            one.acts, one.fails_once, one.how = [], effect, Ended(is_known=False)
            one.lies = None if said is None else iter([said] * 99)
            with suppress(RolloutFailed):
                await one.roll_back()
            assert [act.split()[0] for act in one.acts].count(effect) == 2
            assert one.runs == Running("1.0")

    asyncio.run(course())


def test_secrets_that_were_rotated_serve_though_status_does_not_say_so_between_scripts() -> None:
    """Where the release's own are refused each time, the last try decides by its exit code, as any other."""

    async def course() -> None:
        with world() as one:
            await one.deploy("1.0", "first")
            await one.deploy("2.0", "second")
            one.acts, one.fails, one.elsewhere = [], {"deploy"}, Ended(exit_code=0)
            one.lies = iter(["2.0"] * 99)
            platform = one.platform().rolling_back()
            lease = await platform.acquire_lease("rollback", takeover=True)
            with suppress(RolloutFailed):
                await bring(platform, "1.0", lease)
            assert one.acts[:5] == ["deploy 1.0", "deploy 1.0 elsewhere"] * 2 + ["shift 1.0 100"]

    asyncio.run(course())
