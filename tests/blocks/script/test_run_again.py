"""A script that failed is run again as often as plan and people let it, and not once more; a rollback's asks no one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import RolloutFailed, ScriptFailed
from blocks.platform import Lease
from blocks.run_again import Allowed, RunsAgain
from blocks.script import effects
from blocks.script.platform import ScriptPlatform
from tests.blocks.script.apps import App, make_app

pytestmark = pytest.mark.slow


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> App:
    """Give an environment in which 1.0 runs."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0.01)
    return make_app(tmp_path)


def allowing(app: App, retries: int = 0, by_people: Mapping[str, int] | None = None, **more: Any) -> ScriptPlatform:
    """Give the platform as a release has it."""
    return app.platform(**more).running_again(Allowed(retries, by_people or {}))


async def fails(platform: ScriptPlatform, lease: Lease, percent: int = 100) -> ScriptFailed:
    """Shift, and give how its script failed."""
    with pytest.raises(ScriptFailed) as caught:
        await platform.shift(percent, lease)
    return caught.value


async def test_left_out_a_script_that_failed_is_not_run_again(app: App) -> None:
    """And what failed says what it was, how often, and its last lines."""
    lease = await app.begin("1.1-fails")
    assert isinstance(app.platform(), RunsAgain)
    for _ in range(2):
        error = await fails(app.platform(), lease)
        assert (error.act, error.step, error.runs, error.lines) == ("deploy 1.1-fails", "deploy", 1, ("no space left on device",))
    assert app.lines("deployed") == ["1.1-fails"]


async def test_by_the_plan_it_is_run_again_so_often_and_then_people_may_let_it(app: App) -> None:
    """Each answer is good for one run, whoever asks again after a crash."""
    lease = await app.begin("1.1-fails")
    for _ in range(2):
        assert (await fails(allowing(app, 2), lease)).runs == 3
    for runs in (3, 4):
        for _ in range(2):
            error = await fails(allowing(app, 2, {"deploy 1.1-fails": runs}), lease)
            assert error.runs == runs + 1
    assert len(app.lines("deployed")) == 5
    assert (await fails(allowing(app, 2, {"deploy 1.1": 9}), lease)).runs == 5


async def test_a_second_run_that_does_it_is_enough(app: App) -> None:
    """The version is the canary with all requests then."""
    lease = await app.begin("1.1")
    (app.folder / "app.sh").write_text(
        (app.folder / "app.sh").read_text().replace("deploy)", "deploy)\n[ -e ok ] || { touch ok; exit 4; }", 1)
    )
    await fails(app.platform(), lease)
    await allowing(app, by_people={"deploy 1.1": 1}).shift(100, lease)
    position = await app.platform().current()
    assert (position["canary"], position["percent"]) == ("1.1", 100)


LEFT = {"nothing": ": >version", "no answer": "rm version", "another version": "echo 0.9 >version"}


@pytest.mark.parametrize("left", LEFT.values(), ids=LEFT)
@pytest.mark.parametrize("by", ["one step", "shares"])
async def test_what_a_script_that_failed_left_does_not_keep_it_from_being_run_again(app: App, left: str, by: str) -> None:
    """Most stop what ran before they start the new version: after that `status` names nothing, or fails."""
    script, more = (app.folder / "app.sh").read_text(), dict[str, Any]()
    if by == "shares":
        script = script.replace('echo "$2" >version\n    ;;', 'echo "1.0 $2 0" >version\n    ;;')
        commands = {**app.platform().scripts.model_dump(), "shift": ["./app.sh", "shift", "{version}"]}
        more = {"scripts": commands, "version_address": "http://127.0.0.1:1/{version}"}
    (app.folder / "app.sh").write_text(script.replace("deploy)", f"deploy)\n[ -e ok ] || {{ {left}; exit 4; }}", 1))
    lease = await app.platform(**more).acquire_lease("run-1")

    async def deploy(by_people: Mapping[str, int]) -> None:
        platform = allowing(app, 0, by_people, **more)
        await platform.prepare("1.1", lease, timeout_seconds=5)
        if by == "one step":
            await platform.shift(100, lease)

    for _ in range(2):  # without a word of theirs it fails again, and is not run
        with pytest.raises(ScriptFailed, match="exited with 4"):
            await deploy({})
    assert app.lines("deployed") == []
    (app.folder / "ok").touch()
    await deploy({"deploy 1.1": 1})
    assert app.lines("deployed") == ["1.1"]


@pytest.mark.parametrize("version", ["1.1-lies", "1.1-hangs"])
async def test_what_timed_out_or_did_not_do_it_is_run_again_by_people_alone(app: App, version: str) -> None:
    """A retry by the plan would run it blindly: it did not say that it failed."""
    lease = await app.begin(version)
    how: dict[str, Any] = {"timeout_seconds": 0.4}
    assert (await fails(allowing(app, 5, **how), lease)).runs == 1
    assert app.lines("deployed") == [version]
    assert (await fails(allowing(app, 5, {f"deploy {version}": 1}, **how), lease)).runs == 2
    assert app.lines("deployed") == [version] * 2


async def test_a_rollback_that_fails_asks_no_one(app: App) -> None:
    """By a takeover, or by the release itself that takes the requests away again; what was allowed counts for neither."""
    scripts = {**app.platform().scripts.model_dump(), "rollback": ["/bin/false"]}
    allowed = {"rollback from 1.1": 9}
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    with pytest.raises(RolloutFailed) as caught:
        await allowing(app, 9, allowed, scripts=scripts).shift(0, lease)
    assert not isinstance(caught.value, ScriptFailed)
    lease = await app.platform().acquire_lease("run-2", takeover=True)
    with pytest.raises(RolloutFailed) as caught:
        await allowing(app, 9, allowed, scripts=scripts).abort(lease)
    assert not isinstance(caught.value, ScriptFailed)


async def test_a_release_after_a_takeover_counts_from_one(app: App) -> None:
    """What failed for another release is not its affair."""
    lease = await app.begin("1.1-fails")
    assert (await fails(allowing(app, 1), lease)).runs == 2
    await app.platform().abort(lease)
    await app.platform().release_lease(lease)
    lease = await app.platform().acquire_lease("run-3")
    await app.platform().prepare("1.1-fails", lease, timeout_seconds=5)
    assert (await fails(app.platform(), lease)).runs == 1
