"""A rollback goes on whatever `status` says of a bad version: nothing, words, or an exit code."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Permanent, RolloutFailed, Temporary, WorldMoved
from blocks.platform import Lease, Position
from blocks.script import effects
from blocks.script.platform import ScriptPlatform
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback
from tests.blocks.script.apps import App, make_app

pytestmark = pytest.mark.slow
UNREADABLE = {
    "exits with 7": "exit 7",
    "prints words": "echo '1.1 (degraded)'",
    "prints HTML": "echo '<html>502</html>'",
    "hangs": "sleep 30",
    "asks again": "exit 75",
}


@pytest.fixture
def app(tmp_path: Path) -> App:
    """Give an environment in which 1.0 runs, and whose `status` becomes unreadable once 1.1 runs."""
    return make_app(tmp_path)


def reading(app: App, words: str) -> dict[str, Any]:
    """Give settings with a `status` that says something else of 1.1."""
    program = app.folder / "status.sh"
    program.write_text(f"#!/bin/sh\n! grep -qx 1.1 version || {{ {words}; exit 0; }}\ncat version\n")
    program.chmod(0o755)
    return {"scripts": {**app.platform().scripts.model_dump(), "status": ["./status.sh"]}, "reading_timeout_seconds": 0.5}


def chosen(position: Position, *, bad: str | None = None, to: str = "previous") -> RollbackChoice:
    """Choose as the flows do."""
    return choose_rollback(baseline=position["baseline"], canary=position["canary"], previous=position["previous"], bad=bad, to=to)


def acts(app: App) -> list[str]:
    """List what the scripts were asked to change."""
    return [line for line in app.lines("asked") if line.startswith(("deploy", "rollback"))]


async def taken(app: App, **more: Any) -> Lease:
    """Take the environment over, as a rollback does."""
    return await app.platform(**more).acquire_lease("rollback", takeover=True)


@pytest.mark.parametrize(("bad", "to"), [("1.1", "previous"), (None, "previous"), (None, "1.0")], ids=["automatic", "on demand", "named"])
async def test_a_promoted_version_that_crashed_is_rolled_back(app: App, bad: str | None, to: str) -> None:
    """It is the baseline that is not ready, whatever `verify` says, and what it replaced is the version to return to."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    (app.folder / "version").write_text("")
    position = await app.platform().current()
    assert (position["baseline"], position["canary"], position["previous"], position["ready"]) == ("1.1", None, "1.0", {"1.1": False})
    assert "baseline" not in await app.platform().endpoints()
    choice = chosen(position, bad=bad, to=to)
    assert (choice.kind, choice.version) == ("redeploy", "1.0")
    lease = await taken(app)
    await app.platform().prepare("1.0", lease, timeout_seconds=5)
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    position = await app.platform().current()
    assert (position["baseline"], position["canary"], position["previous"], position["ready"]) == ("1.0", None, None, {"1.0": True})


