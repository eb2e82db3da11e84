"""`shipway windows` shows what holds now and in the coming days, to people and to programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.key_folder.key_file import create_key, key_path
from flows.cli import main
from tasks.lifecycle import clock
from tasks.lifecycle.quietest import keep_quietest
from tasks.rules.plan.file import read_plan
from tests.rules.plan.test_file import MINIMAL
from tests.tasks.lifecycle.test_quietest import kept_of

WINDOWS = """
windows:
  allow:
    - {cron: "0 22 * * 1-5", duration_minutes: 240, zone: Europe/Berlin, reason: few customers, owner: shop-team}
  deny:
    - {from: "2026-12-01", until: "2026-12-03", zone: Europe/Berlin, reason: stocktaking, owner: ada}
"""


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a plan, on a Monday at noon."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 30, 12, tzinfo=UTC))
    (tmp_path / "shipway.yaml").write_text(MINIMAL + WINDOWS)
    return tmp_path / "shipway.yaml"


def test_the_coming_days_are_shown(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Open until the freeze, which begins within a window; then the next one."""
    assert main(["windows", str(plan), "--days", "4"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("guestbook: production is closed; opens Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC).")
    lines = [line.strip() for line in shown.splitlines() if line.startswith(("  open", "  closed"))]
    assert lines == [
        "closed  Mon 2026-11-30 13:00 Europe/Berlin (12:00 UTC) – Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC)",
        "open    Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC) – Tue 2026-12-01 00:00 Europe/Berlin (23:00 UTC)",
        "closed  Tue 2026-12-01 00:00 Europe/Berlin (23:00 UTC) – Thu 2026-12-03 00:00 Europe/Berlin (23:00 UTC)",
        "open    Thu 2026-12-03 00:00 Europe/Berlin (23:00 UTC) – Thu 2026-12-03 02:00 Europe/Berlin (01:00 UTC)",
        "closed  Thu 2026-12-03 02:00 Europe/Berlin (01:00 UTC) – Thu 2026-12-03 22:00 Europe/Berlin (21:00 UTC)",
        "open    Thu 2026-12-03 22:00 Europe/Berlin (21:00 UTC) – Fri 2026-12-04 02:00 Europe/Berlin (01:00 UTC)",
        "closed  Fri 2026-12-04 02:00 Europe/Berlin (01:00 UTC) – Fri 2026-12-04 22:00 Europe/Berlin (21:00 UTC)",
    ]
    assert "freeze of the plan, from 2026-12-01 00:00 until 2026-12-03 00:00 in Europe/Berlin: stocktaking (ask ada)" in shown


def test_programs_get_the_same(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With moments in UTC."""
    assert main(["windows", str(plan), "--days", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["open"], found["until"], found["more"]) == (False, "2026-11-30T21:00:00+00:00", False)
    assert [(one["open"], one["from"]) for one in found["coming"]][1] == (True, "2026-11-30T21:00:00+00:00")
    assert found["coming"][2]["windows"][0]["owner"] == "ada"


def test_what_is_open_beyond_the_horizon_has_no_end(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A window of one time without `until`."""
    plan.write_text(MINIMAL + 'windows: {allow: [{from: "2026-11-30T14:00", zone: UTC, reason: a, owner: b}]}\n')
    assert main(["windows", str(plan)]) == 0
    assert "  open    Mon 2026-11-30 14:00 UTC – without an end in sight" in capsys.readouterr().out


def test_a_plan_without_windows_says_so(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Open, and nothing to list."""
    plan.write_text(MINIMAL)
    assert main(["windows", str(plan)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "guestbook: production is open, without an end in sight.",
        "Neither the plan nor a policy on this machine has windows.",
    ]


def test_a_wrong_plan_is_bad_input(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the problem, on stderr."""
    plan.write_text(MINIMAL + WINDOWS.replace("Europe/Berlin", "Europe/Bonn"))
    assert main(["windows", str(plan)]) == 2
    assert "Europe/Bonn" in capsys.readouterr().err


def test_a_policy_that_cannot_be_read_is_refused(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing could be deployed, whatever the windows say."""
    from blocks.key_folder.policy_files import write_policy_file  # noqa: PLC0415 - the key's place is set by then

    write_policy_file("broken", b"policy: 7\n")
    assert main(["windows", str(plan)]) == 4
    assert "a policy is wrong" in capsys.readouterr().err


QUIETEST = """
windows:
  quietest: {minutes: 60, zone: Europe/Berlin, owner: shop-team, counter: requests}
"""


def test_a_quietest_time_that_was_not_measured_is_closed_and_says_what_to_do(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To people, to programs, and to whoever checks the plan; on another machine than a worker's it is not a fault of the plan."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    plan.write_text(MINIMAL + QUIETEST)
    assert main(["windows", str(plan)]) == 0
    shown = capsys.readouterr().out
    why = "the quietest time of the week is not known: it was not measured on this machine. Run `shipway windows PLAN --measure`"
    assert shown.startswith(f"guestbook: production is closed; opens not within 2 years. {why}")
    assert "The quietest window: not measured on this machine." in shown
    assert f"          {why} on the worker's machine (ask shop-team)" in shown
    assert main(["windows", str(plan), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["open"], found["until"], found["quietest"]) == (False, None, "not measured on this machine")
    assert main(["check", str(plan)]) == 0
    here = "When production is open cannot be known here, which is not a worker's machine: the quietest time of the week is not known"
    assert here in capsys.readouterr().out
    create_key(key_path())
    assert main(["check", str(plan)]) == 2
    assert f"windows: production never opens: closed; opens not within 2 years. {why}" in capsys.readouterr().err


def test_a_plan_that_changed_since_it_was_measured_is_told_so(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The window holds; but whether the steps can decide in it is not known any more."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    plan.write_text(MINIMAL + QUIETEST)
    found, _ = read_plan(plan.read_bytes(), name="p.yaml")
    assert found is not None
    keep_quietest("guestbook", kept_of(found))
    for text, is_changed in ((MINIMAL, False), (MINIMAL.replace("percent: 5\n", "percent: 7\n"), True)):
        plan.write_text(text + QUIETEST)
        assert main(["windows", str(plan)]) == 0
        shown = capsys.readouterr().out
        assert "The quietest window: Mon 02:30–03:30 Europe/Berlin" in shown
        assert ("The plan's SLIs, steps or windows changed since: measure it again." in shown) is is_changed


def test_a_picture_is_of_the_measured_week(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `--quietest` there is none."""
    assert main(["windows", str(plan), "--picture", "week.svg"]) == 2
    assert capsys.readouterr().err == "--picture needs --quietest MINUTES.\n"
