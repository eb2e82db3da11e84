"""With shares, a rollback goes by what Shipway noted and ran itself: the bad version may answer `status`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Permanent, RolloutFailed, ShipwayError, Temporary
from blocks.platform import Lease, Position
from blocks.script import effects, run
from blocks.script.effects import Environment
from blocks.script.platform import ScriptPlatform
from blocks.script.reading import Observed
from blocks.script.run import Command, Ended
from blocks.script.state import Run
from blocks.script.words import OWED, Known, Running, position_of, read_status
from tasks.rollout.rollout import prepare_revision, promote_revision, shift_traffic
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback
from tasks.rules.rollout.waves import version_to_leave

ALL = 100
LIES = ["1.0", "2.0", "0.9", "7.7", "", "-", "2.0 1.0 0", "2.0 1.0 50", "2.0 1.0 100", "1.0 2.0 0", "1.0 2.0 100", "0.9 2.0 100", "- 2.0 0",
        "- 1.0 0", "- 1.0 100", "2.0 7.7 30", "2.0 0.9 100", "1.0 7.7 0"]  # fmt: skip


class World:
    """A split service whose scripts do as they are asked, at once and in this process, and a `status` that can lie."""

    def __init__(self, folder: Path) -> None:
        """Begin with 0.9."""
        self.folder, self.runs = folder, Running("0.9")
        self.acts: list[str] = []
        self.fails: set[str] = set()
        self.promotes = True
        self.lies: Iterator[str | ShipwayError] | None = None

    def platform(self) -> ScriptPlatform:
        """Give a new instance."""
        names = ("deploy", "shift", "rollback", "verify", "status", *(["promote"] if self.promotes else []))
        scripts = {name: ["true"] for name in names}
        address = "http://127.0.0.1:1"
        return ScriptPlatform(scripts=scripts, address=address, version_address=address + "/{version}", folder=str(self.folder / "notes"))

    def begin(self, _: Path, one: Run, command: Command, **__: Any) -> None:
        """Run a script: it acts, and may fail afterwards, as a promotion that retired the baseline."""
        assert command.words
        self.acts.append(f"{one['effect']} {one['version']}" + (f" {one['percent']}" if one["effect"] == "shift" else ""))
        self.runs = {
            "deploy": Running(self.runs.canary if self.runs.percent == ALL else self.runs.serves, one["version"]),
            "shift": self.runs._replace(percent=one["percent"]) if "shift" not in self.fails else self.runs,
            "promote": Running(one["version"]),
            "rollback": Running(one["previous"] or None),
        }[one["effect"]]

    def ended(self, _: Path, one: Run) -> Ended:
        """Say how it ended."""
        return Ended(exit_code=1 if one["effect"] in self.fails else 0)

    async def status(self) -> Running:
        """Say what runs, or the next lie."""
        if self.lies is None:
            return self.runs
        lie = next(self.lies, "2.0")
        if isinstance(lie, ShipwayError):
            raise lie
        return read_status(lie, splits=True)

    async def deploy(self, version: str, owner: str) -> None:
        """Release a version."""
        platform = self.platform()
        lease = await platform.acquire_lease(owner)
        await bring(platform, version, lease)
        await platform.release_lease(lease)

    async def roll_back(self, owner: str = "rollback", *, bad: str = "2.0") -> RollbackChoice:
        """Choose and act in the order of the flows."""
        platform = self.platform().rolling_back()
        lease = await platform.acquire_lease(owner, takeover=True)
        position = await platform.current()
        choice = chosen(position, bad)
        if choice.kind == "redeploy" and position["canary"] == choice.version:
            await platform.abort(lease)  # the flow keeps that no rollback started it
            choice = chosen(await platform.current(), bad)
        if choice.kind == "abort":
            await platform.abort(lease)
        elif choice.kind == "redeploy":
            await bring(platform, str(choice.version), lease)
        return choice

    async def on_demand(self) -> RollbackChoice:
        """Decide what is bad before the takeover, as a rollback that names nothing does, then choose and act."""
        position = await self.platform().rolling_back().current()
        bad = version_to_leave({"production": position}, to="previous")
        if chosen(position, bad=bad or "").kind != "nothing":
            return await self.roll_back("on demand", bad=bad or "")
        return RollbackChoice("nothing", position["baseline"], "refused")


def chosen(position: Position, bad: str = "2.0") -> RollbackChoice:
    """Choose as an automatic rollback from 2.0 does, or one on demand."""
    return choose_rollback(**{name: position[name] for name in ("baseline", "canary", "previous")}, bad=bad, to="previous")  # type: ignore[literal-required]


async def bring(platform: ScriptPlatform, version: str, lease: Lease) -> None:
    """Deploy, shift and promote, each read back as the flows do."""
    await prepare_revision.fn(platform, version=version, lease=lease, timeout_seconds=5, key="")
    await shift_traffic.fn(platform, version=version, percent=100, lease=lease, key="")
    await promote_revision.fn(platform, version=version, lease=lease, key="")


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
    """It named a canary that no one had prepared, which was the bad version then, and gone under the takeover: nothing was done."""

    async def course(one: World) -> None:
        await one.deploy("1.0", "first")
        await one.deploy("2.0", "second")
        one.acts, one.lies = [], iter(said)
        with suppress(RolloutFailed, Temporary):
            assert (await one.on_demand()).kind == "redeploy"
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
