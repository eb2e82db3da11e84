"""The server stack's folder: whose it is, what it remembers, what it keeps private."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.server import layout, port, settings


@pytest.fixture(autouse=True)
def _no_key_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHIPWAY_KEY_FILE", raising=False)


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A server stack is never made among someone's files."""
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(Refused, match="not ours"):
        layout.make_home(tmp_path, port=None, auth=None)
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_key_that_was_enrolled_before_the_first_start_is_kept(tmp_path: Path) -> None:
    """Approvers may be enrolled before there is a server."""
    (tmp_path / "keys").mkdir()
    layout.key_file(tmp_path).write_text("enrolled")
    layout.make_home(tmp_path, port=None, auth=None)
    assert layout.key_file(tmp_path).read_text() == "enrolled"


def test_port_and_secrets_stay_the_same_from_start_to_start(tmp_path: Path) -> None:
    """Whoever knows the address and the password today knows them tomorrow."""
    first, password = layout.make_home(tmp_path, port=None, auth=None), layout.auth_string(tmp_path)
    assert layout.make_home(tmp_path, port=None, auth=None) == first
    assert layout.auth_string(tmp_path) == password


@pytest.mark.parametrize("name", ["approvals.key", "api.auth"])
def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path, name: str) -> None:
    """No other user of the machine can read a secret of the server stack."""
    layout.make_home(tmp_path / "stack", port=None, auth=None)
    assert (tmp_path / "stack" / "keys" / name).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "stack").stat().st_mode & 0o777 == 0o700


def test_homes_share_the_key_that_the_environment_names_and_remember_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first makes the key; afterwards workers and commands use it with and without the variable."""
    (tmp_path / "shared").mkdir()
    key, homes = tmp_path / "shared" / "approvals.key", [tmp_path / "one", tmp_path / "two"]
    monkeypatch.setattr(os, "environ", {"SHIPWAY_KEY_FILE": str(key)})
    for home in homes:
        layout.make_home(home, port=None, auth=None)
    made = key.read_text()
    os.environ.clear()
    for home in homes:
        layout.make_home(home, port=None, auth=None)
        assert settings.worker_environment(home)["SHIPWAY_KEY_FILE"] == str(key)
        assert not (home / "keys" / "approvals.key").exists()
    assert (key.read_text(), key.stat().st_mode & 0o777) == (made, 0o600)


@pytest.mark.parametrize("use", [settings.enter, lambda home: layout.make_home(home, port=None, auth=None)], ids=["command", "up"])
def test_a_key_that_is_not_the_remembered_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: Callable[[Path], object]
) -> None:
    """With another key nothing that is stored could be read, and no approval counted."""
    monkeypatch.setattr(os, "environ", {})
    layout.make_home(tmp_path / "home", port=None, auth=None)
    os.environ["SHIPWAY_KEY_FILE"] = str(tmp_path / "other" / "approvals.key")
    with pytest.raises(Refused, match=r"SHIPWAY_KEY_FILE names .*other.* but .*home/keys/approvals.key.*unset it"):
        use(tmp_path / "home")


def test_a_shared_key_that_is_missing_is_not_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not mounted must not become a second installation."""
    (tmp_path / "shared").mkdir()
    monkeypatch.setattr(os, "environ", {"SHIPWAY_KEY_FILE": str(tmp_path / "shared" / "approvals.key")})
    layout.make_home(tmp_path / "home", port=None, auth=None)
    (tmp_path / "shared" / "approvals.key").unlink()
    with pytest.raises(Refused, match="mount its folder"):
        layout.make_home(tmp_path / "home", port=None, auth=None)


def test_without_a_password_the_environment_carries_none(tmp_path: Path) -> None:
    """An open server stack is open for its own processes too."""
    layout.make_home(tmp_path, port=None, auth=False)
    assert "PREFECT_API_AUTH_STRING" not in settings.environment(tmp_path)


def test_a_server_named_by_the_user_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PREFECT_API_URL` wins over the server stack's own server, and gets none of its passwords."""
    layout.make_home(tmp_path, port=None, auth=True)
    monkeypatch.setattr(os, "environ", {"PREFECT_API_URL": "https://prefect.example/api"})
    settings.enter(tmp_path)
    assert os.environ["PREFECT_API_URL"] == "https://prefect.example/api"
    assert "PREFECT_API_AUTH_STRING" not in os.environ
    assert os.environ["SHIPWAY_HOME"] == str(tmp_path)


def test_the_stack_takes_no_prefect_setting_from_its_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting in the shell that ran `shipway up` does not change the server."""
    monkeypatch.setenv("PREFECT_SERVER_DATABASE_CONNECTION_URL", "sqlite://")
    monkeypatch.setenv("SHIPWAY_PASS", "PREFECT_SERVER_DATABASE_CONNECTION_URL")
    assert not [name for name in settings.inherited() if name.startswith("PREFECT")]


def test_of_the_shell_the_stack_knows_what_is_listed_and_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret of the shell that ran `shipway up` reaches no run; SHIPWAY_PASS names what a credential plugin needs."""
    for name in ("AWS_PROFILE", "AWS_SECRET_ACCESS_KEY", "KUBECONFIG", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "set")
    monkeypatch.setenv("SHIPWAY_PASS", "AWS_PROFILE, NOT_SET")
    assert {name for name, value in settings.inherited().items() if value == "set"} == {"AWS_PROFILE", "KUBECONFIG", "HTTPS_PROXY"}


def test_a_port_in_use_is_seen() -> None:
    """A port that another program listens on is not free."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert not port.is_free(other.getsockname()[1])
    assert port.is_free(layout.free_port())


def test_a_folder_that_is_not_a_home_directory_says_how_to_make_one(tmp_path: Path) -> None:
    """`shipway down` in the wrong place ends nothing and names the fix."""
    with pytest.raises(Refused, match="shipway up"):
        layout.read_facts(tmp_path)
