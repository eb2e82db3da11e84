"""A host that says what is not so, as a version can that runs as the scripts' account, keeps no other host from its rollback."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import Permanent, Refused, RolloutFailed, Superseded
from blocks.script.hosts import effects as on_hosts
from blocks.script.hosts.orders import Ran
from blocks.script.hosts.platform import ScriptHosts
from tests.blocks.script.hosts.farms import Farm
from tests.blocks.script.hosts.fixtures import farm, soon, warm
from tests.blocks.script.hosts.test_hosts import reached

__all__ = ["farm", "soon", "warm"]
pytestmark = pytest.mark.slow
UNDER_WAY = '{"state": "under way", "output": "", "where": null}'
SERVES = '{"exit_code": 0, "output": "MS4x", "cut": false, "tail": "", "not_run": "", "seconds": 0.1, "then": 5}'


def write_owner(farm: Farm, name: str, **lie: Any) -> None:
    """Write another owner into what one host notes."""
    (owner,) = farm.hosts[name].home.glob(".shipway/hosts/*/owner.json")
    owner.write_text(json.dumps({**json.loads(owner.read_text()), **lie}))


def answer_always(monkeypatch: pytest.MonkeyPatch, farm: Farm, name: str, said: str) -> None:
    """Let one host give the same answer to every order."""

    async def lie(*_: Any, **__: Any) -> Ran:
        return Ran(0, f"\n\x1eshipway {said}\n".encode(), b"")

    monkeypatch.setattr(farm.hosts[name], "run", lie)


def back(farm: Farm) -> ScriptHosts:
    """Give the platform of a rollback."""
    return reached(farm, farm.platform().rolling_back())


@pytest.mark.parametrize("lie", [{"generation": 10**9}, {"environment": "another"}])
async def test_a_host_that_names_another_owner_keeps_no_other_from_its_rollback(farm: Farm, lie: dict[str, Any]) -> None:
    """It comes first in a rollback; the lease is kept here, so its own word is its own fault."""
    lease = await farm.begin("1.1", at_once=2)
    await farm.platform(at_once=2).shift(100, lease)
    write_owner(farm, "web-4", **lie)
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    with pytest.raises(RolloutFailed, match=r"done on 3 of 4 hosts \(web-3, web-2, web-1\); failed on web-4: "):
        await back(farm).abort(lease)
    assert farm.versions() == ["1.0", "1.0", "1.0", "1.1"]


@pytest.mark.parametrize("said", ["{}", '{"state": "ended", "output": "x", "where": 1}', '{"not": "cannot"}', UNDER_WAY, SERVES])
async def test_a_host_whose_answers_are_none_keeps_no_other_from_its_rollback(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """As of another program in the place of Python; also one whose script is under way for ever."""
    monkeypatch.setattr(on_hosts, "ENDING_SECONDS", 0.1)
    monkeypatch.setattr(on_hosts, "WAIT_SECONDS", 0.0)
    lease = await farm.begin("1.1", at_once=4)
    await farm.platform(at_once=4).shift(100, lease)
    answer_always(monkeypatch, farm, "web-4", said)
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    assert (await back(farm).current())["trouble"].startswith("web-4: what runs there is not known: ")
    with pytest.raises(RolloutFailed, match=r"done on 3 of 4 hosts \(web-3, web-2, web-1\); failed on web-4: "):
        await back(farm).abort(lease)
    assert farm.versions() == ["1.0", "1.0", "1.0", "1.1"]


async def test_who_may_not_act_any_more_is_still_told_so_by_the_lease(farm: Farm) -> None:
    """An older copy of a rollback stops at once, and moves nothing."""
    lease = await farm.begin("1.1", at_once=4)
    await farm.platform(at_once=4).shift(100, lease)
    old = await farm.platform().acquire_lease("rollback", takeover=True)
    await farm.platform().acquire_lease("rollback", takeover=True)
    with pytest.raises(Superseded):
        await back(farm).abort(old)
    assert farm.versions() == ["1.1"] * 4


async def test_a_release_that_a_host_refuses_stops_and_is_not_said_to_be_another_process(farm: Farm) -> None:
    """What a host says of a newer owner is not so, as the lease is this release's; another installation's host is none of it."""
    lease = await farm.begin("1.1")
    write_owner(farm, "web-1", generation=10**9)
    with pytest.raises(Permanent, match=r"web-1: .*But this lease is the newest") as caught:
        await farm.platform().shift(25, lease)
    assert not isinstance(caught.value, Superseded)
    write_owner(farm, "web-1", generation=1, environment="another")
    with pytest.raises(Refused, match="another installation"):
        await farm.platform().shift(25, lease)
    assert farm.versions() == ["1.0"] * 4


async def test_a_rollback_after_older_notes_were_put_back_says_what_to_remove_and_then_works(farm: Farm, tmp_path: Path) -> None:
    """The hosts know newer runs than these notes, which may still be under way: a person has to see that none is."""
    lease = await farm.begin("1.1", at_once=4)
    await farm.platform(at_once=4).shift(100, lease)
    shutil.copytree(farm.folder, tmp_path / "backup")
    for number in range(3):
        lease = await farm.platform().acquire_lease(f"rollback-{number}", takeover=True)
    await farm.platform().abort(lease)
    shutil.rmtree(farm.folder)
    shutil.copytree(tmp_path / "backup", farm.folder)
    lease = await farm.platform().acquire_lease("rollback", takeover=True)
    with pytest.raises(RolloutFailed, match=r"web-1: .*the notes here are older than the host.*Remove ~/.shipway/hosts/app there"):
        await back(farm).abort(lease)
    for host in farm.hosts.values():
        shutil.rmtree(host.home / ".shipway" / "hosts" / "app")
    await back(farm).abort(lease)
    assert farm.versions() == ["1.0"] * 4
