"""Recorded processes: the right one is found, and no other one is ever ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from blocks import processes
from blocks.server import postgres

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
STUBBORN = [sys.executable, "-S", "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"]


def _start(folder: Path, argv: list[str] = SLEEP) -> int:
    return processes.start(argv, name="one", run=folder, log=folder / "one.log", env=dict(os.environ), cwd=folder)


def test_a_recorded_process_is_found_and_ended(tmp_path: Path) -> None:
    """What was started is found by its record and ends by the first signal."""
    pid = _start(tmp_path)
    assert processes.recorded(tmp_path / "one.pid") == pid
    assert processes.stop(tmp_path / "one.pid", with_signal=signal.SIGTERM, timeout_seconds=5)
    assert processes.start_time(pid) is None


def test_machines_are_told_apart_and_stay_the_same_over_restarts(tmp_path: Path) -> None:
    """What belongs to a machine is not another one's; without machine-id(5) its name counts."""
    kept, missing = tmp_path / "machine-id", tmp_path / "none"
    kept.write_text("0f3a\n")
    assert processes.machine_id((missing, kept)) == "0f3a"
    assert processes.machine_id((missing,)) == os.uname().nodename
    assert processes.machine_id() == processes.machine_id()


def test_a_reused_process_id_is_not_ours(tmp_path: Path) -> None:
    """A record from an earlier life of the same id ends no one."""
    pid = _start(tmp_path)
    (tmp_path / "old.pid").write_text(json.dumps({"pid": pid, "started": "an-earlier-boot/12345"}))
    assert processes.recorded(tmp_path / "old.pid") is None
    processes.stop(tmp_path / "old.pid", with_signal=signal.SIGKILL, timeout_seconds=1)
    assert processes.recorded(tmp_path / "one.pid") == pid
    processes.stop(tmp_path / "one.pid", with_signal=signal.SIGKILL, timeout_seconds=5)


@pytest.mark.parametrize("text", ["", "{}", "not json", '{"pid": 1}'])
def test_a_broken_record_names_no_one(tmp_path: Path, text: str) -> None:
    """A record cut short by a full disk or a crash is not a process."""
    (tmp_path / "one.pid").write_text(text)
    assert processes.recorded(tmp_path / "one.pid") is None


def test_a_process_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    """The end comes in time, and it is said that it was not a graceful one."""
    _start(tmp_path, STUBBORN)
    while "deaf" not in (tmp_path / "one.log").read_text():
        time.sleep(0.01)
    assert not processes.stop(tmp_path / "one.pid", with_signal=signal.SIGTERM, timeout_seconds=0.2)
    assert processes.recorded(tmp_path / "one.pid") is None


def test_a_database_lock_of_a_stranger_is_removed_and_of_a_database_kept(tmp_path: Path) -> None:
    """After a restart of the machine a reused id does not keep the database down."""
    lock = tmp_path / "postgres" / "postmaster.pid"
    lock.parent.mkdir()
    stranger = _start(tmp_path)
    lock.write_text(f"{stranger}\n{lock.parent}\n")
    postgres.forget_dead(tmp_path)
    assert not lock.exists()
    processes.stop(tmp_path / "one.pid", with_signal=signal.SIGKILL, timeout_seconds=5)

    ours = _start(tmp_path, [*SLEEP, "-D", str(lock.parent)])
    while not Path(f"/proc/{ours}/cmdline").read_bytes():  # empty for a moment while the program is being loaded
        time.sleep(0.01)
    lock.write_text(f"{ours}\n{lock.parent}\n")
    postgres.forget_dead(tmp_path)
    assert lock.exists()
    processes.stop(tmp_path / "one.pid", with_signal=signal.SIGKILL, timeout_seconds=5)


def test_restarts_wait_twice_as_long_each_time_up_to_a_bound_and_anew_after_a_steady_life() -> None:
    """However often a process ends: the pause is a number that can be waited for."""
    backoff = processes.Backoff(0.5, 30, 60)
    assert [backoff.after(1) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert {backoff.after(1) for _ in range(2_000)} == {30}
    assert backoff.after(61) == 0.5


def test_a_log_over_its_limit_is_put_aside_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the process before stay; what came before them goes."""
    monkeypatch.setattr(processes, "LOG_LIMIT_BYTES", 3)
    log = tmp_path / "one.log"
    for text in ("first", "second"):
        log.write_text(text)
        processes.rotate(log)
        assert not log.exists()
    assert (tmp_path / "one.old.log").read_text() == "second"
    log.write_text("abc")
    processes.rotate(log)
    assert log.read_text() == "abc"


def test_a_process_knows_of_our_environment_only_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell holds secrets of its own; a list of what is secret would never be complete."""
    listed = {"PATH": "/bin", "HOME": "/home/ada", "LC_TIME": "C", "TZ": "UTC", "KUBECONFIG": "/etc/kube"}
    monkeypatch.setattr(processes.os, "environ", listed | {"AWS_SECRET_ACCESS_KEY": "hush", "SHIPWAY_HOME": "/srv", "HOMELY": "no"})
    assert processes.passed_on("KUBECONFIG", "NOT_SET") == listed
