"""With shares, a rollback goes by what Shipway noted and ran itself: the bad version may answer `status`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import RolloutFailed, ShipwayError
from blocks.platform import Lease, Position
from blocks.script import effects, run
from blocks.script.effects import Environment
from blocks.script.platform import ScriptPlatform
from blocks.script.reading import Observed
from blocks.script.run import Command, Ended
from blocks.script.state import Run
from blocks.script.words import OWED, Known, Running, position_of, read_status
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback

LIES = ["1.0", "2.0", "0.9", "7.7", "", "-", "2.0 1.0 0", "2.0 1.0 50", "2.0 1.0 100", "1.0 2.0 0", "1.0 2.0 100", "0.9 2.0 100", "- 2.0 0",
        "- 1.0 0", "- 1.0 100", "2.0 7.7 30", "2.0 0.9 100", "1.0 7.7 0"]  # fmt: skip


class World:
    """A split service whose scripts do as they are asked, at once and in this process, and a `status` that can lie."""

    def __init__(self, folder: Path) -> None:
        """Begin with 0.9."""
        self.folder, self.runs = folder, Running("0.9")
        self.acts: list[str] = []
        self.fails: set[str] = set()
        self.lies: Iterator[str] | None = None

    def platform(self) -> ScriptPlatform:
        """Give a new instance."""
        scripts = {name: ["true"] for name in ("deploy", "shift", "promote", "rollback", "verify", "status")}
        address = "http://127.0.0.1:1"
        return ScriptPlatform(scripts=scripts, address=address, version_address=address + "/{version}", folder=str(self.folder / "notes"))

    def begin(self, _: Path, one: Run, command: Command, **__: Any) -> None:
        """Run a script: it acts, and may fail afterwards, as a promotion that retired the baseline."""
        assert command.words
        self.acts.append(f"{one['effect']} {one['version']}" + (f" {one['percent']}" if one["effect"] == "shift" else ""))
        self.runs = {
            "deploy": self.runs._replace(canary=one["version"], percent=0),
            "shift": self.runs._replace(percent=one["percent"]) if "shift" not in self.fails else self.runs,
            "promote": Running(one["version"]),
            "rollback": Running(one["previous"] or None),
        }[one["effect"]]

    def ended(self, _: Path, one: Run) -> Ended:
        """Say how it ended."""
        return Ended(exit_code=1 if one["effect"] in self.fails else 0)

    async def status(self) -> Running:
        """Say what runs, or the next lie."""
        return self.runs if self.lies is None else read_status(next(self.lies, "2.0"), splits=True)

    async def deploy(self, version: str, owner: str) -> None:
        """Release a version."""
        platform = self.platform()
        lease = await platform.acquire_lease(owner)
        await bring(platform, version, lease)
        await platform.release_lease(lease)

    async def roll_back(self, owner: str = "rollback") -> RollbackChoice:
        """Choose and act in the order of the flows."""
        platform = self.platform().rolling_back()
        lease = await platform.acquire_lease(owner, takeover=True)
        position = await platform.current()
        choice = chosen(position)
        if choice.kind == "redeploy" and position["canary"] == choice.version:
            await platform.abort(lease)  # the flow keeps that no rollback started it
            choice = chosen(await platform.current())
        if choice.kind == "abort":
            await platform.abort(lease)
        elif choice.kind == "redeploy":
            await bring(platform, str(choice.version), lease)
        return choice


def chosen(position: Position) -> RollbackChoice:
    """Choose as an automatic rollback from 2.0 does."""
    return choose_rollback(**{name: position[name] for name in ("baseline", "canary", "previous")}, bad="2.0", to="previous")  # type: ignore[literal-required]


async def bring(platform: ScriptPlatform, version: str, lease: Lease) -> None:
    """Deploy, shift and promote."""
    await platform.prepare(version, lease, timeout_seconds=5)
    await platform.shift(100, lease)
    await platform.promote(lease)


@contextmanager
def world() -> Iterator[World]:
    """Give a world in which no process is started."""

    async def well(*_: Any, **__: Any) -> str:
        return ""

    async def nothing(*_: Any, **__: Any) -> None:
        return None

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        found = World(Path(folder))
        patch.setattr(effects, "AGAIN_SECONDS", 0)
        patch.setattr(Environment, "check_programs", nothing)
        patch.setattr(Observed, "ill", well)
        patch.setattr(Observed, "status", lambda _: found.status())
        patch.setattr(run, "begin", found.begin)
        patch.setattr(run, "ended", found.ended)
        patch.setattr(run, "follow", nothing)
        patch.setattr(run, "is_under_way", lambda *_: False)
        yield found


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


@pytest.mark.parametrize("said", [TOLD, *([one] * 100 for one in LIES)], ids=["as each act wants it", *LIES])
def test_no_constant_status_keeps_a_rollback_from_its_first_script(said: Sequence[str]) -> None:
    """Whatever it prints; what the script leaves unproved is a failed rollback, which people are told."""
    expect_scripts(said)


@given(st.lists(st.sampled_from(LIES), min_size=30, max_size=30))
def test_whatever_status_prints_at_each_reading_a_rollback_runs_the_scripts_of_its_version_once(said: Sequence[str]) -> None:
    """One that ends well ran deploy, shift and promote; no other script is run, and none twice."""
    expect_scripts(said)


def expect_scripts(said: Sequence[str]) -> None:
    """Roll back from 2.0, which was promoted and answers `status`."""
    wanted = ["deploy 1.0", "shift 1.0 100", "promote 1.0"]

    async def course(one: World) -> None:
        await one.deploy("1.0", "first")
        await one.deploy("2.0", "second")
        one.acts, one.lies = [], iter(said)
        try:
            choice = await one.roll_back()
        except ShipwayError:
            assert one.acts
            assert one.acts == wanted[: len(one.acts)]
            return
        assert (choice.version, one.acts, one.runs) == ("1.0", wanted, Running("1.0"))

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
