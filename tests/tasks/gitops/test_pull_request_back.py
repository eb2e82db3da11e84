"""A rollback of a change by a pull request waits for no person, and leaves nothing behind that could be merged later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from blocks.errors import Refused, Superseded, Unreachable, WorldMoved
from tasks.gitops.ways_in import Way
from tests.forge_server import ForgeServer
from tests.git_changes import BACK, CHANGE
from tests.git_remotes import VALUES, Repository, repository
from tests.pull_requests import BACK_BRANCH, BRANCH, NEW, PROTECTED, at_once, forge, waiting, way
from tests.waiting import until

__all__ = ["at_once", "forge", "repository"]
pytestmark = pytest.mark.usefixtures("at_once")


async def merged(forge: ForgeServer, **fields: Any) -> None:
    """Bring the change in."""
    await way(forge, merge=True, **fields).bring_in(CHANGE)


async def test_before_the_merge_the_pull_request_is_closed_and_its_branch_deleted(forge: ForgeServer, repository: Repository) -> None:
    """Nothing is committed for it; again changes nothing."""
    async with waiting(forge):
        pass
    for _ in range(2):
        assert (await way(forge).take_out(CHANGE)).commit is None
        assert [one.state for one in forge.requests.of] == ["closed"]
        assert (forge.requests.branches(), repository.subjects()) == ([], ["First"])


@pytest.mark.slow
async def test_a_branch_without_a_pull_request_is_deleted(forge: ForgeServer) -> None:
    """The release died behind its push."""
    forge.fault, forge.answered = "fault", (503, "away", {})
    with pytest.raises(Unreachable, match="503"):
        await way(forge).bring_in(CHANGE)
    forge.fault = "good"
    course = asyncio.create_task(way(forge).bring_in(CHANGE))

    async def is_pushed() -> bool:
        return bool(forge.requests.branches())

    await until(is_pushed, timeout_seconds=20)
    course.cancel()
    await asyncio.gather(course, return_exceptions=True)
    await way(forge).take_out(CHANGE)
    assert forge.requests.branches() == []
    assert not any(one.state == "open" for one in forge.requests.of)


@pytest.mark.slow
async def test_after_the_merge_the_revert_is_pushed(forge: ForgeServer, repository: Repository) -> None:
    """On top of a colleague's later commits; again finds it."""
    await merged(forge)
    repository.write({"other.txt": b"theirs\n"})
    back = await way(forge).take_out(CHANGE)
    assert (back.commit, repository.read("values.yaml")) == (repository.head, VALUES)
    assert (await way(forge).take_out(CHANGE)).commit == back.commit
    assert (repository.subjects().count(BACK), len(forge.requests.of)) == (1, 1)


@pytest.mark.slow
async def test_a_protected_branch_gets_one_pull_request_of_the_revert(forge: ForgeServer, repository: Repository) -> None:
    """It is refused here at once, so that the cluster is rolled back without Git; once people merge it, it is found."""
    await merged(forge)
    repository.hook("pre-receive", PROTECTED)
    for _ in range(2):
        with pytest.raises(Refused, match=r"the revert of shop 1.1.0 waits for the merge of http://.*/2.*Have it merged"):
            await way(forge).take_out(CHANGE)
    assert [(one.branch, one.state) for one in forge.requests.of] == [(BRANCH, "merged"), (BACK_BRANCH, "open")]
    assert repository.read("values.yaml") == NEW
    forge.requests.merge(2, "merge")
    assert (await way(forge).take_out(CHANGE)).commit == repository.head
    assert (repository.read("values.yaml"), forge.requests.branches()) == (VALUES, [])


@pytest.mark.slow
async def test_a_protected_branch_says_why_it_took_no_push(forge: ForgeServer, repository: Repository) -> None:
    """In the server's words, beside the pull request."""
    await merged(forge)
    repository.hook("pre-receive", PROTECTED)
    with pytest.raises(Refused, match="main is protected"):
        await way(forge).take_out(CHANGE)


@pytest.mark.slow
async def test_a_revert_that_we_may_merge_is_merged_at_once(forge: ForgeServer, repository: Repository) -> None:
    """Where the block asks for pull requests and nothing is missing, no person is needed."""
    await merged(forge)
    repository.hook("pre-receive", PROTECTED)
    back = await way(forge, merge=True, revert="pull_request").take_out(CHANGE)
    assert (back.commit, repository.read("values.yaml")) == (repository.head, VALUES)
    assert [one.state for one in forge.requests.of] == ["merged", "merged"]


