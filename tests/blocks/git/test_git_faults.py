"""The Git block when something is wrong: what it says, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from blocks.errors import BadInput, Permanent, Refused, ShipwayError, Temporary, Unreachable
from blocks.git.git import Git
from tests.git_blocks import left_in, over_http, private_temporary
from tests.git_remotes import TOKEN, HttpRemote, Repository, SshRemote, http_remote, make_key, repository, ssh_remote

__all__ = ["http_remote", "private_temporary", "repository", "ssh_remote"]
pytestmark = pytest.mark.usefixtures("private_temporary")


async def fault(block: Git) -> ShipwayError:
    """Give the error that a fetch ends with."""
    with pytest.raises(ShipwayError) as caught:
        async with block.work_copy():
            pass
    assert TOKEN not in str(caught.value)
    return caught.value


async def test_a_remote_that_is_away_is_unreachable(repository: Repository) -> None:
    """Nothing listens there: try for minutes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = await fault(Git(remote=f"http://127.0.0.1:{taken.getsockname()[1]}/remote.git", token=SecretStr(TOKEN)))
    assert isinstance(found, Unreachable)
    assert repository.head


@pytest.mark.slow
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
        assert isinstance(found, Temporary)
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
