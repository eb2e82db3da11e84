"""The example service, run for real: its injected faults."""

from __future__ import annotations

import contextlib
import http.client
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.examples.guestbook_service import Guestbook, Start, spawn


def test_a_failing_start_exits_with_1_and_a_line(tmp_path: Path) -> None:
    """`--fail-start` looks like a service with a bad configuration."""
    process, log = spawn(tmp_path, "--fail-start")
    assert process.wait(10) == 1
    assert "ERROR cannot start" in log.read_text()


def test_a_service_can_die_after_its_start(start: Start) -> None:
    """`--die-after` is a crash, not an orderly end."""
    guestbook = start("--die-after", "0.3")
    assert guestbook.process.wait(10) == 1


def test_faults_of_health_and_version_can_be_told(start: Start) -> None:
    """Readiness, version and redirects lie as told, and nothing else is hurt."""
    guestbook = start("--never-ready", "--report-version", "9.9.9", "--redirect-health", "http://127.0.0.1:1/")
    assert guestbook.ask("/readyz")[0] == 503
    assert guestbook.json("/version")["version"] == "9.9.9"
    status, _, headers = guestbook.ask("/healthz")
    assert (status, headers["location"]) == (302, "http://127.0.0.1:1/")
    assert guestbook.ask("/")[0] == 200


def test_health_can_hang(start: Start) -> None:
    """`--hang-health` never answers, while the page does."""
    guestbook = start("--hang-health")
    connection = http.client.HTTPConnection("127.0.0.1", guestbook.port, timeout=0.3)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        with pytest.raises(TimeoutError):
            connection.getresponse()
    assert guestbook.ask("/")[0] == 200


def test_health_can_be_huge_without_memory(start: Start) -> None:
    """`--huge-health` offers 1 GB, streams it, and keeps serving when the client hangs up."""
    guestbook = start("--huge-health")
    connection = http.client.HTTPConnection("127.0.0.1", guestbook.port, timeout=5)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        assert answer.getheader("content-length") == "1000000000"
        assert len(answer.read(5_000_000)) == 5_000_000
    resident = Path(f"/proc/{guestbook.process.pid}/statm").read_text().split()[1]
    assert int(resident) * os.sysconf("SC_PAGE_SIZE") < 100_000_000
    assert guestbook.ask("/version")[0] == 200


def statuses(guestbook: Guestbook, path: str, count: int) -> list[int]:
    """Ask many times, one after the other."""
    return [guestbook.ask(path)[0] for _ in range(count)]


def test_the_same_seed_makes_the_same_errors(start: Start) -> None:
    """Faults are repeatable, of the share asked for, and spare health unless told."""
    options = ("--error-ratio", "0.3", "--seed", "7")
    service = start(*options)
    first, health = statuses(service, "/", 100), statuses(service, "/healthz", 50)
    assert 15 <= first.count(500) <= 45
    assert 500 not in health
    told = start(*options, "--fault-health")
    assert statuses(told, "/healthz", 100) == first


def test_version_1_2_0_is_bad_by_its_profile(start: Start) -> None:
    """About a fifth of its answers fail and about half are slow; an explicit option replaces the profile."""
    bad = start("--version", "1.2.0", "--seed", "3")

    def timed(_: int) -> tuple[int, bool]:
        begun = time.monotonic()
        status = bad.ask("/")[0]
        return status, time.monotonic() - begun > 0.35

    with ThreadPoolExecutor(40) as pool:
        seen = list(pool.map(timed, range(80)))
    assert 6 <= sum(status == 500 for status, _ in seen) <= 30
    assert 25 <= sum(slow for _, slow in seen) <= 60
    assert "ERROR GET / answered 500" in bad.log.read_text()
    assert "faults: none" in start("--version", "1.2.0", "--slow-ratio", "0").log.read_text()


def test_a_fault_out_of_bounds_is_bad_input(tmp_path: Path) -> None:
    """Nonsense on the command line exits with 2."""
    options = [("--error-ratio", "2"), ("--slow-ratio", "nan"), ("--die-after", "-1")]
    processes = [spawn(tmp_path, *option)[0] for option in options]
    assert [process.wait(10) for process in processes] == [2, 2, 2]
