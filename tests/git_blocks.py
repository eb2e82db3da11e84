"""What the tests of the Git block share: blocks for real remotes, and a folder for their work copies."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.git.git import Git
from tests.git_remotes import TOKEN, HttpRemote, SshRemote


@pytest.fixture
def private_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let work copies lie in a folder of the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def left_in(folder: Path) -> list[Path]:
    """List the private folders that are still there."""
    return list(folder.rglob("copy-*"))


def over_http(remote: HttpRemote, token: str = TOKEN, *, timeout_seconds: float = 60) -> Git:
    """Name the HTTP remote."""
    return Git(remote=remote.url, token=SecretStr(token), timeout_seconds=timeout_seconds)


def over_ssh(remote: SshRemote) -> Git:
    """Name the SSH remote."""
    return Git(remote=remote.url, ssh_key=SecretStr(remote.key), known_hosts=remote.known_hosts)
