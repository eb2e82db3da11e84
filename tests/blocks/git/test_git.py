"""The Git block against real remotes: what it reads and pushes, what it keeps secret, and what it says when a remote fails."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import tempfile
import threading
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from blocks.errors import BadInput, Permanent, Refused, ShipwayError, Unreachable, is_temporary
from blocks.git.access import private_folder
from blocks.git.git import Git
from tests.git_remotes import TOKEN, VALUES, HttpRemote, Repository, SshRemote, git, http_remote, make_key, repository, ssh_remote

__all__ = ["http_remote", "repository", "ssh_remote"]


@pytest.fixture(autouse=True)
def private_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let work copies lie in a folder of the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left_in(folder: Path) -> list[Path]:
    """List the private folders that are still there."""
    return list(folder.rglob("copy-*"))


async def make_round(block: Git) -> str:
    """Read a file, change it, push it, and give the commit."""
    async with block.work_copy() as copy:
        head = await copy.fetch()
        content = await copy.read("values.yaml", commit=head)
        commit = await copy.commit(head, {"values.yaml": content.replace(b"1.0.0", b"1.1.0")}, message="Deploy\n\nShipway-Change: a\n")
        pushed = await copy.push(commit, parent=head)
        assert pushed.taken, pushed.said
        assert await copy.fetch() == commit
        assert await copy.find_trailer("Shipway-Change", "a", head=commit) == commit
        return commit


def over_http(remote: HttpRemote, token: str = TOKEN, *, timeout_seconds: float = 60) -> Git:
    """Name the HTTP remote."""
    return Git(remote=remote.url, token=SecretStr(token), timeout_seconds=timeout_seconds)


def over_ssh(remote: SshRemote) -> Git:
    """Name the SSH remote."""
    return Git(remote=remote.url, ssh_key=SecretStr(remote.key), known_hosts=remote.known_hosts)


async def fault(block: Git) -> ShipwayError:
    """Give the error that a fetch ends with."""
    with pytest.raises(ShipwayError) as caught:
        async with block.work_copy():
            pass
    assert TOKEN not in str(caught.value)
    return caught.value


async def test_a_change_is_pushed_to_a_file_remote(repository: Repository) -> None:
    """One commit on top, by the author of the block, with everything else as it was."""
    before = repository.head
    commit = await make_round(Git(remote=repository.url, author_name="Deployer", author_email="d@example.com"))
    assert repository.head == commit
    assert git(repository.bare, "rev-parse", "main^") == before
    assert git(repository.bare, "diff", "--name-only", "main^", "main") == "values.yaml"
    assert git(repository.bare, "log", "-1", "--format=%an <%ae> %cn", "main") == "Deployer <d@example.com> Deployer"
    assert repository.read("values.yaml") == VALUES.replace(b"1.0.0", b"1.1.0")


async def test_a_change_is_pushed_over_http_with_a_token(repository: Repository, http_remote: HttpRemote) -> None:
    """Git's own server takes it."""
    assert await make_round(over_http(http_remote)) == repository.head
    assert any("git-receive-pack" in one for one in http_remote.seen)


async def test_a_change_is_pushed_over_ssh_with_a_key(repository: Repository, ssh_remote: SshRemote) -> None:
    """A real sshd takes it; its key is checked."""
    assert await make_round(over_ssh(ssh_remote)) == repository.head


async def test_a_commit_is_signed(repository: Repository, tmp_path: Path) -> None:
    """Git itself verifies the signature by the public key."""
    key = make_key(tmp_path / "signer")
    await make_round(Git(remote=repository.url, signing_key=SecretStr(key)))
    (tmp_path / "allowed").write_text(f"shipway@localhost {(tmp_path / 'signer.pub').read_text()}")
    git(repository.bare, "-c", f"gpg.ssh.allowedSignersFile={tmp_path / 'allowed'}", "verify-commit", "main")


async def test_the_copy_is_partial(repository: Repository) -> None:
    """A file that is not read is not fetched, however large it is."""
    repository.write({"large.bin": os.urandom(3_000_000)})
    async with Git(remote=repository.url).work_copy() as copy:
        head = await copy.fetch()
        assert await copy.read("values.yaml", commit=head) == VALUES
        assert sum(file.stat().st_size for file in copy.folder.rglob("*") if file.is_file()) < 300_000


