"""Commits of a release against real remotes: one forward, one back, never over another's change, whatever fails in between."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.errors import BadInput, Refused, Superseded, Temporary, Unreachable, WorldMoved
from blocks.git.git import Git
from tasks.gitops import commit as module
from tasks.gitops.commit import Committed, commit_change, revert_change
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.targets import YamlPath
from tests.git_changes import BACK, CHANGE, OURS
from tests.git_remotes import TOKEN, VALUES, HttpRemote, Repository, git, http_remote, repository

__all__ = ["http_remote", "repository"]

# What a server's hook needs to commit in the place of a colleague: the hook's own objects are in quarantine.
COLLEAGUE = """
unset GIT_QUARANTINE_PATH GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES
export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@x
git update-ref refs/heads/main $(echo other | git commit-tree -p refs/heads/main refs/heads/main^{tree})
"""


@pytest.fixture(autouse=True)
def at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between pushes, and keep work copies in a folder of the test."""
    monkeypatch.setattr(module, "MOST_WAIT_SECONDS", 0.01)
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


async def commit(block: Git, change: Change = CHANGE, *, known_head: str | None = None) -> Committed:
    """Commit without Prefect's retries."""
    return await commit_change.fn(block, change, known_head=known_head)


async def revert(block: Git, change: Change = CHANGE) -> Committed:
    """Revert without Prefect's retries."""
    return await revert_change.fn(block, change)


async def test_a_change_is_one_commit_with_its_trailers(repository: Repository) -> None:
    """The edit alone, and who approved what."""
    made = await commit(Git(remote=repository.url))
    assert (made.commit, made.head, made.pushed) == (repository.head, repository.head, True)
    assert repository.read("values.yaml") == VALUES.replace(b"1.0.0", b"1.1.0")
    assert "-  tag: 1.0.0  # now\n+  tag: 1.1.0  # now\n" in made.diff
    trailers = git(repository.bare, "log", "-1", "--format=%(trailers:only)", "main").splitlines()
    assert {"Shipway-Change: r1/production/promote", "Shipway-Approver: ann", "Shipway-Token: 7", "Shipway-Digest: d1"} <= set(trailers)
    assert repository.subjects() == [OURS, "First"]


async def test_a_change_committed_again_is_found(repository: Repository) -> None:
    """Also under a colleague's later commits, which even may have changed the value."""
    block = Git(remote=repository.url)
    first = await commit(block)
    repository.write({"values.yaml": VALUES.replace(b"1.0.0", b"3.0.0")})
    again = await commit(block)
    assert (again.commit, again.pushed, again.head) == (first.commit, False, repository.head)
    assert repository.subjects().count(OURS) == 1


async def test_several_values_are_one_commit(repository: Repository) -> None:
    """Weights and images of one step belong together."""
    edits = (*CHANGE.edits, Edit("values.yaml", YamlPath("replicas"), 3, 2))
    await commit(Git(remote=repository.url), replace(CHANGE, edits=edits))
    assert repository.read("values.yaml") == VALUES.replace(b"1.0.0", b"1.1.0").replace(b"replicas: 2", b"replicas: 3")
    assert repository.subjects() == [OURS, "First"]


async def test_what_git_says_already_is_not_committed(repository: Repository) -> None:
    """There is no empty commit, and nothing to revert later."""
    repository.write({"values.yaml": VALUES.replace(b"1.0.0", b"1.1.0")})
    made = await commit(Git(remote=repository.url))
    assert (made.commit, made.pushed) == (None, False)
    assert (await revert(Git(remote=repository.url))).commit is None
    assert repository.subjects() == ["A colleague's change", "First"]


async def test_a_colleagues_value_is_not_overwritten(repository: Repository) -> None:
    """Another value than the reviewed one stays."""
    repository.write({"values.yaml": VALUES.replace(b"1.0.0", b"0.9.9")})
    with pytest.raises(WorldMoved, match=r"says `0.9.9`, not `1.0.0`"):
        await commit(Git(remote=repository.url))
    assert repository.subjects() == ["A colleague's change", "First"]


@pytest.mark.slow
async def test_ten_rejected_pushes_in_a_row_are_gone_through(repository: Repository) -> None:
    """Each time a colleague was faster; the edit is made again on each head, and there is one commit of ours."""
    repository.hook(
        "pre-receive", f'n=$(cat count 2>/dev/null || echo 0)\n[ "$n" -ge 10 ] && exit 0\necho $((n+1)) >count\n{COLLEAGUE}\nexit 1'
    )
    made = await commit(Git(remote=repository.url))
    assert made.pushed
    assert repository.subjects() == [OURS, *["other"] * 10, "First"]


