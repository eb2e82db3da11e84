"""Hosts that people left out of a version: what a release does without them, and how they come back."""

from __future__ import annotations

import pytest

from blocks.errors import RolloutFailed, ScriptFailed, Unreachable, WorldMoved
from blocks.platform import Lease
from blocks.run_again import Allowed
from blocks.script.hosts.platform import ScriptHosts
from tests.blocks.script.hosts.farms import Farm
from tests.blocks.script.hosts.fixtures import farm, soon, warm
from tests.blocks.script.hosts.test_hosts import break_deploy
from tests.blocks.script.hosts.test_hosts import reached as reaching

NAMES = ("web-1", "web-2", "web-3", "web-4")
__all__ = ["farm", "soon", "warm"]
pytestmark = pytest.mark.slow


def without(farm: Farm, **versions: str) -> ScriptHosts:
    """Give a platform whose release goes on without hosts, each left out of a version."""
    left = {name.replace("_", "-"): version for name, version in versions.items()}
    return reaching(farm, farm.platform().running_again(Allowed(left_out=left)))


async def leave_web_3_out(farm: Farm, left: str = "echo 0.9 > version") -> Lease:
    """Let 1.1 fail on web-3, and go on without it as another process of the same release does."""
    break_deploy(farm, "web-3", left)
    lease = await farm.begin("1.1")
    await farm.platform().shift(50, lease)
    with pytest.raises(ScriptFailed) as caught:
        await farm.platform().shift(100, lease)
    assert (caught.value.host, caught.value.hosts) == ("web-3", 4)
    return await without(farm, web_3="1.1").acquire_lease("run-1")


async def promoted_without_web_3(farm: Farm) -> None:
    """Bring 1.1 to all but web-3, and end the release."""
    lease = await leave_web_3_out(farm)
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    await farm.platform().release_lease(lease)


@pytest.mark.parametrize(
    "left", [": > version", "rm version", "echo 0.9 > version", ":"], ids=["nothing", "no answer", "other", "as before"]
)
async def test_a_release_goes_on_without_a_host_that_is_left_out_whatever_its_script_left(farm: Farm, left: str) -> None:
    """No script is run there any more; the share counts it, and no reader is troubled by what it runs."""
    lease = await leave_web_3_out(farm, left)
    asked = len((farm.hosts["web-3"].home / "asked").read_text().splitlines())
    assert "trouble" not in await farm.platform().current()
    await farm.platform().shift(100, lease)
    position = await farm.platform().current()
    assert (position["canary"], position["percent"], position["ready"]["1.1"]) == ("1.1", 100, True)
    assert "trouble" not in position
    assert "baseline" not in await farm.platform().endpoints()
    await farm.platform().promote(lease)
    position = await farm.platform().current()
    assert (position["baseline"], position["canary"], position["ready"]) == ("1.1", None, {"1.1": True})
    assert "trouble" not in position
    assert [farm.acts(name) for name in NAMES] == [["deploy 1.1"]] * 4
    assert len((farm.hosts["web-3"].home / "asked").read_text().splitlines()) == asked, "nothing is asked of it, either"
    assert any(line.startswith("web-3 was left out of 1.1: ") for line in await farm.platform().progress())
    assert await farm.platform().refused() == "", "a rollback would take the block's key for one that the hosts refuse"


async def test_a_host_that_is_left_out_may_be_gone(farm: Farm) -> None:
    """It keeps neither the release nor what reads it; the next one needs it, or another list."""
    lease = await leave_web_3_out(farm)
    farm.hosts["web-3"].is_down = True
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    assert (await farm.platform().current())["ready"] == {"1.1": True}
    assert any("web-3 was left out of 1.1: " in line and "does not answer" in line for line in await farm.platform().progress())
    (note,) = (await farm.platform().preview("1.2"))["notes"]
    assert note.startswith("web-3 was left out of 1.1, and gets 1.2 in its turn: ")
    assert note.endswith("and without an answer no release begins")
    lease = await farm.platform().acquire_lease("run-1")
    with pytest.raises(Unreachable, match="web-3"):
        await farm.platform().prepare("1.2", lease, timeout_seconds=10)


