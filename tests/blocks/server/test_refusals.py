"""What cannot start says so at once, in one line, and leaves nothing behind."""

from __future__ import annotations

import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blocks import processes
from blocks.errors import Permanent, Refused
from blocks.server import layout, lifecycle, postgres, problems, supervisor, unprivileged

REASON_SECONDS = 5


def _programs(folder: Path, *, initdb: str) -> Path:
    folder.mkdir()
    for name, script in (("postgres", "exit 0"), ("initdb", initdb)):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Give a home directory in which nothing runs in the end."""
    folder = tmp_path / "home"
    layout.make_home(folder, port=None, auth=None)
    yield folder
    lifecycle.stop(folder, now=True)


def test_programs_that_may_not_be_run_are_seen_before_anything_starts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system with noexec: the message names the program, and no process is there."""
    programs = _programs(home.parent / "bin", initdb="exit 0")
    (programs / "initdb").chmod(stat.S_IRUSR)
    monkeypatch.setattr(postgres, "binaries", lambda: programs)
    with pytest.raises(Permanent, match=f"no permission to use {programs / 'initdb'}"):
        lifecycle.start(home)
    assert not lifecycle.is_running(home)


def test_a_program_that_is_not_installed_is_named_with_its_package(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small images lack what runs PostgreSQL as another user."""
    monkeypatch.setattr(unprivileged, "_ways", lambda _data: [["no-such-setpriv", "--"]])
    with pytest.raises(Permanent, match=r"no-such-setpriv: it is not installed; its package is util-linux"):
        lifecycle.start(home)


def test_the_second_way_serves_if_the_first_does_not(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where root may not become another user, it may still have a user namespace."""
    monkeypatch.setattr(unprivileged, "_ways", lambda _data: [["no-such-setpriv", "--"], ["env"]])
    assert unprivileged.prefix(home, postgres.binaries()) == ["env"]


def test_what_initdb_says_is_the_last_line_of_the_waiting_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying again is useless, so no one waits for it."""
    monkeypatch.setattr(
        postgres, "binaries", lambda: _programs(home.parent / "bin", initdb="echo 'initdb: error: no space left' >&2; exit 1")
    )
    programs = postgres.binaries()
    monkeypatch.setattr(postgres, "binaries", lambda: programs)
    supervisor.launch(home, supervisor.Watched(supervisor.SERVICES[0]))
    with pytest.raises(Permanent, match=r"initdb: error: no space left$"):
        lifecycle.wait_for_server(home, timeout_seconds=60)


@pytest.mark.faults
def test_a_database_that_ends_again_and_again_is_reported_within_seconds(home: Path) -> None:
    """A damaged data folder is named by the command that waits, not by a log alone."""
    (home / "postgres").mkdir(mode=0o700)
    began = time.monotonic()
    lifecycle.start(home)
    with pytest.raises(Permanent, match=r"the database keeps ending.*postgresql\.conf"):
        lifecycle.wait_for_server(home, timeout_seconds=60)
    assert time.monotonic() - began < 2 * REASON_SECONDS  # twice, for a machine under load


def test_a_supervisor_that_has_ended_is_not_waited_for(home: Path) -> None:
    """Its last words are the reason."""
    (home / "logs" / "supervisor.log").write_text("MemoryError\n")
    with pytest.raises(Permanent, match=r"the supervisor has ended.*MemoryError$"):
        lifecycle.wait_for_server(home, timeout_seconds=60)


def test_files_that_root_itself_owns_are_served_by_root_in_a_namespace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL refuses files of another user: the way that made them serves them."""
    monkeypatch.setattr(unprivileged.os, "geteuid", lambda: 0)
    assert [way[0] for way in unprivileged._ways(home / "postgres")] == ["unshare", "setpriv"]
    assert [way[0] for way in unprivileged._ways(Path("/"))] == ["unshare"]


def test_a_new_start_forgets_the_reasons_of_the_one_before(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who fixed the cause and starts again is not told the old reason."""
    monkeypatch.setattr(processes, "start", lambda *_arguments, **_words: 0)
    problems.note(home, "database", "the disk is full", permanent=True)
    lifecycle.start(home)
    assert problems.hopeless(home) is None


@pytest.mark.parametrize(("failures", "seen"), [(1, False), (2, False), (3, True)])
def test_one_failure_is_not_a_reason_to_give_up(home: Path, failures: int, seen: bool) -> None:  # noqa: FBT001 - a table
    """A process that comes up at its second try is waited for."""
    for _ in range(failures):
        problems.note(home, "server", "the server ends")
    assert (problems.hopeless(home) is not None) == seen


def test_the_reason_is_that_of_the_process_which_the_others_need(home: Path) -> None:
    """Without a database the server fails too; its words would mislead."""
    problems.note(home, "server", "FileNotFoundError", permanent=True)
    problems.note(home, "database", "the disk is full", permanent=True)
    assert problems.hopeless(home) == "the disk is full"


def test_an_asked_port_that_is_taken_is_refused_before_anything_starts(home: Path) -> None:
    """The message names the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=f"port {port} is taken"):
            lifecycle.start(home, port=port)
    assert not lifecycle.is_running(home)


def test_a_remembered_port_that_is_taken_is_changed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next start takes a free one."""
    monkeypatch.setattr(processes, "start", lambda *_arguments, **_words: 0)
    with socket.create_server(("127.0.0.1", layout.read_facts(home)["port"])) as other:
        assert lifecycle.start(home)["port"] != other.getsockname()[1]


@pytest.mark.parametrize("place", ["/proc/home", "/dev/null/home"])
def test_a_place_where_nothing_can_be_made_is_refused(place: str) -> None:
    """The message names the folder and the option, in place of a traceback."""
    with pytest.raises(Refused, match=f"{place} cannot be used as a home directory: .*--home"):
        layout.make_home(Path(place), port=None, auth=None)