async def test_no_secret_is_in_a_file_an_argument_or_a_message(
    http_remote: HttpRemote, private_temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While git works: none of its files, no argument of a process and no configuration holds the token; afterwards nothing is left."""
    monkeypatch.setenv("GIT_TRACE_CURL", "1")
    seen: list[str] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                try:
                    seen.append(" ".join(process.cmdline()))
                except psutil.Error:
                    continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        async with over_http(http_remote).work_copy() as copy:
            head = await copy.fetch()
            await copy.read("values.yaml", commit=head)
            files = [file for file in copy.folder.rglob("*") if file.is_file()]
            assert not [file for file in files if TOKEN.encode() in file.read_bytes()]
            assert TOKEN not in repr(copy)
            assert copy.folder.stat().st_mode & 0o077 == 0
    finally:
        done.set()
        thread.join()
    assert any("fetch" in line for line in seen)
    assert not [line for line in seen if TOKEN in line]
    assert not left_in(private_temporary)


async def test_keys_lie_in_files_of_this_user_alone_and_go(ssh_remote: SshRemote, private_temporary: Path) -> None:
    """0600 in a folder 0700; afterwards they are removed."""
    async with over_ssh(ssh_remote).work_copy() as copy:
        key = copy.folder / "ssh-key"
        assert key.stat().st_mode & 0o777 == 0o600
    assert not left_in(private_temporary)


async def test_nothing_of_this_users_git_is_used(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a global configuration with hooks nor variables of git reach it."""
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    (tmp_path / ".gitconfig").write_text(f"[core]\nhooksPath = {hooks}\n[user]\nname = Wrong\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Wrong")
    await make_round(Git(remote=repository.url))
    assert git(repository.bare, "log", "-1", "--format=%an", "main") == "Shipway"
    assert not (tmp_path / "ran").exists()


async def test_what_a_killed_process_left_is_removed() -> None:
    """Its keys go with the next copy; a copy that is in use stays."""
    with private_folder() as used:
        left = used.parent / "copy-killed"
        left.mkdir()
        (left / "ssh-key").write_text("secret")
        with private_folder() as other:
            assert not left.exists()
            assert used.exists()
            assert other.exists()


async def test_a_remote_that_is_away_is_unreachable(repository: Repository) -> None:
    """Nothing listens there: try for minutes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = await fault(Git(remote=f"http://127.0.0.1:{taken.getsockname()[1]}/remote.git", token=SecretStr(TOKEN)))
    assert isinstance(found, Unreachable)
    assert repository.head


async def test_a_remote_that_hangs_is_ended_with_its_processes(http_remote: HttpRemote) -> None:
    """At the time-out no process of git is left."""
    http_remote.hang.set()
    found = await fault(over_http(http_remote, timeout_seconds=1.5))
    assert isinstance(found, Unreachable)
    assert "no end within 1.5 s" in str(found)
    assert not [one for one in psutil.Process().children(recursive=True) if "git" in one.name()]


async def test_a_cancelled_fetch_leaves_no_process(http_remote: HttpRemote, private_temporary: Path) -> None:
    """Whoever waits may stop waiting."""
    http_remote.hang.set()
    work = asyncio.create_task(fault(over_http(http_remote)))
    assert await asyncio.to_thread(http_remote.asked.wait, 30)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not [one for one in psutil.Process().children(recursive=True) if "git" in one.name()]
    assert not left_in(private_temporary)


async def test_a_wrong_token_is_refused_and_not_quoted(http_remote: HttpRemote) -> None:
    """Another try does not help."""
    found = await fault(over_http(http_remote, "another-secret"))
    assert isinstance(found, Refused)
    assert "another-secret" not in str(found)
    assert "Check the token" in str(found)


STATUSES = [(401, Refused), (403, Refused), (404, Permanent), (302, BadInput), (500, None), (502, Unreachable), (503, Unreachable)]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
async def test_an_answer_says_whether_another_try_helps(http_remote: HttpRemote, status: int, kind: type[ShipwayError] | None) -> None:
    """By git's words for a fetch; a redirection is not followed, so that the token goes nowhere else."""
    http_remote.status = status
    found = await fault(over_http(http_remote))
    if kind is None:
        assert is_temporary(found)
    else:
        assert type(found) is kind


async def test_a_key_that_may_not_is_refused(ssh_remote: SshRemote, tmp_path: Path) -> None:
    """Another try does not help, though git then also says that it could not read from the remote."""
    other = make_key(tmp_path / "other")
    found = await fault(Git(remote=ssh_remote.url, ssh_key=SecretStr(other), known_hosts=ssh_remote.known_hosts))
    assert isinstance(found, Refused)
    assert "refused the credentials" in str(found)


async def test_a_key_that_is_none_is_refused(ssh_remote: SshRemote) -> None:
    """Its text is not quoted."""
    found = await fault(Git(remote=ssh_remote.url, ssh_key=SecretStr("not-a-key"), known_hosts=ssh_remote.known_hosts))
    assert isinstance(found, Refused)
    assert "not-a-key" not in str(found)


async def test_a_server_with_another_key_is_not_trusted(ssh_remote: SshRemote, tmp_path: Path) -> None:
    """Nothing is sent to it, and nothing is learnt from it."""
    make_key(tmp_path / "other")
    known = f"[127.0.0.1]:{ssh_remote.port} {(tmp_path / 'other.pub').read_text()}"
    found = await fault(Git(remote=ssh_remote.url, ssh_key=SecretStr(ssh_remote.key), known_hosts=known))
    assert isinstance(found, Refused)
    assert "is not trusted" in str(found)


async def test_an_absent_repository_and_an_absent_branch_are_named(repository: Repository) -> None:
    """A person has to fix them."""
    absent = await fault(Git(remote=f"{repository.url}x"))
    assert type(absent) is Permanent
    branch = await fault(Git(remote=repository.url, branch="production"))
    assert isinstance(branch, BadInput)
    assert branch.field == "branch"


BAD_REMOTES = [
    "ext::sh -c touch% /tmp/x",
    "https://user:secret@example.com/x.git",
    "http://example.com/x.git",
    "--upload-pack=x",
    "-oProxyCommand=x@host:y",
    "ssh://-oProxyCommand=x/y",
    "git@-host:x",
    "https://example.com/x.git?token=secret",
    "/srv/x",
    "file:///tmp/../etc",
    "git://example.com/x",
    "",
]


@pytest.mark.parametrize("remote", BAD_REMOTES)
async def test_what_is_not_an_address_or_holds_a_secret_is_refused(remote: str) -> None:
    """Before git sees it, and without quoting it."""
    found = await fault(Git(remote=remote, token=SecretStr(TOKEN)))
    assert isinstance(found, BadInput)
    assert found.field == "remote"
    assert "secret" not in str(found)


BAD_BLOCKS = [
    ({"remote": "git@host:x.git"}, "ssh_key"),
    ({"remote": "git@host:x.git", "ssh_key": "k"}, "known_hosts"),
    ({"remote": "git@host:x.git", "ssh_key": "k", "token": "t"}, "token"),
    ({"remote": "https://host/x.git", "ssh_key": "k"}, "ssh_key"),
    ({"remote": "https://host/x.git", "token": "a\nb"}, "token"),
    ({"remote": "https://host/x.git", "branch": "a..b"}, "branch"),
    ({"remote": "https://host/x.git", "branch": "-x"}, "branch"),
    ({"remote": "https://host/x.git", "branch": "a:b"}, "branch"),
]


@pytest.mark.parametrize(("fields", "field"), BAD_BLOCKS)
async def test_what_does_not_fit_together_names_its_field(fields: dict[str, str], field: str) -> None:
    """Nothing is asked of a remote then."""
    found = await fault(Git(**fields))  # type: ignore[arg-type]
    assert isinstance(found, BadInput)
    assert found.field == field


async def test_only_files_of_this_repository_are_read(repository: Repository) -> None:
    """A link, what lies behind one, a submodule, a folder, an LFS pointer and an absent file are refused by name."""
    clone = repository.clone
    (clone / "link.yaml").symlink_to("values.yaml")
    (clone / "folder").symlink_to("/etc")
    (clone / "real").mkdir()
    (clone / "real" / "x.yaml").write_text("a: 1\n")
    (clone / "lfs.yaml").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    git(clone, "update-index", "--add", "--cacheinfo", f"160000,{repository.head},module")
    git(clone, "add", "link.yaml", "folder", "real", "lfs.yaml")
    git(clone, "commit", "-q", "-m", "Odd files")
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/main")
    words = {
        "link.yaml": "symbolic link",
        "folder/passwd": "symbolic link",
        "module": "submodule",
        "module/x": "submodule",
        "real": "a folder",
        "values.yaml/x": "a file",
        "lfs.yaml": "LFS",
        "absent.yaml": "not there",
        "real/absent": "not there",
    }
    async with Git(remote=repository.url).work_copy() as copy:
        head = await copy.fetch()
        for path, word in words.items():
            with pytest.raises(BadInput, match=re.escape(word)):
                await copy.read(path, commit=head)
        assert await copy.read("real/x.yaml", commit=head) == b"a: 1\n"


async def test_a_commit_keeps_the_mode_of_a_file(repository: Repository) -> None:
    """An executable file stays one."""
    (repository.clone / "run.sh").write_text("1")
    (repository.clone / "run.sh").chmod(0o755)
    repository.push()
    async with Git(remote=repository.url).work_copy() as copy:
        head = await copy.fetch()
        commit = await copy.commit(head, {"run.sh": b"2"}, message="x")
        assert (await copy.push(commit, parent=head)).taken
    assert git(repository.bare, "ls-tree", "main", "run.sh").startswith("100755")


async def test_a_push_is_taken_only_on_its_parent(repository: Repository) -> None:
    """Neither over a colleague's commit nor to a branch that is gone."""
    async with Git(remote=repository.url).work_copy() as copy:
        head = await copy.fetch()
        commit = await copy.commit(head, {"values.yaml": b"a: 1\n"}, message="x")
        theirs = repository.write({"other.txt": b"theirs\n"})
        assert not (await copy.push(commit, parent=head)).taken
        assert repository.head == theirs
        git(repository.bare, "update-ref", "-d", "refs/heads/main")
        assert not (await copy.push(commit, parent=head)).taken