@pytest.mark.slow
async def test_a_revert_that_people_close_is_said_each_time(forge: ForgeServer, repository: Repository) -> None:
    """Git says the bad version, so whoever asks must not believe otherwise; no further one is opened."""
    await merged(forge)
    repository.hook("pre-receive", PROTECTED)
    with pytest.raises(Refused, match="waits for the merge"):
        await way(forge).take_out(CHANGE)
    forge.requests.close(2)
    for _ in range(2):
        with pytest.raises(Refused, match=r"/2, which reverts 1.1.0, was closed without being merged. Reopen it"):
            await way(forge).take_out(CHANGE)
    assert len(forge.requests.of) == 2


@pytest.mark.slow
async def test_a_merge_while_it_is_closed_is_reverted(forge: ForgeServer, repository: Repository) -> None:
    """A person merged it between the rollback's look and its request to close it."""
    async with waiting(forge):
        pass
    calls: list[int] = []

    async def a_person_merges() -> None:
        calls.append(1)
        if len(calls) == 1:
            forge.requests.merge(1, "squash", message="Ship it")

    await Way(forge.git(), a_person_merges).take_out(CHANGE)
    assert repository.subjects() == [BACK, "Ship it", "First"]
    assert repository.read("values.yaml") == VALUES


@pytest.mark.slow
async def test_a_colleagues_value_stays(forge: ForgeServer, repository: Repository) -> None:
    """What they set after the merge is theirs."""
    await merged(forge)
    repository.write({"values.yaml": VALUES.replace(b"1.0.0", b"1.2.0")})
    with pytest.raises(WorldMoved, match=r"says `1.2.0`, not `1.1.0` as this release set it"):
        await way(forge).take_out(CHANGE)


@pytest.mark.slow
async def test_a_rollback_to_a_previous_version_is_pushed_too(forge: ForgeServer, repository: Repository) -> None:
    """It is a commit of its own; where the branch refuses it, there is a pull request, and the caller goes on without Git."""
    await way(forge).bring_in(CHANGE, at_once=True)
    assert (repository.read("values.yaml"), forge.requests.of) == (NEW, [])
    repository.hook("pre-receive", PROTECTED)
    back = replace(CHANGE, key="r2/production", version="1.0.0", edits=(replace(CHANGE.edits[0], value="1.0.0", expected="1.1.0"),))
    with pytest.raises(Refused, match=r"the commit of shop 1\.0\.0 waits for the merge"):
        await way(forge).bring_in(back, at_once=True)
    assert (await way(forge).take_out(back)).commit is None
    assert [one.state for one in forge.requests.of] == ["closed"]


async def test_a_change_that_was_reverted_is_not_brought_in_again(forge: ForgeServer, repository: Repository) -> None:
    """A late copy of the release finds the revert, and stops."""
    await merged(forge)
    await way(forge).take_out(CHANGE)
    with pytest.raises(Superseded, match="was reverted"):
        await merged(forge)
    assert repository.read("values.yaml") == VALUES


async def at_each_look(
    act: Callable[[Callable[[], Coroutine[Any, Any, None]]], Coroutine[Any, Any, Any]], check: Callable[[], None]
) -> int:
    """Lose the lease at the first look, then at the second and so on, until the act ends before; gives how often."""
    for last in range(1, 60):
        looked: list[int] = []

        async def before(looked: list[int] = looked, last: int = last) -> None:
            looked.append(1)
            if len(looked) == last:
                raise Superseded("another owner")

        try:
            await act(before)
        except Superseded:
            check()
        else:
            return last
    pytest.fail("it never ends")


@pytest.mark.slow
async def test_who_loses_the_lease_leaves_nothing_open_that_is_merged_later(forge: ForgeServer, repository: Repository) -> None:
    """At any of its looks: what is open then is its one pull request, which whoever took over finds and closes."""

    def one_at_most() -> None:
        assert sum(one.state == "open" for one in forge.requests.of) <= 1

    looks = await at_each_look(lambda before: Way(forge.git(merge=True), before).bring_in(CHANGE), one_at_most)
    assert looks > 3
    assert (repository.read("values.yaml"), [one.state for one in forge.requests.of].count("merged")) == (NEW, 1)


async def test_a_late_copy_that_opens_one_behind_the_rollback_closes_it(forge: ForgeServer, repository: Repository) -> None:
    """The lease goes between its look and its request; the other one saw nothing to close yet."""
    looked: list[int] = []

    async def before() -> None:
        looked.append(1)
        if forge.requests.of:
            raise Superseded("another owner")

    with pytest.raises(Superseded):
        await Way(forge.git(), before).bring_in(CHANGE)
    assert [one.state for one in forge.requests.of] == ["closed"]
    assert repository.subjects() == ["First"]
