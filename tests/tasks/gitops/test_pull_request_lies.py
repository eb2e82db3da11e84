"""What a forge says of a merge counts only if Git says it, too: that the commit is on the branch and made our change, or undid it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from blocks.errors import Refused, WorldMoved
from tests.forge_server import ForgeServer, serving_forge
from tests.git_changes import CHANGE
from tests.git_remotes import VALUES, Repository, repository
from tests.pull_requests import NEW, PROTECTED, at_once, waiting, way

__all__ = ["at_once", "repository"]
pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def forge(repository: Repository) -> Iterator[ForgeServer]:
    """Serve one; what the kinds say is read into the same field."""
    with serving_forge("github", repository) as server:
        yield server


def lie(forge: ForgeServer, number: int, commit: str) -> None:
    """Let the forge say that a pull request is merged as another commit."""
    request = forge.requests.of[number - 1]
    request.state = "merged"
    request.commits["last"] = commit


@pytest.mark.slow
@pytest.mark.parametrize("of", ["the commit before", "a colleague's commit", "no commit of the branch"])
async def test_a_change_is_reverted_although_the_forge_names_another_commit(of: str, forge: ForgeServer, repository: Repository) -> None:
    """What the other commit did is not ours to undo; ours is found in Git."""
    first = repository.head
    await way(forge, merge=True).bring_in(CHANGE)
    theirs = repository.write({"other.txt": b"theirs\n"})
    lie(forge, 1, {"the commit before": first, "a colleague's commit": theirs, "no commit of the branch": "e" * 40}[of])
    back = await way(forge).take_out(CHANGE)
    assert (back.commit, repository.read("values.yaml")) == (repository.head, VALUES)
    assert repository.read("other.txt") == b"theirs\n"


@pytest.mark.slow
async def test_a_revert_that_the_forge_only_says_is_merged_is_not_believed(forge: ForgeServer, repository: Repository) -> None:
    """The commit before the change does not have it either, and undid nothing: Git still says the bad version."""
    first = repository.head
    await way(forge, merge=True).bring_in(CHANGE)
    repository.hook("pre-receive", PROTECTED)
    with pytest.raises(Refused, match="waits for the merge"):
        await way(forge).take_out(CHANGE)
    lie(forge, 2, first)
    with pytest.raises(Refused, match="waits for the merge"):
        await way(forge).take_out(CHANGE)
    assert repository.read("values.yaml") == NEW


async def test_a_change_that_the_forge_only_says_is_merged_is_not_deployed(forge: ForgeServer, repository: Repository) -> None:
    """The commit that it names has other values."""
    async with waiting(forge) as course:
        lie(forge, 1, repository.head)
        with pytest.raises(WorldMoved, match="with another content"):
            await course


async def test_a_later_commit_with_our_values_is_not_the_one_that_made_them(forge: ForgeServer, repository: Repository) -> None:
    """What is followed and reverted is the merge itself."""
    async with waiting(forge) as course:
        merged = forge.requests.merge(1, "merge").commits["last"]
        lie(forge, 1, repository.write({"other.txt": b"theirs\n"}))
        found = await course
    assert found.commit != repository.head
    assert found.commit in {merged, forge.requests.of[0].head}
