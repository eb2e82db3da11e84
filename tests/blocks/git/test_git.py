"""The Git block against real remotes: what it reads and pushes, what it keeps secret."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from blocks.errors import BadInput
from blocks.git.access import private_folder
from blocks.git.git import Git
from tests.git_blocks import left_in, over_http, over_ssh, private_temporary
from tests.git_remotes import TOKEN, VALUES, HttpRemote, Repository, SshRemote, git, http_remote, make_key, repository, ssh_remote

__all__ = ["http_remote", "private_temporary", "repository", "ssh_remote"]
pytestmark = pytest.mark.usefixtures("private_temporary")


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


@pytest.mark.slow
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
