"""A change by a pull request, on a forge of the tests over a real repository: opened or adopted, followed through merge, undone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from blocks.errors import RolloutFailed, WorldMoved
from tests.forge_server import ForgeServer, serving_forge
from tests.git_changes import BACK, CHANGE, OURS
from tests.git_remotes import VALUES, Repository, git, repository
from tests.pull_requests import BRANCH, METHODS, NEW, at_once, ended, forge, waiting, way

__all__ = ["at_once", "forge", "repository"]
pytestmark = pytest.mark.usefixtures("at_once")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "method", "project"), METHODS)
async def test_a_change_is_merged_and_its_commit_is_what_the_forge_says(
    repository: Repository, kind: str, method: str, project: dict[str, Any]
) -> None:
    """However it is merged, that commit is on the branch and has the edit, the branch is tidied up, and it can be reverted."""
    with serving_forge(kind, repository) as forge:
        forge.project = project
        made = await way(forge, merge=True, method=method).bring_in(CHANGE)
        assert made.commit == repository.head == forge.requests.of[0].commits["last"]
        assert repository.read("values.yaml") == NEW
        assert forge.requests.branches() == []
        back = await way(forge, merge=True, method=method).take_out(CHANGE)
        assert back.commit == repository.head
        assert repository.read("values.yaml") == VALUES
        assert [one.state for one in forge.requests.of] == ["merged"]


async def test_the_pull_request_says_what_the_release_is_about(forge: ForgeServer) -> None:
    """Service, version, release and diff for people; the trailers last, where a squash keeps them."""
    async with waiting(forge):
        (opened,) = forge.requests.of
    assert (opened.branch, opened.into, opened.title) == (BRANCH, "main", OURS)
    for part in ("`shop`", "`1.1.0`", "`r1`", "-  tag: 1.0.0  # now", "+  tag: 1.1.0  # now"):
        assert part in opened.body
    assert "Shipway-Change: r1/production/promote" in opened.body.strip().rpartition("\n\n")[2].splitlines()


async def test_people_merge_and_the_release_goes_on(forge: ForgeServer, repository: Repository) -> None:
    """Shipway merges nothing by itself, and looks until they have."""
    async with waiting(forge) as course:
        await asyncio.sleep(1)
        assert not course.done()
        forge.requests.merge(1, "merge")
        made = await ended(course)
    assert made.commit == repository.head
    assert not any(one.endswith("/merge") for one in forge.asked)


async def test_a_squash_by_people_without_our_words_is_found(forge: ForgeServer, repository: Repository) -> None:
    """Its message has no trailer; the forge says which commit it is, and the revert undoes that one."""
    async with waiting(forge) as course:
        forge.requests.merge(1, "squash", message="Ship it (!1)")
        made = await ended(course)
    assert (made.commit, repository.subjects()) == (repository.head, ["Ship it (!1)", "First"])
    await way(forge).take_out(CHANGE)
    assert repository.subjects() == [BACK, "Ship it (!1)", "First"]
    assert repository.read("values.yaml") == VALUES


async def test_a_merge_commit_is_found_by_our_own_trailer_while_the_forge_is_away(forge: ForgeServer, repository: Repository) -> None:
    """Git alone says that it is merged, once the forge's words are gone; there is no second pull request."""
    async with waiting(forge) as course:
        forge.requests.merge(1, "merge")
        await ended(course)
    forge.requests.of.clear()
    made = await way(forge).bring_in(CHANGE)
    assert made.commit == git(repository.bare, "rev-parse", "main^2")
    assert forge.requests.of == []


async def test_an_open_pull_request_of_the_branch_is_adopted(forge: ForgeServer) -> None:
    """Whoever opened it: the next attempt of the release, or a copy of it."""
    async with waiting(forge):
        pass
    async with waiting(forge) as course:
        forge.requests.merge(1, "merge")
        await ended(course)
    assert len(forge.requests.of) == 1


async def test_a_pull_request_that_people_close_ends_the_release(forge: ForgeServer, repository: Repository) -> None:
    """For good: another attempt opens no second one, and the rollback has nothing to revert."""
    async with waiting(forge) as course:
        forge.requests.close(1)
        with pytest.raises(RolloutFailed, match=r"/1 was closed without being merged, so 1.1.0 is not released"):
            await ended(course)
    with pytest.raises(RolloutFailed, match="closed without being merged"):
        await way(forge).bring_in(CHANGE)
    assert (await way(forge).take_out(CHANGE)).commit is None
    assert (repository.subjects(), forge.requests.branches(), len(forge.requests.of)) == (["First"], [], 1)


