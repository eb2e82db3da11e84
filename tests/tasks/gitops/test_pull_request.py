"""A change by a pull request, on a forge of the tests over a real repository: one forward, at most one back, whatever fails."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import ShipwayError
from tasks.gitops import commit, pull_request, ways_in
from tasks.gitops.commit import Committed
from tasks.gitops.ways_in import Way
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.proposal import branch_of
from tasks.rules.gitops.targets import YamlPath
from tests.forge_server import KINDS, ForgeServer, serving_forge
from tests.git_remotes import VALUES, Repository, repository
from tests.waiting import until

__all__ = ["repository"]

CHANGE = Change(
    key="r1/production/promote",
    edits=(Edit("values.yaml", YamlPath("image.tag"), "1.1.0", "1.0.0"),),
    service="shop",
    version="1.1.0",
    release="r1",
    digest="d1",
    approvers=("ann",),
    reason="the basket",
    token=7,
)
OURS = "Deploy shop 1.1.0"
BACK = "Revert shop 1.1.0"
NEW = VALUES.replace(b"1.0.0", b"1.1.0")
BRANCH, BACK_BRANCH = branch_of(CHANGE), branch_of(CHANGE, reverts=True)
# How each forge merges: the method that the block names, and what the project says of itself.
METHODS = [
    ("github", "merge", {}),
    ("github", "squash", {}),
    ("github", "rebase", {}),
    ("gitlab", "merge", {"merge_method": "merge"}),
    ("gitlab", "squash", {"merge_method": "merge"}),
    ("gitlab", "squash", {"merge_method": "ff"}),
    ("gitlab", "rebase", {"merge_method": "ff"}),
]


@pytest.fixture(autouse=True)
def at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little, and keep work copies in a folder of the test."""
    for module, name, seconds in (
        (pull_request, "FIRST_PAUSE_SECONDS", 0.05),
        (pull_request, "LONGEST_PAUSE_SECONDS", 0.1),
        (pull_request, "PATIENCE_SECONDS", 3.0),
        (ways_in, "PAUSE_SECONDS", 0.05),
        (ways_in, "MERGE_SECONDS", 5.0),
        (commit, "MOST_WAIT_SECONDS", 0.01),
    ):
        monkeypatch.setattr(module, name, seconds)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture(params=KINDS)
def forge(request: pytest.FixtureRequest, repository: Repository) -> Iterator[ForgeServer]:
    """Serve one forge, and the other."""
    with serving_forge(request.param, repository) as server:
        yield server


def way(forge: ForgeServer, **fields: Any) -> Way:
    """Return the way into the forge's repository."""
    return Way(forge.git(**fields))


@asynccontextmanager
async def waiting(forge: ForgeServer, change: Change = CHANGE, **fields: Any) -> AsyncIterator[asyncio.Task[Committed]]:
    """Bring a change in beside the test, and go on once its pull request is open."""
    course = asyncio.create_task(way(forge, **fields).bring_in(change))

    async def is_open() -> bool:
        return any(one.state == "open" for one in forge.requests.of) or course.done()

    try:
        await until(is_open, timeout_seconds=20)
        yield course
    finally:
        course.cancel()
        with suppress(asyncio.CancelledError, ShipwayError):
            await course


async def ended(course: asyncio.Task[Committed]) -> Committed:
    """Wait for its end."""
    return await asyncio.wait_for(course, 30)


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
    assert not any("/merge" in one.partition("?")[0].removesuffix("/merge_requests") and one.startswith("PUT") for one in forge.asked)


async def test_a_squash_by_people_without_our_words_is_found(forge: ForgeServer, repository: Repository) -> None:
    """Its message has no trailer; the forge says which commit it is, and the revert undoes that one."""
    async with waiting(forge) as course:
        forge.requests.merge(1, "squash", message="Ship it (!1)")
        made = await ended(course)
    assert (made.commit, repository.subjects()) == (repository.head, ["Ship it (!1)", "First"])
    await way(forge).take_out(CHANGE)
    assert repository.subjects() == [BACK, "Ship it (!1)", "First"]
    assert repository.read("values.yaml") == VALUES