async def test_a_hotfix_over_a_crashed_version_is_rolled_back_to_it(app: App) -> None:
    """It is not a first deployment: `rollback` is told which version was there."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    (app.folder / "version").write_text("")
    await app.platform().prepare("1.1.1", lease, timeout_seconds=5)
    await app.platform().shift(100, lease)
    await app.platform().abort(await taken(app))
    assert acts(app) == ["deploy 1.1", "deploy 1.1.1", "rollback 1.1"]


@pytest.mark.parametrize("words", UNREADABLE)
async def test_an_automatic_rollback_acts_though_status_cannot_be_read(app: App, words: str) -> None:
    """By the notes, with `rollback` once; what moves forward is refused."""
    more = reading(app, UNREADABLE[words])
    lease = await app.begin("1.1", **more)
    with pytest.raises((Permanent, Temporary)):
        await app.platform(**more).shift(100, lease)
    with pytest.raises((Permanent, Temporary)):
        await app.platform(**more).prepare("1.2", lease, timeout_seconds=5)
    with pytest.raises((Permanent, Temporary)):
        await app.platform(**more).promote(lease)
    lease = await taken(app, **more)
    position = await app.platform(**more).current()
    assert (position["baseline"], position["canary"], position["ready"]) == ("1.0", "1.1", {"1.0": False, "1.1": False})
    assert "by the notes" in position["trouble"]
    await app.platform(**more).abort(lease)
    position = await app.platform(**more).current()
    assert (position["baseline"], position["canary"], position["ready"]) == ("1.0", None, {"1.0": True})
    assert acts(app) == ["deploy 1.1", "rollback 1.0"]


def for_a_rollback(app: App, **more: Any) -> ScriptPlatform:
    """Give the platform as flows load it for a rollback."""
    return app.platform(**more).rolling_back()


@pytest.mark.parametrize("said", ["1.0", "7.7"])
@pytest.mark.parametrize(("bad", "to"), [("1.1", "previous"), (None, "previous"), (None, "1.0")], ids=["automatic", "on demand", "named"])
async def test_a_version_that_answers_with_another_name_is_rolled_back_by_a_script(app: App, said: str, bad: str | None, to: str) -> None:
    """Also by the name of the earlier version, as if nothing were left to do; a release is stopped, and moves nothing."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    more = reading(app, f"echo {said}")
    with pytest.raises(WorldMoved, match=r"but 1\.1 was deployed here last"):
        await app.platform(**more).prepare("1.2", lease, timeout_seconds=5)
    position = await app.platform(**more).current()
    assert (position["baseline"], position["previous"], position["ready"]) == ("1.1", "1.0", {"1.1": False})
    choice = chosen(position, bad=bad, to=to)
    assert (choice.kind, choice.version) == ("redeploy", "1.0")
    lease = await taken(app, **more)
    await app.platform(**more).prepare("1.0", lease, timeout_seconds=5)
    for _ in range(2):
        await app.platform(**more).shift(100, lease)
    await app.platform(**more).shift(100, await app.platform(**more).acquire_lease("another", takeover=True))
    lease = await app.platform(**more).acquire_lease("another", takeover=True)
    await app.platform(**more).promote(lease)
    position = await app.platform(**more).current()
    assert (position["baseline"], position["canary"], position["ready"], "trouble" in position) == ("1.0", None, {"1.0": True}, False)
    assert acts(app) == ["deploy 1.1", "deploy 1.0"]
    assert app.lines("version") == ["1.0"]


async def test_a_version_that_others_deployed_by_hand_stops_a_release_until_they_deploy_the_known_one(app: App) -> None:
    """Or are rolled back, or the notes are removed: then what `status` says counts."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    (app.folder / "version").write_text("1.5\n")
    with pytest.raises(WorldMoved, match=r"1\.5"):
        await app.platform().prepare("1.2", lease, timeout_seconds=5)
    (app.folder / "version").write_text("1.1\n")
    await app.platform().prepare("1.2", lease, timeout_seconds=5)
    (app.folder / "version").write_text("1.5\n")
    (app.folder / "notes" / "state.json").unlink()
    lease = await app.begin("1.6")
    position = await app.platform().current()
    assert (position["baseline"], position["canary"], "trouble" in position) == ("1.5", "1.6", False)


@pytest.mark.parametrize("words", ["hangs", "asks again"])
async def test_a_version_that_hangs_is_read_before_the_rollback_takes_over(app: App, words: str) -> None:
    """In the order of the flows: read, take over, act; a release that reads it waits for an answer."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    more = reading(app, UNREADABLE[words])
    with pytest.raises(Temporary):
        await app.platform(**more).current()
    position = await for_a_rollback(app, **more).current()
    assert (position["baseline"], position["previous"]) == ("1.1", "1.0")
    assert "by the notes" in position["trouble"]
    platform, lease = for_a_rollback(app, **more), await taken(app, **more)
    await platform.prepare("1.0", lease, timeout_seconds=5)
    await platform.shift(100, lease)
    await platform.promote(lease)
    assert (await for_a_rollback(app, **more).current())["baseline"] == "1.0"


