"""Releases over several hosts: shares, partial failure, hosts that do not answer, crashes; with the very program that is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from blocks.errors import BadInput, Refused, RolloutFailed, ScriptFailed, Superseded, Temporary, Unreachable, WorldMoved
from blocks.run_again import Allowed
from blocks.script.hosts.platform import ScriptHosts
from tests.blocks.script.apps import until
from tests.blocks.script.hosts.farms import Farm, make_farm
from tests.blocks.script.hosts.fixtures import farm, soon, warm

__all__ = ["farm", "soon", "warm"]
pytestmark = pytest.mark.slow
FAILS = """#!/bin/sh
[ "$1" != deploy ] || [ -e fixed ] || { echo "$1 $2" >>asked; LEFT; echo no space left; exit 3; }
exec ./real.sh "$@"
"""


def reached(farm: Farm, platform: ScriptHosts) -> ScriptHosts:
    """Let a copy reach the hosts, too."""
    platform._connect = farm.connect
    return platform


def break_deploy(farm: Farm, name: str, left: str = ":") -> None:
    """Let `deploy` fail on one host, after a command, until a file `fixed` lies there."""
    home = farm.hosts[name].home
    (home / "app.sh").rename(home / "real.sh")
    (home / "app.sh").write_text(FAILS.replace("LEFT", left))
    (home / "app.sh").chmod(0o755)


async def test_each_share_is_so_many_hosts_and_each_script_runs_once(farm: Farm) -> None:
    """25 % of four is one host, and what is there is left as it is."""
    lease = await farm.begin("1.1", at_once=2)
    assert farm.versions() == ["1.0"] * 4
    for share, number in ((25, 1), (100, 4)):
        await farm.platform(at_once=2).shift(share, lease)
        position = await farm.platform().current()
        assert (position["baseline"], position["canary"], position["percent"]) == ("1.0", "1.1", share)
        assert farm.versions() == ["1.1"] * number + ["1.0"] * (4 - number)
        assert position["ready"] == {"1.0": share != 100, "1.1": True}
    await farm.platform().promote(lease)
    position = await farm.platform().current()
    assert (position["baseline"], position["canary"], position["previous"], position["ready"]) == ("1.1", None, "1.0", {"1.1": True})
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1"]] * 4


async def test_a_look_is_one_order_for_each_host_that_runs_what_was_noted(farm: Farm) -> None:
    """`status` says what runs, and `verify` whether that is well; one that is not is asked no second time."""
    lease = await farm.begin("1.1-ill")
    with pytest.raises(RolloutFailed):
        await farm.platform().shift(25, lease)
    for host in farm.hosts.values():
        host.commands.clear()
    position = await farm.platform().current()
    assert (position["baseline"], position["canary"], position["percent"]) == ("1.0", "1.1-ill", 25)
    assert position["ready"] == {"1.0": True, "1.1-ill": False}
    assert [len(host.commands) for host in farm.hosts.values()] == [1] * 4


async def test_it_stops_at_the_first_failure_and_those_done_are_rolled_back(farm: Farm) -> None:
    """The last hosts were never touched; the failure says where which version is."""
    break_deploy(farm, "web-2")
    lease = await farm.begin("1.1")
    with pytest.raises(ScriptFailed, match=r"done on 1 of 4 hosts \(web-1\); failed on web-2: .*no space left.*not begun on web-3, web-4"):
        await farm.platform().shift(100, lease)
    assert farm.versions() == ["1.1", "1.0", "1.0", "1.0"]
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    await farm.platform().abort(lease)
    assert farm.versions() == ["1.0"] * 4
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1", "rollback 1.0"]] * 2 + [[], []]
    position = await farm.platform().current()
    assert (position["baseline"], position["canary"], position["ready"]) == ("1.0", None, {"1.0": True})


async def test_failed_hosts_alone_are_run_again_if_plan_or_people_say_so(farm: Farm) -> None:
    """Those that are done are left, and those behind come after."""
    break_deploy(farm, "web-2")
    lease = await farm.begin("1.1")
    with pytest.raises(ScriptFailed) as caught:
        await farm.platform().shift(100, lease)
    assert (caught.value.act, caught.value.step, caught.value.runs) == ("deploy 1.1 on web-2", "deploy-on-web-2", 1)
    with pytest.raises(ScriptFailed):  # without a word of theirs it fails again, and is not run
        await farm.platform().shift(100, lease)
    (farm.hosts["web-2"].home / "fixed").touch()
    await reached(farm, farm.platform().running_again(Allowed(by_people={"deploy 1.1 on web-2": 1}))).shift(100, lease)
    assert farm.versions() == ["1.1"] * 4
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1"], ["deploy 1.1"] * 2, ["deploy 1.1"], ["deploy 1.1"]]


@pytest.mark.parametrize("left", [": > version", "rm version", "echo 0.9 > version"], ids=["nothing", "no answer", "another version"])
async def test_what_a_script_that_failed_left_on_a_host_does_not_keep_it_from_being_run_again(farm: Farm, left: str) -> None:
    """Also in another process, which has nothing of that attempt in memory."""
    break_deploy(farm, "web-2", left)
    lease = await farm.begin("1.1")
    for _ in range(2):
        with pytest.raises(ScriptFailed, match="failed on web-2"):
            await farm.platform().shift(50, lease)
    (farm.hosts["web-2"].home / "fixed").touch()
    await reached(farm, farm.platform().running_again(Allowed(by_people={"deploy 1.1 on web-2": 1}))).shift(50, lease)
    assert farm.versions() == ["1.1", "1.1", "1.0", "1.0"]


async def test_a_host_that_does_not_answer_is_said_and_keeps_a_release_from_moving(farm: Farm) -> None:
    """It is never a success."""
    lease = await farm.begin("1.1")
    farm.hosts["web-4"].is_down = True
    with pytest.raises(Unreachable, match="web-4"):
        await farm.platform().shift(25, lease)
    assert farm.versions() == ["1.0"] * 4
    with pytest.raises(Unreachable, match="of web-4 it is not known"):  # it may pass: a watch reads again
        await farm.platform().current()
    position = await reached(farm, farm.platform().rolling_back()).current()
    assert position["trouble"].startswith("web-4: what runs there is not known")
    assert position["ready"]["1.0"] is False


async def test_a_check_beforehand_says_what_would_change_and_which_host_keeps_a_release_from_beginning(farm: Farm) -> None:
    """It asks, and changes nothing; a host that is down may be back, and one that others changed is not a start."""
    assert await farm.platform().preview("1.1") == {"changes": ["web-1, web-2, web-3, web-4: 1.0 → 1.1"], "drift": []}
    lease = await farm.begin("1.1")
    await farm.platform().shift(25, lease)
    assert (await farm.platform().preview("1.1"))["changes"] == ["web-2, web-3, web-4: 1.0 → 1.1"]
    farm.hosts["web-4"].is_down = True
    with pytest.raises(Unreachable, match="web-4 does not answer"):
        await farm.platform().preview("1.1")
    farm.hosts["web-4"].is_down = False
    (farm.hosts["web-3"].home / "version").write_text("0.9\n")
    with pytest.raises(WorldMoved, match="web-3"):
        await farm.platform().preview("1.1")
    with pytest.raises(BadInput, match="version"):
        await farm.platform().preview("1.1; reboot")


async def test_a_rollback_restores_all_that_answer_and_is_over_once_the_last_one_did(farm: Farm) -> None:
    """A host that is down in the middle of it is named, and met again."""
    lease = await farm.begin("1.1")
    await farm.platform().shift(50, lease)
    farm.hosts["web-2"].is_down = True
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    with pytest.raises(Unreachable, match=r"done on 1 of 2 hosts \(web-1\); failed on web-2"):
        await farm.platform().abort(lease)
    assert farm.versions() == ["1.0", "1.1", "1.0", "1.0"]
    assert (await farm.platform().current())["percent"] == 25  # what a script touched counts until it is known
    farm.hosts["web-2"].is_down = False
    await farm.platform().abort(lease)
    assert farm.versions() == ["1.0"] * 4
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1", "rollback 1.0"]] * 2 + [[], []]


async def test_a_rollback_after_a_promotion_is_not_kept_from_the_other_hosts_by_one(tmp_path: Path, warm: Path) -> None:
    """The earlier version serves where it can, and the rollback fails by name."""
    farm = make_farm(tmp_path, 2, accounts=warm)
    lease = await farm.begin("1.1")
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    farm.hosts["web-1"].is_down = True
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    await farm.platform().prepare("1.0", lease, timeout_seconds=10)
    with pytest.raises(Unreachable, match="failed on web-1"):
        await farm.platform().shift(100, lease)
    assert farm.versions() == ["1.1", "1.0"]
    with pytest.raises(Unreachable, match="web-1"):
        await farm.platform().promote(lease)
    farm.hosts["web-1"].is_down = False
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    assert (farm.versions(), (await farm.platform().current())["baseline"]) == (["1.0"] * 2, "1.0")
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1", "deploy 1.0"]] * 2


async def test_a_worker_that_dies_inside_finds_the_script_and_a_broken_connection_ends_nothing(farm: Farm) -> None:
    """Whoever comes next follows it; it ran once."""
    lease = await farm.begin("1.1-slow")
    home = farm.hosts["web-1"].home
    caller = asyncio.ensure_future(farm.platform().shift(25, lease))
    await until((home / "deployed").exists)
    caller.cancel()
    await asyncio.wait({caller})
    lease = await farm.platform().acquire_lease("run-1")
    farm.hosts["web-1"].drops = 1
    caller = asyncio.ensure_future(farm.platform().shift(25, lease))
    await until(lambda: farm.hosts["web-1"].drops is None)
    (home / "go").touch()
    await asyncio.wait({caller})
    if caller.exception() is not None:  # the connection broke as it was asked whether it runs: the task is tried again
        assert isinstance(caller.exception(), Unreachable)
        await farm.platform().shift(25, lease)
    assert farm.versions() == ["1.1-slow", "1.0", "1.0", "1.0"]
    assert farm.acts("web-1") == ["deploy 1.1-slow"]


async def test_an_order_that_did_not_reach_its_host_is_said_and_given_again(farm: Farm) -> None:
    """Why it did not is in the error and where the wrapper's log would be; the script runs once."""
    lease = await farm.begin("1.1")
    farm.hosts["web-1"].loses = "begin"
    with pytest.raises(Temporary, match="it was not begun: the order did not reach web-1: web-1: the connection broke; see ") as caught:
        await farm.platform().shift(25, lease)
    log = Path(str(caught.value).rpartition("; see ")[2])
    assert "the connection broke" in await asyncio.to_thread(log.read_text)
    await farm.platform().shift(25, lease)
    assert (farm.versions(), farm.acts("web-1")) == (["1.1", "1.0", "1.0", "1.0"], ["deploy 1.1"])


