"""The page of a deployment is committed once, as new files, to a real remote; whatever fails is said and changes nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from blocks.errors import BadInput, Refused, ShipwayError
from blocks.git.git import Git
from tasks.documentation import commit as module
from tasks.documentation.commit import commit_page
from tests.git_remotes import VALUES, Repository, git, repository

__all__ = ["repository"]

RUN = "0badcafe-1111-2222-3333-444455556666"
PAGE = "docs/deployments/2026-11-30-1.2.0-0badcafe.md"
FILES = {PAGE: b"# A page\n", PAGE.replace(".md", "-1.svg"): b"<svg/>"}


@pytest.fixture(autouse=True)
def at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between pushes, and keep work copies in a folder of the test."""
    monkeypatch.setattr(module, "FIRST_WAIT_SECONDS", 0.001)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


async def commit(repository: Repository, *, run: str = RUN, files: dict[str, bytes] | None = None) -> str:
    """Commit without Prefect's retries."""
    return await commit_page.fn(Git(remote=repository.url), files or FILES, run=run, subject="Document shop 1.2.0")


async def test_a_page_and_its_pictures_are_one_commit_of_new_files(repository: Repository) -> None:
    """Nothing else is touched."""
    head = await commit(repository)
    assert head == repository.head
    assert {name: repository.read(name) for name in FILES} == FILES
    assert repository.read("values.yaml") == VALUES
    assert git(repository.bare, "show", "--format=", "--name-status", "main").splitlines() == [f"A\t{name}" for name in sorted(FILES)]
    assert git(repository.bare, "log", "-1", "--format=%(trailers:only)", "main") == f"Shipway-Documents: {RUN}"


@pytest.mark.parametrize("change", ["nothing", "edited", "removed"])
async def test_a_page_that_was_committed_is_adopted_whatever_became_of_it(repository: Repository, change: str) -> None:
    """A run that is closed once more, also with another template, commits nothing more and overwrites nothing."""
    first = await commit(repository)
    if change == "edited":
        repository.write({PAGE: b"by hand"})
    if change == "removed":
        git(repository.clone, "fetch", "-q", "origin")
        git(repository.clone, "reset", "-q", "--hard", "origin/main")
        git(repository.clone, "rm", "-q", PAGE)
        repository.push("Remove it")
    head = repository.head
    assert await commit(repository, files={**FILES, PAGE: b"# Made anew\n"}) == first
    assert repository.head == head


async def test_a_file_that_others_put_there_is_not_overwritten(repository: Repository) -> None:
    """It is said, and stays."""
    repository.write({PAGE: b"theirs"})
    with pytest.raises(BadInput, match="it is there already"):
        await commit(repository)
    assert repository.read(PAGE) == b"theirs"


async def test_a_trailer_of_others_does_not_keep_the_page_out(repository: Repository) -> None:
    """Anyone can write that line into a commit; it has no page."""
    repository.write({"other.txt": b"x"}, message=f"Mine\n\nShipway-Documents: {RUN}")
    await commit(repository)
    assert repository.read(PAGE) == FILES[PAGE]


@pytest.mark.parametrize("name", ["docs", "docs/deployments"])
async def test_a_link_or_a_file_in_the_place_of_the_folder_is_not_written_through(repository: Repository, name: str) -> None:
    """What the plan names must be a folder."""
    (repository.clone / name).parent.mkdir(exist_ok=True)
    (repository.clone / name).symlink_to("/etc")
    repository.push("A link")
    with pytest.raises(BadInput, match="is a symbolic link, not a folder"):
        await commit(repository)


async def test_a_commit_of_a_colleague_at_the_same_moment_is_kept(repository: Repository) -> None:
    """The first push is rejected; the page goes on top of the colleague's commit."""
    repository.hook("update", 'test -f ../hit || { touch ../hit; echo "no" >&2; exit 1; }')
    await commit(repository)
    assert repository.subjects() == ["Document shop 1.2.0", "First"]


async def test_a_branch_that_takes_no_push_is_said(repository: Repository) -> None:
    """With the server's words, after a few tries."""
    repository.hook("update", "echo protected branch >&2; exit 1")
    with pytest.raises(Refused, match="took none of 6 pushes"):
        await commit(repository)
    assert repository.subjects() == ["First"]


async def test_a_push_whose_answer_is_lost_is_found(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was taken, and git says that it was not: the next look finds it, and nothing is committed twice."""
    real = module.WorkCopy.push

    async def push(self: module.WorkCopy, commit: str, *, parent: str) -> module.Pushed:
        await real(self, commit, parent=parent)
        return module.Pushed(taken=False, answered=False, said="cut off")

    monkeypatch.setattr(module.WorkCopy, "push", push)
    assert await commit(repository) == repository.head
    assert repository.subjects() == ["Document shop 1.2.0", "First"]


async def test_a_remote_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    """Whoever calls can say it."""
    with pytest.raises(ShipwayError):
        await commit_page.fn(Git(remote=(tmp_path / "nowhere").as_uri()), FILES, run=RUN, subject="x")