@pytest.mark.slow
async def test_a_merge_that_never_comes_ends_the_release(forge: ForgeServer) -> None:
    """It names the pull request and what it waits for."""
    forge.requests.needs_review = True
    with pytest.raises(RolloutFailed, match=r"/1 was not merged within 3 s: .*(review|approved)"):
        await way(forge, merge=True, merge_timeout_seconds=3).bring_in(CHANGE)


@pytest.mark.slow
async def test_a_review_that_is_missing_is_waited_for(forge: ForgeServer, repository: Repository) -> None:
    """Shipway merges it once it may."""
    forge.requests.needs_review = True
    async with waiting(forge, merge=True) as course:
        await asyncio.sleep(1)
        assert not course.done()
        forge.requests.approved.add(1)
        assert (await ended(course)).commit == repository.head


@pytest.mark.slow
async def test_a_conflict_is_resolved_by_the_same_edit_on_the_new_head(forge: ForgeServer, repository: Repository) -> None:
    """A colleague changed the line beside ours: their change stays, and there is one pull request."""
    forge.requests.needs_review = True
    async with waiting(forge, merge=True) as course:
        theirs = VALUES.replace(b"repository: shop", b"repository: store")
        repository.write({"values.yaml": theirs})
        forge.requests.needs_review = False
        made = await ended(course)
    assert made.commit == repository.head
    assert repository.read("values.yaml") == theirs.replace(b"1.0.0", b"1.1.0")
    assert len(forge.requests.of) == 1


async def test_a_colleagues_value_is_not_overwritten(forge: ForgeServer, repository: Repository) -> None:
    """Another commit set our value meanwhile: the release stops, and theirs stays."""
    async with waiting(forge) as course:
        repository.write({"values.yaml": VALUES.replace(b"1.0.0", b"0.9.9")})
        with pytest.raises(WorldMoved, match=r"says `0.9.9`, not `1.0.0`"):
            await ended(course)
    assert b"0.9.9" in repository.read("values.yaml")


@pytest.mark.slow
async def test_others_commits_on_the_branch_are_left_to_people(forge: ForgeServer, repository: Repository) -> None:
    """Shipway merges only what it has made; once people merge it, our edit in it counts."""
    forge.requests.needs_review = True
    async with waiting(forge, merge=True) as course:
        git(repository.clone, "fetch", "-q", "origin", f"{BRANCH}:theirs")
        git(repository.clone, "checkout", "-q", "theirs")
        (repository.clone / "other.txt").write_text("theirs\n")
        git(repository.clone, "commit", "-q", "-a", "-m", "Theirs")
        git(repository.clone, "push", "-q", "origin", f"HEAD:refs/heads/{BRANCH}")
        forge.requests.approved.add(1)
        await asyncio.sleep(1.5)
        assert not course.done()
        forge.requests.merge(1, "merge")
        made = await ended(course)
    assert (made.commit, repository.read("other.txt")) == (repository.head, b"theirs\n")


async def test_what_is_merged_with_another_content_stops_the_release(forge: ForgeServer, repository: Repository) -> None:
    """A person edited the pull request to another version; it is theirs, and not reverted."""
    async with waiting(forge) as course:
        git(repository.clone, "fetch", "-q", "origin", f"{BRANCH}:theirs")
        git(repository.clone, "checkout", "-q", "theirs")
        (repository.clone / "values.yaml").write_bytes(VALUES.replace(b"1.0.0", b"1.3.0"))
        git(repository.clone, "commit", "-q", "-a", "-m", "Theirs")
        git(repository.clone, "push", "-q", "origin", f"HEAD:refs/heads/{BRANCH}")
        forge.requests.merge(1, "squash", message="Theirs")
        with pytest.raises(WorldMoved, match=r"with another content: values.yaml:4 says `1.3.0`, not `1.1.0`"):
            await ended(course)


async def test_what_git_says_already_needs_no_pull_request(forge: ForgeServer, repository: Repository) -> None:
    """Nothing is opened."""
    repository.write({"values.yaml": NEW})
    assert (await way(forge).bring_in(CHANGE)).commit is None
    assert (forge.requests.of, forge.requests.branches()) == ([], [])


async def test_two_changes_of_a_release_have_two_pull_requests(forge: ForgeServer) -> None:
    """One for each environment, and one more if the version is deployed again after it was stopped."""
    async with waiting(forge):
        pass
    forge.requests.close(1)
    async with waiting(forge, replace(CHANGE, key="r1/production/again")):
        assert [one.state for one in forge.requests.of] == ["closed", "open"]