async def test_a_full_host_begins_nothing_and_is_gone_on_with_once_there_is_room(tmp_path: Path, warm: Path) -> None:
    """Before a release, and in the middle of it; a run that could not be written down was never begun."""
    farm = make_farm(tmp_path, 2, accounts=warm)
    lease = await farm.platform().acquire_lease("run-1")
    farm.hosts["web-2"].is_full = True
    with pytest.raises(Temporary, match=r"web-2: .*Free some space there"):
        await farm.platform().prepare("1.1", lease, timeout_seconds=10)
    farm.hosts["web-2"].is_full = False
    await farm.platform().prepare("1.1", lease, timeout_seconds=10)
    farm.hosts["web-2"].is_full = True
    with pytest.raises(Temporary, match=r"done on 1 of 2 hosts \(web-1\); failed on web-2: .*Free some space there"):
        await farm.platform().shift(100, lease)
    assert farm.versions() == ["1.1", "1.0"]
    farm.hosts["web-2"].is_full = False
    await farm.platform().shift(100, lease)
    assert [farm.acts(name) for name in farm.hosts] == [["deploy 1.1"]] * 2


async def test_an_older_owner_is_refused_here_and_by_the_hosts_and_so_is_another_installation(farm: Farm, tmp_path: Path) -> None:
    """Nothing moves."""
    old = await farm.begin("1.1")
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    with pytest.raises(Superseded):
        await farm.platform().shift(25, old)
    await farm.platform().release_lease(lease)
    other = Farm(tmp_path / "other-notes", farm.hosts)
    with pytest.raises(Refused, match="another installation"):
        await other.begin("1.2")
    assert farm.versions() == ["1.0"] * 4


