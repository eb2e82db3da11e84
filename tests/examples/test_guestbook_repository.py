"""What stands around the example service: smoke tests, traffic, the Git repository, the plan."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flows.commands._demo_prometheus import uncommented
from tasks.rules.plan.credentials import Receiver
from tasks.rules.plan.plan import Plan
from tasks.rules.verification.performance import Baseline
from tasks.verification.smoke import run_smoke_test
from tests.examples.guestbook_service import EXAMPLE, Guestbook, Start


async def smoke_outcomes(service: Guestbook, version: str, *, baseline: Baseline | None = None) -> dict[str, str]:
    """Run the plan's smoke tests as a release does, and return their outcomes."""
    plan = Plan.model_validate(yaml.safe_load((EXAMPLE / "shipway.yaml").read_text()))
    found = [
        await run_smoke_test.fn(
            test, folder=str(EXAMPLE), target=url_of(service), version=version, receiver=Receiver("guestbook"), baseline=baseline
        )
        for test in plan.verification.smoke
    ]
    return {str(one["name"]): str(one["outcome"]) for one in found}


def url_of(service: Guestbook) -> str:
    """Give a service's address."""
    return f"http://127.0.0.1:{service.port}"


@pytest.mark.slow
async def test_smoke_tests_pass_and_know_a_liar(start: Start) -> None:
    """1.2.0 passes by trying again; a good service of another version fails by its version alone."""
    good, bad = start("--version", "1.1.0"), start("--version", "1.2.0", "--seed", "1")
    beside = Baseline("1.1.0", url_of(good))
    assert set((await smoke_outcomes(bad, "1.2.0", baseline=beside)).values()) == {"passed"}
    assert await smoke_outcomes(good, "1.1.1") == {"basics": "failed", "write-and-read": "passed", "response-time": "passed"}


@pytest.mark.slow
def test_traffic_keeps_its_rate_and_counts(guestbook: Guestbook) -> None:
    """So many requests as rate times time are sent, and counted by status; SIGTERM ends an endless run."""
    words = [sys.executable, str(EXAMPLE / "traffic.py"), f"http://127.0.0.1:{guestbook.port}", "--rate", "40"]
    done = subprocess.run([*words, "--seconds", "0.5"], capture_output=True, text=True, check=True)
    assert done.stdout == "20 requests: 19 x 200, 1 x 201\n"
    endless = subprocess.Popen([*words, "--until-killed"], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 10
    while len(guestbook.json("/entries")["entries"]) < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    endless.send_signal(signal.SIGTERM)
    assert "x 200" in endless.communicate(timeout=10)[0]
    assert endless.returncode == 0


def prepare(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Make the example's repository."""
    return subprocess.run(
        [sys.executable, str(EXAMPLE / "prepare.py"), str(folder)], capture_output=True, text=True, env=os.environ | env, check=False
    )


def git(folder: Path, *words: str) -> str:
    """Ask git."""
    return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
def test_the_repository_is_made_once_from_real_commits(tmp_path: Path) -> None:
    """Tags, commits and a report exist, the newest files are the example's, and a second call changes nothing."""
    folder = tmp_path / "repository"
    hostile = {"HOME": "/nonexistent", "GIT_DIR": "/nonexistent", "GIT_CONFIG_GLOBAL": str(tmp_path / "broken")}
    (tmp_path / "broken").write_text("[commit]\n\tgpgsign = true\n")
    done = prepare(folder, **hostile)
    assert done.returncode == 0, done.stderr
    assert git(folder, "tag").split() == ["v1.0.0", "v1.1.0", "v1.2.0", "v1.3.0"]
    assert len(git(folder, "log", "--format=%s", "v1.0.0..v1.1.0").splitlines()) >= 3
    assert git(folder, "status", "--porcelain") == ""
    assert 'failures="0"' in (folder / "reports/junit.xml").read_text()
    assert all(
        (folder / path).read_bytes() == (EXAMPLE / path).read_bytes() for path in git(folder, "ls-files").split() if "junit" not in path
    )
    assert list(tmp_path.glob(".repository-*")) == []
    before = (git(folder, "rev-parse", "HEAD"), (folder / "reports/junit.xml").stat().st_mtime_ns)
    assert prepare(folder).returncode == 0
    assert before == (git(folder, "rev-parse", "HEAD"), (folder / "reports/junit.xml").stat().st_mtime_ns)


def test_a_folder_of_another_is_refused(tmp_path: Path) -> None:
    """Foreign files, and a foreign repository, are left alone with status 2."""
    (tmp_path / "precious").write_text("mine")
    assert prepare(tmp_path).returncode == 2
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert prepare(tmp_path).returncode == 2
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_plan_of_the_example_is_a_plan() -> None:
    """The example's plan validates, and every path in it exists."""
    plan = Plan.model_validate(yaml.safe_load((EXAMPLE / "shipway.yaml").read_text()))
    assert all((EXAMPLE / smoke.pytest).is_file() for smoke in plan.verification.smoke if smoke.pytest)
    assert plan.approval.approvers == ["ada", "grace"]


def test_the_plan_asks_prometheus_once_its_marks_are_taken_away() -> None:
    """The demo's second plan is the first with two more SLIs that decide, and right."""
    text = (EXAMPLE / "shipway.yaml").read_text()
    plain, asking = (Plan.model_validate(yaml.safe_load(one)) for one in (text, uncommented(text)))
    assert asking.judgement.slis[: len(plain.judgement.slis)] == plain.judgement.slis
    assert [(sli.name, sli.source, sli.deciding) for sli in asking.judgement.slis[len(plain.judgement.slis) :]] == [
        ("errors-scraped", "prometheus", True),
        ("latency-scraped", "prometheus", True),
    ]
    assert asking.model_copy(update={"judgement": plain.judgement}) == plain