@pytest.mark.parametrize("words", ["hangs", "asks again"])
async def test_one_slow_status_after_the_script_of_a_rollback_is_asked_again(app: App, words: str) -> None:
    """The notes know no share then: by them the version that serves gets 0 %, and the rollback had failed for good."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    platform, lease = for_a_rollback(app), await taken(app)
    await platform.prepare("1.0", lease, timeout_seconds=5)
    await platform.shift(100, lease)
    late = reading(app, "echo 1.1")
    (app.folder / "status.sh").write_text(f"#!/bin/sh\n{UNREADABLE[words]}\n")
    with pytest.raises(Temporary):
        await for_a_rollback(app, **late).current()
    assert (await platform.current())["percent"] == 100
    await platform.promote(lease)
    assert (await platform.current())["baseline"] == "1.0"


async def test_a_rollback_on_demand_redeploys_though_status_cannot_be_read(app: App) -> None:
    """The version was promoted before it broke its `status`."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    await app.platform().promote(lease)
    await app.platform().release_lease(lease)
    more = reading(app, "exit 7")
    position = await app.platform(**more).current()
    assert chosen(position).version == "1.0"
    lease = await taken(app, **more)
    await app.platform(**more).prepare("1.0", lease, timeout_seconds=5)
    await app.platform(**more).shift(100, lease)
    await app.platform(**more).promote(lease)
    position = await app.platform(**more).current()
    assert (position["baseline"], position["previous"], position["ready"], "trouble" in position) == ("1.0", None, {"1.0": True}, False)


async def test_a_status_that_stays_unreadable_fails_the_rollback_after_its_script(app: App) -> None:
    """It ran once, and is not proved."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    more = reading(app, "exit 7")
    (app.folder / "status.sh").write_text("#!/bin/sh\nexit 7\n")
    lease = await taken(app, **more)
    for _ in range(2):
        with pytest.raises(RolloutFailed, match=r"exited with 0, but .*exited with 7"):
            await app.platform(**more).abort(lease)
    assert acts(app) == ["deploy 1.1", "rollback 1.0"]


async def test_a_release_sees_that_a_status_cannot_be_read(app: App) -> None:
    """Its position is in trouble, which a review and a watch refuse, and it moves nothing."""
    lease = await app.begin("1.1")
    (app.folder / "version").unlink()
    assert "exited with 1" in (await app.platform().current())["trouble"]
    for act in (app.platform().shift(100, lease), app.platform().prepare("1.1", lease, timeout_seconds=5), app.platform().abort(lease)):
        with pytest.raises(Permanent, match="exited with 1"):
            await act
    assert acts(app) == []


async def test_half_a_deployment_is_undone_once_though_status_says_the_old_version(app: App) -> None:
    """A script that failed may have replaced files that the next restart starts."""
    lease = await app.begin("1.1-fails")
    with pytest.raises(RolloutFailed):
        await app.platform().shift(100, lease)
    lease = await taken(app)
    await app.platform().shift(0, lease)
    await app.platform().abort(lease)
    await app.platform().abort(lease)
    await app.platform().abort(await app.platform().acquire_lease("another", takeover=True))
    assert acts(app) == ["deploy 1.1-fails", "rollback 1.0"]


@pytest.mark.parametrize(("fails", "ends_well"), [(1, True), (2, True), (3, False)])
async def test_a_rollbacks_script_that_fails_is_run_three_times_at_most(
    app: App, monkeypatch: pytest.MonkeyPatch, fails: int, *, ends_well: bool
) -> None:
    """One fault that passes must not leave the bad version; a release's script that fails has failed."""
    monkeypatch.setattr(effects, "AGAIN_SECONDS", 0)
    program = app.folder / "back.sh"
    program.write_text(f'#!/bin/sh\n./app.sh "$@"\n[ "$(grep -c ^rollback asked)" -gt {fails} ] || {{ echo 9.9 >version; exit 3; }}\n')
    program.chmod(0o755)
    scripts = {**app.platform().scripts.model_dump(), "rollback": ["./back.sh", "rollback", "{previous}"]}
    await app.platform().shift(100, await app.begin("1.1"))
    lease = await taken(app, scripts=scripts)
    for _ in range(2):
        with nullcontext() if ends_well else pytest.raises(RolloutFailed, match="exited with 3"):
            await app.platform(scripts=scripts).abort(lease)
    assert acts(app) == ["deploy 1.1", *["rollback 1.0"] * min(fails + 1, 3)]
    assert app.lines("version") == ["1.0" if ends_well else "9.9"]


async def test_a_third_version_does_not_keep_a_rollback_from_going_on(app: App) -> None:
    """A release is refused; the rollback that began goes on to the version that it started."""
    lease = await app.begin("1.1")
    await app.platform().shift(100, lease)
    (app.folder / "version").write_text("9.9\n")
    with pytest.raises(WorldMoved, match="neither"):
        await app.platform().shift(100, lease)
    lease = await taken(app)
    await app.platform().prepare("1.1", lease, timeout_seconds=5)
    await app.platform().shift(100, lease)
    assert app.lines("version") == ["1.1"]