@pytest.mark.parametrize("left", [": > version", "rm version", "echo 0.9 > version"], ids=["nothing", "no answer", "another version"])
async def test_the_next_release_deploys_the_host_in_its_turn_as_any_other(farm: Farm, left: str) -> None:
    """What it runs until then is neither others' doing nor a reason to stop; afterwards it is as any other."""
    lease = await leave_web_3_out(farm, left)
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    await farm.platform().release_lease(lease)
    (note,) = (await farm.platform().preview("1.2"))["notes"]
    assert note.startswith("web-3 was left out of 1.1, and gets 1.2 in its turn: ")
    assert any("web-3" in line and line.endswith("→ 1.2") for line in (await farm.platform().preview("1.2"))["changes"])
    (farm.hosts["web-3"].home / "fixed").touch()
    lease = await farm.platform().acquire_lease("run-2")
    await farm.platform().prepare("1.2", lease, timeout_seconds=10)
    await farm.platform().shift(50, lease)
    position = await farm.platform().current()
    assert (position["percent"], position["ready"]) == (50, {"1.1": True, "1.2": True})
    assert "trouble" not in position
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    assert farm.versions() == ["1.2"] * 4
    assert farm.acts("web-3") == ["deploy 1.1", "deploy 1.2"]
    assert not any("left out" in line for line in await farm.platform().progress())
    (farm.hosts["web-3"].home / "version").write_text("0.9\n")
    assert "web-3" in (await farm.platform().current())["trouble"], "it counts again"


async def test_a_rollback_of_the_release_restores_the_host_as_every_one_that_a_script_touched(farm: Farm) -> None:
    """Also after it went on without it; if that fails it is said, and the host counts."""
    lease = await leave_web_3_out(farm)
    await farm.platform().shift(100, lease)
    farm.hosts["web-3"].is_down = True
    lease = await farm.platform().acquire_lease("run-1", takeover=True)
    with pytest.raises(Unreachable, match="failed on web-3"):
        await farm.platform().abort(lease)
    assert farm.versions() == ["1.0", "1.0", "0.9", "1.0"]
    farm.hosts["web-3"].is_down = False
    await farm.platform().abort(lease)
    assert farm.versions() == ["1.0"] * 4
    assert farm.acts("web-3") == ["deploy 1.1", "rollback 1.0"]
    position = await farm.platform().current()
    assert (position["baseline"], position["canary"], position["ready"]) == ("1.0", None, {"1.0": True})


async def test_a_later_rollback_deploys_the_host_too(farm: Farm) -> None:
    """The version that it returns to is on every host then."""
    await promoted_without_web_3(farm)
    (farm.hosts["web-3"].home / "fixed").touch()
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    await farm.platform().prepare("1.0", lease, timeout_seconds=10)
    await farm.platform().shift(100, lease)
    await farm.platform().promote(lease)
    assert farm.versions() == ["1.0"] * 4
    assert farm.acts("web-3") == ["deploy 1.1", "deploy 1.0"]
    assert not any("left out" in line for line in await farm.platform().progress())


async def test_a_later_rollback_that_fails_on_the_host_has_failed(farm: Farm) -> None:
    """That it was left out before excuses nothing."""
    await promoted_without_web_3(farm)
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    await farm.platform().prepare("1.0", lease, timeout_seconds=10)
    with pytest.raises(RolloutFailed, match="failed on web-3"):
        await farm.platform().shift(100, lease)


async def test_only_the_release_whose_people_left_the_host_out_goes_on_without_it(farm: Farm) -> None:
    """Another release of the same version acts on it, and is told what is there."""
    lease = await leave_web_3_out(farm)
    await farm.platform().release_lease(lease)
    lease = await farm.platform().acquire_lease("run-2")
    assert "web-3" in (await farm.platform().current())["trouble"]
    with pytest.raises(WorldMoved, match="50 %"):
        await farm.platform().promote(lease)


async def test_the_last_host_of_a_share_is_not_offered_to_be_left_out(farm: Farm) -> None:
    """A share without a host that runs the canary would have nothing to judge."""
    break_deploy(farm, "web-1")
    lease = await farm.begin("1.1")
    with pytest.raises(ScriptFailed) as caught:
        await farm.platform().shift(25, lease)
    assert (caught.value.host, caught.value.hosts) == ("", 4)
    with pytest.raises(ScriptFailed) as caught:
        await farm.platform().shift(50, lease)
    assert caught.value.host == "web-1"
    break_deploy(farm, "web-2")
    lease = await without(farm, web_1="1.1").acquire_lease("run-1")
    with pytest.raises(ScriptFailed, match="failed on web-2") as caught:
        await farm.platform().shift(50, lease)
    assert caught.value.host == ""
    assert (await farm.platform().current())["percent"] == 0


async def test_a_release_of_the_same_version_runs_no_script_on_the_host_and_says_so_before(farm: Farm) -> None:
    """There would be no version to roll it back to; as another version it gets there."""
    await promoted_without_web_3(farm)
    before = [farm.acts(name) for name in NAMES]
    assert any(
        "web-3 stays left out of 1.1, as a release of the same version" in note for note in (await farm.platform().preview("1.1"))["notes"]
    )
    lease = await farm.begin("1.1")
    with pytest.raises(WorldMoved, match="has no canary"):
        await farm.platform().shift(100, lease)
    assert [farm.acts(name) for name in NAMES] == before
