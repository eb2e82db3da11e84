"""The change log is read from a real Git repository."""

import os
import subprocess
from pathlib import Path

import pytest

from blocks.errors import BadInput
from tasks.evidence.change_log import read_change_log
from tasks.rules.plan.plan import ChangeLog as Spec

WHO = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "a@example.org"}


def git(folder: Path, *arguments: str) -> None:
    """Run Git without anybody's settings."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **WHO}
    subprocess.run(["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True)


def commit(folder: Path, file: str, subject: str) -> None:
    """Change one file and commit it."""
    (folder / file).parent.mkdir(exist_ok=True)
    with (folder / file).open("a") as out:
        out.write("x\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", subject)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 1.0 ← 1.1 ← 1.2 and a branch 1.0.1 that starts at 1.0."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-b", "main")
    commit(folder, "app/a", "Begin")
    git(folder, "tag", "v1.0")
    commit(folder, "app/a", "Add pages with ünïcode; $(id) | `x`")
    commit(folder, "docs/b", "Explain")
    git(folder, "tag", "v1.1")
    commit(folder, "app/a", "Speed up")
    git(folder, "tag", "v1.2")
    git(folder, "tag", "-a", "-m", "the same again", "v1.2.0")
    git(folder, "checkout", "-b", "fix", "v1.0")
    commit(folder, "app/c", "Fix")
    git(folder, "tag", "v1.0.1")
    return folder


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, "1.1", ("first", 3, 0)),
        ("1.0", "1.2", ("upgrade", 3, 0)),
        ("1.2", "1.0", ("downgrade", 0, 3)),
        ("1.0.1", "1.1", ("sideways", 2, 1)),
        ("1.2", "1.2.0", ("same", 0, 0)),
    ],
)
async def test_the_changes_lie_between_two_tags(repository: Path, old: str | None, new: str, expected: tuple[str, int, int]) -> None:
    """First, forward, back and sideways are told apart, with what each brings and takes back."""
    log = await read_change_log.fn(repository, Spec(), from_version=old, to_version=new)
    assert (log.direction, len(log.commits), len(log.taken_back)) == expected


async def test_a_commit_is_read_whole(repository: Path) -> None:
    """Author, time and subject arrive as they were written, newest first."""
    log = await read_change_log.fn(repository, Spec(), from_version="1.0", to_version="1.1")
    assert [one.subject for one in log.commits] == ["Explain", "Add pages with ünïcode; $(id) | `x`"]
    assert log.commits[0].author == "Ada"
    assert log.commits[0].at > 1_700_000_000
    assert len(log.commits[0].hash) == 40


async def test_only_the_named_paths_count(repository: Path) -> None:
    """Commits that touch nothing of the plan's paths are left out; a path with a pattern is a name."""
    log = await read_change_log.fn(repository, Spec(paths=["docs"]), from_version="1.0", to_version="1.2")
    assert [one.subject for one in log.commits] == ["Explain"]
    nothing = await read_change_log.fn(repository, Spec(paths=[":(glob)**"]), from_version="1.0", to_version="1.2")
    assert nothing.commits == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("1.0", "9.9", "no tag v9.9"), ("0.9", "1.0", "no tag v0.9"), ("1.0", "--all", "not a version"), ("1.0", "main", "no tag vmain")],
)
async def test_a_version_without_a_tag_is_named(repository: Path, old: str, new: str, words: str) -> None:
    """The missing tag is in the message, and a branch is not a version."""
    with pytest.raises(BadInput, match=words):
        await read_change_log.fn(repository, Spec(), from_version=old, to_version=new)


async def test_a_cut_off_history_is_refused(repository: Path, tmp_path: Path) -> None:
    """A shallow clone would hide changes, so it is refused with the fix."""
    git(tmp_path, "clone", "--depth", "1", "--branch", "v1.2", f"file://{repository}", "shallow")
    with pytest.raises(BadInput, match="git fetch --unshallow"):
        await read_change_log.fn(tmp_path / "shallow", Spec(), from_version=None, to_version="1.2")


async def test_no_repository_is_said(tmp_path: Path) -> None:
    """A folder without Git ends in a plain error, and so does a folder that is not there."""
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadInput, match="cannot be read as a Git repository"):
            await read_change_log.fn(folder, Spec(), from_version=None, to_version="1.0")


@pytest.fixture
def long_history(tmp_path: Path) -> Path:
    """Make 520 commits at once."""
    git(tmp_path, "init", "-b", "main")
    lines = "".join(f"commit refs/heads/main\nmark :{i}\ncommitter Ada <a@x> {i} +0000\ndata 2\n{i % 10}\n\n" for i in range(1, 521))
    subprocess.run(["git", "fast-import", "--quiet"], cwd=tmp_path, input=lines.encode(), check=True, capture_output=True)
    git(tmp_path, "tag", "v1", "main")
    return tmp_path


async def test_a_long_history_is_bounded(long_history: Path) -> None:
    """Of more than 500 commits the newest 500 are kept, and that is said."""
    log = await read_change_log.fn(long_history, Spec(), from_version=None, to_version="1")
    assert (len(log.commits), log.more) == (500, True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        "i18n.logOutputEncoding=UTF-16",
        "i18n.logOutputEncoding=latin1",
        "log.showSignature=true",
        "format.pretty=oneline",
        "log.follow=true",
        "color.ui=always",
    ],
)
async def test_the_repositorys_own_settings_do_not_change_what_is_read(repository: Path, setting: str) -> None:
    """They are a file of the repository, and say how a person wants to see a log."""
    name, _, value = setting.partition("=")
    expected = await read_change_log.fn(repository, Spec(), from_version="1.0", to_version="1.2")
    git(repository, "config", name, value)
    try:
        assert await read_change_log.fn(repository, Spec(), from_version="1.0", to_version="1.2") == expected
    finally:
        git(repository, "config", "--unset", name)
