"""A process that is killed behind each effect of a pull request: the next one finds what is there, and there is never a second one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks.errors import Temporary, Unreachable
from tests.forge_server import API_TOKEN, KINDS, PROJECT, ForgeServer, serving_forge
from tests.git_changes import CHANGE
from tests.git_remotes import VALUES, Repository, repository
from tests.pull_requests import BRANCH, NEW, at_once, way

__all__ = ["at_once", "repository"]
pytestmark = [pytest.mark.faults, pytest.mark.usefixtures("at_once")]

PROCESS = """
import asyncio, os, sys
from pydantic import SecretStr
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from tasks.gitops import pull_request
from tasks.gitops.ways_in import Way
from tests.git_changes import CHANGE
pull_request.FIRST_PAUSE_SECONDS = 0.1
remote, kind, api, act = sys.argv[1:]
settings = PullRequests(forge=kind, repository="shop/deploy", api=api, token=SecretStr(os.environ["API_TOKEN"]), merge=act == "in")
way = Way(Git(remote=remote, pull_requests=settings))
asyncio.run(way.bring_in(CHANGE) if act == "in" else way.take_out(CHANGE))
"""


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest, repository: Repository) -> Iterator[ForgeServer]:
    """Serve one forge, and the other."""
    with serving_forge(request.param, repository) as found:
        yield found


async def begun(forge: ForgeServer, act: str) -> asyncio.subprocess.Process:
    """Bring the change in, or take it out, in a process of its own."""
    arguments = (forge.requests.repository.url, forge.kind, forge.url, act)
    environment = os.environ | {"API_TOKEN": API_TOKEN}
    root = Path(__file__).parents[3]
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, *arguments, cwd=root, env=environment, stdout=subprocess.DEVNULL
    )


async def killed(process: asyncio.subprocess.Process) -> None:
    """Kill it, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    await process.wait()


async def killed_behind(forge: ForgeServer, request: str, act: str) -> None:
    """Kill the process once the forge has done what it asked for, before it is told."""
    forge.hold = request
    process = await begun(forge, act)
    assert await asyncio.to_thread(forge.reached.wait, 60)
    await killed(process)


async def finished(forge: ForgeServer, repository: Repository) -> None:
    """Let the next process finish it: one pull request, one commit of ours forward, and the edit is there."""
    made = await way(forge, merge=True).bring_in(CHANGE)
    assert (made.commit, len(forge.requests.of)) == (repository.head, 1)
    assert repository.read("values.yaml") == NEW
    assert forge.requests.branches() == []


async def test_killed_behind_the_push_of_its_branch(forge: ForgeServer, repository: Repository, tmp_path: Path) -> None:
    """The server has the branch; there is no pull request yet."""
    reached, release = tmp_path / "reached", tmp_path / "release"
    os.mkfifo(reached)
    os.mkfifo(release)
    repository.hook("post-receive", f"echo in >{reached}\nread x <{release}")
    process = await begun(forge, "in")
    await asyncio.wait_for(asyncio.to_thread(reached.read_text), 60)
    await killed(process)
    (repository.bare / "hooks" / "post-receive").unlink()
    await asyncio.to_thread(release.write_text, "go\n")
    assert (forge.requests.branches(), forge.requests.of) == ([BRANCH], [])
    await finished(forge, repository)


async def test_killed_behind_the_opening(forge: ForgeServer, repository: Repository) -> None:
    """The pull request is there, and nothing was told of it."""
    await killed_behind(forge, "POST ", "in")
    assert [one.state for one in forge.requests.of] == ["open"]
    await finished(forge, repository)


async def test_killed_behind_the_merge(forge: ForgeServer, repository: Repository) -> None:
    """It is merged, and its branch may still be there."""
    await killed_behind(forge, "/merge ", "in")
    assert [one.state for one in forge.requests.of] == ["merged"]
    await finished(forge, repository)


async def test_killed_behind_the_closing(forge: ForgeServer, repository: Repository) -> None:
    """The rollback closed it and did not delete the branch; the next one does, and commits nothing."""
    await killed_behind(forge, "POST ", "in")
    forge.reached.clear()
    await killed_behind(forge, "PATCH " if forge.kind == "github" else "PUT ", "out")
    assert ([one.state for one in forge.requests.of], forge.requests.branches()) == (["closed"], [BRANCH])
    assert (await way(forge).take_out(CHANGE)).commit is None
    assert (forge.requests.branches(), repository.read("values.yaml"), len(forge.requests.of)) == ([], VALUES, 1)


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
async def test_an_answer_that_is_lost_is_asked_for_again(forge: ForgeServer, repository: Repository, method: str) -> None:
    """The thing is done; the same process finds it so."""
    forge.drop = [method]
    await finished(forge, repository)
    assert forge.drop == []


async def test_a_forge_that_is_busy_is_left_alone_as_long_as_it_asks(forge: ForgeServer) -> None:
    """A minute before there is a pull request; what asks for longer ends the attempt, with its words and its delay."""
    forge.fault, forge.answered = "fault", (429, "slow down", {"Retry-After": "90"})
    with pytest.raises(Temporary, match="again in 90 s: slow down") as raised:
        await way(forge).bring_in(CHANGE)
    assert raised.value.delay_seconds == 90
    assert len(forge.asked) == 1
    assert forge.requests.branches() == []


async def test_a_forge_that_comes_back_is_gone_on_with(forge: ForgeServer, repository: Repository) -> None:
    """It was away for some seconds in the middle."""
    forge.fault, forge.answered = "fault", (502, "away", {})
    course = asyncio.create_task(way(forge, merge=True).bring_in(CHANGE))
    await asyncio.sleep(1)
    forge.fault = "good"
    assert (await asyncio.wait_for(course, 60)).commit == repository.head


async def test_a_rollback_with_a_forge_that_is_away_is_unreachable(forge: ForgeServer) -> None:
    """Whoever asked for it goes on without Git, and the keeper closes what is open later."""
    forge.fault, forge.answered = "fault", (503, "away", {})
    with pytest.raises(Unreachable, match="503"):
        await way(forge).take_out(CHANGE)


async def test_no_process_list_and_no_request_shows_the_token(forge: ForgeServer) -> None:
    """It is in one header alone."""
    forge.hold = "POST "
    process = await begun(forge, "in")
    assert await asyncio.to_thread(forge.reached.wait, 60)
    listed = await asyncio.to_thread(lambda: [one.read_bytes() for one in Path("/proc").glob("[0-9]*/cmdline") if one.exists()])
    await killed(process)
    assert not any(API_TOKEN.encode() in one for one in listed)
    assert not any(API_TOKEN in one for one in forge.asked)
    assert PROJECT.replace("/", "%2F") in forge.asked[0] or PROJECT in forge.asked[0]