async def test_a_host_that_others_changed_keeps_a_release_from_beginning(farm: Farm) -> None:
    """Hosts that run several versions are no baseline to judge against."""
    (farm.hosts["web-3"].home / "version").write_text("0.9\n")
    lease = await farm.platform().acquire_lease("run-1")
    with pytest.raises(WorldMoved, match=r"web-3: `status` prints `0.9`, but other hosts run 1.0"):
        await farm.platform().prepare("1.1", lease, timeout_seconds=10)


async def test_a_version_that_is_ill_on_its_first_host_goes_no_further(farm: Farm) -> None:
    """It exited with 0; `verify` says otherwise."""
    lease = await farm.begin("1.1-ill")
    with pytest.raises(RolloutFailed, match=r"1.1-ill does not answer"):
        await farm.platform().shift(50, lease)
    assert farm.versions() == ["1.1-ill", "1.0", "1.0", "1.0"]


async def test_a_rollback_takes_a_present_key_for_hosts_that_refuse_and_not_for_those_that_do_not_answer(farm: Farm) -> None:
    """A host that is down says nothing of a key, and must not keep the others from the one that serves."""
    farm.hosts["web-1"].is_down = True
    assert await farm.platform().refused() == ""
    (farm.hosts["web-2"].home / "app.sh").unlink()
    assert "web-2" in await farm.platform().refused()