@pytest.mark.slow
async def test_pushes_end_where_others_never_do(repository: Repository) -> None:
    """The next try of the task may have more luck."""
    repository.hook("pre-receive", f"{COLLEAGUE}\nexit 1")
    with pytest.raises(Temporary, match="took none of 15 pushes"):
        await commit(Git(remote=repository.url))
    assert OURS not in repository.subjects()


async def test_a_protected_branch_is_refused(repository: Repository) -> None:
    """No other commit came and yet no push is taken; the server's words are quoted, and not judged."""
    repository.hook("pre-receive", "echo connection reset, main is protected >&2\nexit 1")
    with pytest.raises(Refused, match="main is protected"):
        await commit(Git(remote=repository.url))
    assert repository.subjects() == ["First"]


async def test_a_commit_that_comes_back_after_rejections_is_pushed_once(repository: Repository) -> None:
    """A server that could not take its lock for a moment is asked again."""
    repository.hook("pre-receive", 'n=$(cat count 2>/dev/null || echo 0)\necho $((n+1)) >count\n[ "$n" -ge 2 ]')
    assert (await commit(Git(remote=repository.url))).pushed
    assert repository.subjects() == [OURS, "First"]


async def test_a_push_whose_answer_is_lost_is_not_made_again(repository: Repository, http_remote: HttpRemote) -> None:
    """The server took it and hung up: it is found by its trailer."""
    http_remote.drop_push = True
    made = await commit(Git(remote=http_remote.url, token=SecretStr(TOKEN)))
    assert made.commit == repository.head
    assert repository.subjects() == [OURS, "First"]
    assert sum("POST" in one and "receive-pack" in one for one in http_remote.seen) == 1


@pytest.mark.slow
async def test_a_push_without_an_answer_is_unreachable(repository: Repository) -> None:
    """It does not have the commit and the time is up: nothing says that a rule refused it."""
    repository.hook("pre-receive", "sleep 20; exit 1")
    with pytest.raises(Unreachable, match="gave no answer"):
        await commit(Git(remote=repository.url, timeout_seconds=3))
    assert repository.subjects() == ["First"]


async def test_a_remote_that_is_away_is_unreachable(repository: Repository) -> None:
    """The task's policy tries for minutes."""
    with pytest.raises(Unreachable):
        await commit(Git(remote="http://127.0.0.1:1/remote.git", token=SecretStr(TOKEN)))
    assert repository.subjects() == ["First"]


async def test_a_rewritten_history_is_not_built_upon(repository: Repository) -> None:
    """The head that was reviewed is gone: a person looks first."""
    reviewed = repository.write({"other.txt": b"reviewed\n"})
    git(repository.clone, "push", "-q", "--force", "origin", "HEAD^:refs/heads/main")
    with pytest.raises(WorldMoved, match="history was rewritten"):
        await commit(Git(remote=repository.url), known_head=reviewed)
    assert repository.subjects() == ["First"]


async def test_a_history_rewritten_between_two_pushes_is_noticed(repository: Repository) -> None:
    """The push is rejected and the head does not descend from the one before."""
    repository.write({"other.txt": b"more\n"})
    repository.hook("pre-receive", f"{COLLEAGUE.replace('-p refs/heads/main ', '')}\nexit 1")
    with pytest.raises(WorldMoved, match="history was rewritten"):
        await commit(Git(remote=repository.url))
    assert repository.subjects() == ["other"]


async def test_a_revert_undoes_our_change_alone(repository: Repository) -> None:
    """On top of a colleague's later commits, of which one is in the same file; again it does nothing."""
    block = Git(remote=repository.url)
    made = await commit(block)
    theirs = repository.read("values.yaml").replace(b"replicas: 2", b"replicas: 5") + b"extra: 1\n"
    repository.write({"values.yaml": theirs, "other.txt": b"theirs\n"})
    back = await revert(block)
    assert back.pushed
    assert repository.read("values.yaml") == theirs.replace(b"1.1.0", b"1.0.0")
    assert repository.read("other.txt") == b"theirs\n"
    assert f"Shipway-Reverts: {made.commit}" in git(repository.bare, "log", "-1", "--format=%B", "main")
    assert not (await revert(block)).pushed
    assert repository.subjects() == [BACK, "A colleague's change", OURS, "First"]


