"""A server stack's life for real: up, up again, a lost supervisor, the doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from blocks.errors import Refused
from blocks.server import api, doctor, layout, lifecycle
from tests.blocks.server.stack_kills import SERVICES, kill, pids, wait_for_another, wait_until_ready

pytestmark = pytest.mark.server


@pytest.fixture
def home(worker: object) -> Path:
    """Give the shared server stack, ready."""
    return worker.home  # type: ignore[attr-defined,no-any-return]


def test_up_twice_leaves_the_same_processes(home: Path) -> None:
    """Starting what runs changes nothing."""
    before, facts = pids(home), layout.read_facts(home)
    assert None not in before.values()
    assert lifecycle.start(home) == facts
    wait_until_ready(home)
    assert pids(home) == before


def test_other_settings_while_it_runs_are_refused(home: Path) -> None:
    """A wish that a running server stack cannot meet is said, not ignored."""
    with pytest.raises(Refused, match="shipway down"):
        lifecycle.start(home, auth=False)


def test_the_api_asks_for_the_password(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the password nothing can be read."""
    assert api.ask(home, "/admin/version")
    monkeypatch.setattr(layout, "auth_string", lambda _home: None)
    with pytest.raises(OSError, match="401"):
        api.ask(home, "/admin/version")


def test_the_doctor_finds_a_healthy_stack_well(home: Path) -> None:
    """Each check passes on a healthy server stack; only what is deployed there is up to the other tests, so the keeper may be missing."""
    assert {finding.subject for finding in doctor.examine(home) if finding.level != "ok"} <= {"keeper", "deployed"}


def test_a_killed_supervisor_costs_nothing_and_comes_back_by_up(home: Path) -> None:
    """The services live on without it, and the next one adopts them."""
    before = pids(home)
    killed = kill(home, "supervisor")
    lifecycle.start(home)
    wait_for_another(home, "supervisor", killed)
    assert {name: pid for name, pid in pids(home).items() if name != "supervisor"} == {name: before[name] for name in SERVICES}
