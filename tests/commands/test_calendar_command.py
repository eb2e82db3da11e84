"""`shipway calendar` shows several plans to people, programs, browsers and calendars."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.cli import main
from tasks.lifecycle import clock
from tests.commands.test_windows_command import WINDOWS
from tests.rules.plan.test_file import MINIMAL


@pytest.fixture
def plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lay out the plans of two services, on a Monday at noon, on a machine without a server."""
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 30, 12, tzinfo=UTC))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    (tmp_path / "one.yaml").write_text(MINIMAL + WINDOWS)
    (tmp_path / "two.yaml").write_text(MINIMAL.replace("guestbook", "blog", 1))
    return [str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")]


def test_people_and_programs_see_windows_and_freezes(plans: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """By the zone of the windows; what is not known is said."""
    assert main(["calendar", *plans, "--days", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "! no server is configured here, so scheduled releases are not known"
    assert lines[1].startswith(
        "Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC) – Tue 2026-12-01 00:00 Europe/Berlin (23:00 UTC)  guestbook: "
    )
    assert main(["calendar", *plans, "--days", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["from"]) for one in found["events"]] == [
        ("open", "2026-11-30T21:00:00+00:00"),
        ("freeze", "2026-11-30T23:00:00+00:00"),
    ]


def test_a_page_and_a_file_to_subscribe_to_are_written(plans: list[str], tmp_path: Path) -> None:
    """Each whole, readable by a web server, and again in its place."""
    for option, name, begins in (("--html", "calendar.html", "<!doctype html>"), ("--ics", "calendar.ics", "BEGIN:VCALENDAR\r\n")):
        target = tmp_path / name
        for _ in range(2):
            assert main(["calendar", *plans, option, str(target)]) == 0
        assert target.read_bytes().decode().startswith(begins)
        assert target.stat().st_mode & 0o777 == 0o644
    assert sorted(path.name for path in tmp_path.iterdir()) == ["calendar.html", "calendar.ics", "one.yaml", "two.yaml"]


def test_a_wrong_plan_or_zone_is_bad_input(plans: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the file, or the field."""
    assert main(["calendar", *plans, "--zone", "CET"]) == 2
    assert "`CET` is not the name of a time zone" in capsys.readouterr().err
    for path in plans:
        Path(path).write_text("shipway: 1\n")
    assert main(["calendar", *plans]) == 2
    assert "one.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["torn", "gone", "the same service"])
def test_a_wrong_plan_leaves_the_others_their_calendar(wrong: str, plans: list[str], tmp_path: Path) -> None:
    """The file says which plan is left out, and the exit code is that of bad input."""
    bad = Path(plans[1])
    bad.unlink() if wrong == "gone" else bad.write_text(Path(plans[0]).read_text() if wrong == "the same service" else "shipway: 1\n")
    target = tmp_path / "calendar.ics"
    assert main(["calendar", *plans, "--ics", str(target)]) == 2
    written = target.read_bytes().decode().replace("\r\n ", "")
    assert "guestbook: production may change" in written
    assert "a plan is left out: " in written
    assert "two.yaml" in written


def test_freezes_that_people_set_are_in_the_calendar(plans: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Of one service or of all; if one cannot be read, it says that everything is frozen."""
    from blocks.key_folder.freeze_files import freeze_folder  # noqa: PLC0415 - the folder is the test's
    from tasks.lifecycle.freezes import set_freeze  # noqa: PLC0415

    freeze = set_freeze(who="ada", reason="incident 7", service="blog")
    assert main(["calendar", *plans, "--json"]) == 0
    events = json.loads(capsys.readouterr().out)["events"]
    assert [(one["service"], one["title"]) for one in events if "incident 7" in one["title"]] == [("blog", "blog: freeze (incident 7)")]
    (freeze_folder() / f"{freeze.id}.json").write_text("torn")
    assert main(["calendar", *plans]) == 0
    assert "! everything is frozen, as its freezes cannot be read" in capsys.readouterr().out