async def test_a_revert_restores_the_characters(repository: Repository) -> None:
    """Our edit put quotes around the value; the revert takes them away."""
    change = replace(CHANGE, edits=(Edit("values.yaml", YamlPath("image.tag"), "1.20"),), version="1.20")
    await commit(Git(remote=repository.url), change)
    assert b'tag: "1.20"  # now' in repository.read("values.yaml")
    await revert(Git(remote=repository.url), change)
    assert repository.read("values.yaml") == VALUES


async def test_a_revert_leaves_a_value_that_a_colleague_set(repository: Repository) -> None:
    """It is theirs by now; a person decides."""
    await commit(Git(remote=repository.url))
    repository.write({"values.yaml": VALUES.replace(b"1.0.0", b"1.2.0")})
    with pytest.raises(WorldMoved, match=r"says `1.2.0`, not `1.1.0` as this release set it"):
        await revert(Git(remote=repository.url))
    assert BACK not in repository.subjects()


async def test_a_revert_of_what_was_never_made_does_nothing(repository: Repository) -> None:
    """It begins to look in Git, not in a memory."""
    assert (await revert(Git(remote=repository.url))).commit is None
    assert repository.subjects() == ["First"]


async def test_a_fence_takes_the_place_of_a_change_that_was_never_made(repository: Repository) -> None:
    """A commit without content; whoever still wants the change learns that it is reverted, and asked again it is found."""
    block = Git(remote=repository.url)
    fenced = await revert_change.fn(block, CHANGE, fence=True)
    assert (fenced.pushed, fenced.commit) == (True, repository.head)
    assert repository.read("values.yaml") == VALUES
    with pytest.raises(Superseded, match="was reverted in"):
        await commit(block)
    assert (await revert_change.fn(block, CHANGE, fence=True)).pushed is False
    assert repository.subjects() == [BACK, "First"]


async def test_a_push_that_is_late_is_kept_out_by_a_fence(repository: Repository) -> None:
    """The fence comes between the last look and the push: the push is rejected, and is not made again."""
    block = Git(remote=repository.url)

    async def another_reverts() -> None:
        await revert_change.fn(block, CHANGE, fence=True)

    with pytest.raises(Superseded):
        await commit_change.fn(block, CHANGE, before_push=another_reverts)
    assert repository.subjects() == [BACK, "First"]
    assert repository.read("values.yaml") == VALUES


async def test_a_fence_that_comes_late_reverts_what_came_first(repository: Repository) -> None:
    """The change is pushed between the fence's last look and its push."""
    block = Git(remote=repository.url)
    pushes = iter([True, False])

    async def another_commits() -> None:
        if next(pushes):
            await commit(block)

    made = await revert_change.fn(block, CHANGE, fence=True, before_push=another_commits)
    assert made.pushed
    assert repository.subjects() == [BACK, OURS, "First"]
    assert repository.read("values.yaml") == VALUES


async def test_what_a_check_before_the_push_raises_keeps_it_from_being_made(repository: Repository) -> None:
    """A lease that another holds, for one."""

    async def taken_over() -> None:
        raise Superseded("taken over")

    with pytest.raises(Superseded, match="taken over"):
        await commit_change.fn(Git(remote=repository.url), CHANGE, before_push=taken_over)
    await commit(Git(remote=repository.url))
    with pytest.raises(Superseded, match="taken over"):
        await revert_change.fn(Git(remote=repository.url), CHANGE, before_push=taken_over)
    assert repository.subjects() == [OURS, "First"]


async def test_two_processes_with_one_change_make_one_commit(repository: Repository) -> None:
    """Whoever comes second finds the first's."""
    found = await asyncio.gather(*(commit(Git(remote=repository.url)) for _ in range(3)))
    assert {one.commit for one in found} == {repository.head}
    assert repository.subjects() == [OURS, "First"]


async def test_two_changes_at_once_are_both_made(repository: Repository) -> None:
    """Of one file even: the second edit is made on the first one's head."""
    other = replace(CHANGE, key="r2", service="web", edits=(Edit("values.yaml", YamlPath("replicas"), 3),))
    await asyncio.gather(commit(Git(remote=repository.url)), commit(Git(remote=repository.url), other))
    assert repository.read("values.yaml") == VALUES.replace(b"1.0.0", b"1.1.0").replace(b"replicas: 2", b"replicas: 3")
    assert len(repository.subjects()) == 3


