"""What people see of a window by a calendar: its events with their names, and how old it is, in each command that shows windows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.key_folder.key_file import create_key, key_path
from flows.cli import main
from flows.commands import _trust
from tasks.lifecycle import clock
from tasks.windows import calendars
from tests.rules.plan.test_file import MINIMAL
from tests.rules.windows.calendars import calendar

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
SALE = "DTSTART:20261201T080000|DTEND:20261201T200000|RRULE:FREQ=DAILY;COUNT=2|SUMMARY:winter sale"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a plan with a calendar and holidays, on a Monday at noon, on a worker's machine."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())
    for module in (clock, calendars):
        monkeypatch.setattr(module, "now", lambda: AT)
    file = tmp_path / "team.ics"
    file.write_bytes(calendar(SALE))
    windows = f"windows: {{deny: [{{ics: {file}, zone: UTC}}, {{holidays: DE, zone: Europe/Berlin, reason: holiday}}]}}\n"
    (tmp_path / "shipway.yaml").write_text(MINIMAL + windows)
    return tmp_path / "shipway.yaml"


def test_events_and_holidays_are_shown_with_their_names(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As freezes of the coming days, in the terminal and in the calendar that people subscribe to."""
    assert main(["windows", str(plan), "--days", "30"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("guestbook: production is open until Tue 2026-12-01 08:00 UTC.\n")
    said = f"freeze of the plan, the events of the calendar {plan.parent / 'team.ics'} in UTC: by the calendar: winter sale"
    assert shown.count(said) == 2
    assert "freeze of the plan, the public holidays of DE in Europe/Berlin: holiday: Christmas Day (ask whoever wrote the windows)" in shown
    assert main(["calendar", str(plan), "--json"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    assert [(one["title"], one["from"]) for one in events] == [
        ("guestbook: freeze (by the calendar: winter sale)", "2026-12-01T08:00:00+00:00"),
        ("guestbook: freeze (by the calendar: winter sale)", "2026-12-02T08:00:00+00:00"),
        ("guestbook: freeze (holiday: Christmas Day)", "2026-12-24T23:00:00+00:00"),
        ("guestbook: freeze (holiday: Second Day of Christmas)", "2026-12-25T23:00:00+00:00"),
    ]


def test_how_old_a_calendar_is_is_said_everywhere(plan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And `shipway doctor` warns of it."""
    assert main(["windows", str(plan)]) == 0
    assert _trust._calendars(plan).level == "ok"
    (plan.parent / "team.ics").unlink()
    for module in (clock, calendars):
        monkeypatch.setattr(module, "now", lambda: AT.replace(hour=17))
    note = f"the calendar {plan.parent / 'team.ics'}: as it was 5 h ago, and not read since: {plan.parent / 'team.ics'} cannot be read"
    capsys.readouterr()
    assert main(["windows", str(plan)]) == 0
    assert f"! {note}" in capsys.readouterr().out
    assert main(["windows", str(plan), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["calendars"][0].startswith(note)
    assert main(["check", str(plan)]) == 0
    assert note in capsys.readouterr().out
    assert main(["calendar", str(plan)]) == 0
    assert f"! {note}" in capsys.readouterr().out
    found = _trust._calendars(plan)
    assert (found.level, found.text.startswith(note)) == ("warn", True)


def test_a_plan_whose_calendar_was_never_read_is_refused(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Production would stay closed; the check says why."""
    (plan.parent / "team.ics").write_text("<html>")
    assert main(["check", str(plan)]) == 2
    said = "windows: production stays closed by the calendar"
    assert said in capsys.readouterr().err


def test_a_machine_that_is_not_a_worker_s_cannot_know_and_does_not_refuse(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A developer checks the plan, whose calendar is a file on the worker's machine."""
    key_path().unlink()
    (plan.parent / "team.ics").unlink()
    assert main(["check", str(plan)]) == 0
    assert "When production is open cannot be known here, which is not a worker's machine: the calendar" in capsys.readouterr().out