@pytest.mark.parametrize("path", ["../values.yaml", "/etc/passwd", ".git/config", "link.yaml", "folder/passwd", "absent.yaml"])
async def test_a_path_outside_the_files_is_refused(repository: Repository, path: str) -> None:
    """By its words or by what lies there; nothing is pushed."""
    (repository.clone / "link.yaml").symlink_to("values.yaml")
    (repository.clone / "folder").symlink_to("/etc")
    head = repository.push("Links")
    with pytest.raises(BadInput):
        await commit(Git(remote=repository.url), replace(CHANGE, edits=(Edit(path, YamlPath("image.tag"), "1.1.0"),)))
    assert repository.head == head


PROCESS = """
import asyncio, sys
from blocks.git.git import Git
from tasks.gitops.commit import commit_change
from tests.tasks.gitops.test_commit import CHANGE
asyncio.run(commit_change.fn(Git(remote=sys.argv[1]), CHANGE))
"""


async def until_killed(repository: Repository, tmp_path: Path, hook: str) -> None:
    """Commit in a process of its own, and kill it while the server is in a hook."""
    reached, release = tmp_path / "reached", tmp_path / "release"
    os.mkfifo(reached)
    os.mkfifo(release)
    repository.hook(hook, f"echo in >{reached}\nread x <{release}")
    root = Path(__file__).parents[3]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, repository.url, cwd=root, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.DEVNULL
    )
    await asyncio.wait_for(asyncio.to_thread(reached.read_text), 60)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    (repository.bare / "hooks" / hook).unlink()
    await asyncio.to_thread(release.write_text, "go\n")


@pytest.mark.faults
async def test_a_process_killed_between_push_and_answer_leaves_one_commit(repository: Repository, tmp_path: Path) -> None:
    """The server has it (post-receive); the next process finds it and pushes nothing."""
    await until_killed(repository, tmp_path, "post-receive")
    assert repository.subjects() == [OURS, "First"]
    found = await commit(Git(remote=repository.url))
    assert (found.commit, found.pushed) == (repository.head, False)
    assert repository.subjects() == [OURS, "First"]


@pytest.mark.faults
async def test_a_process_killed_inside_its_push_leaves_one_commit(repository: Repository, tmp_path: Path) -> None:
    """The server does not have it yet (pre-receive); its push goes on beside the next process, and one of the two is taken."""
    await until_killed(repository, tmp_path, "pre-receive")
    found = await commit(Git(remote=repository.url))
    assert found.commit == repository.head
    assert repository.subjects() == [OURS, "First"]


@pytest.mark.slow
@pytest.mark.parametrize("key", [CHANGE.revert_key, CHANGE.key], ids=["the revert", "the change"])
@pytest.mark.parametrize("times", [1, 3])
async def test_a_commit_that_only_says_that_it_is_ours_is_not_believed(repository: Repository, key: str, times: int) -> None:
    """Anyone may write the trailer into a commit of their own; once it made every rollback end without an effect."""
    block = Git(remote=repository.url)
    await commit(block)
    for number in range(times):
        repository.write({"docs/readme": f"{number}".encode()}, f"Fix a typo\n\nShipway-Change: {key}")
    back = await revert(block)
    assert back.pushed
    assert repository.read("values.yaml") == VALUES
    assert not (await revert(block)).pushed
    repository.write({"docs/readme": b"again"}, f"Fix a typo\n\nShipway-Change: {CHANGE.key}")
    with pytest.raises(Superseded):
        await commit(block)
    assert repository.read("values.yaml") == VALUES


async def test_a_change_that_others_only_say_was_made_is_made(repository: Repository) -> None:
    """As by who reads the key before it is pushed."""
    repository.write({"docs/readme": b"mine"}, f"Fix a typo\n\nShipway-Change: {CHANGE.key}")
    assert (await commit(Git(remote=repository.url))).pushed
    assert repository.read("values.yaml") == VALUES.replace(b"1.0.0", b"1.1.0")
    assert not (await commit(Git(remote=repository.url))).pushed


async def test_false_claims_without_end_are_named(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than looked at for ever."""
    monkeypatch.setattr(module, "MOST_CLAIMS", 3)
    for number in range(4):
        repository.write({"docs/readme": f"{number}".encode()}, f"Fix a typo\n\nShipway-Change: {CHANGE.key}")
    with pytest.raises(WorldMoved, match="say falsely that they are the change"):
        await commit(Git(remote=repository.url))
