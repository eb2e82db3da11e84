"""What the terminal shows of an outcome, and what programs read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from flows.cli import main
from flows.commands import _output
from tests.hostile_text import PIECES

ROOT = Path(__file__).parents[2]
CHECKS = (
    "health",
    "smoke",
    "tests",
    "dependencies",
    "checklist",
    "tick",
    "verdict",
    "data",
    "samples",
    "logs",
    "metrics",
    "migration",
    "note",
)
PASSED = {"passed", "accepted", "deployed", "rehearsed"}
PLAN = ROOT / "examples/guestbook/shipway.yaml"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: ARG001 - its stream
    """Make standard output a terminal that shows colours."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("kind", CHECKS)
def test_a_check_has_the_sign_of_its_outcome(kind: str) -> None:
    """Whatever was checked: only what passed carries the sign of passing."""
    assert {outcome for outcome in _output.OUTCOMES if _output.sign_of(kind, outcome) == "✓"} == PASSED
    assert _output.sign_of(kind, "failed") == _output.sign_of(kind, "error") == "✗"
    assert _output.sign_of(kind, "no_data") == _output.sign_of(kind, "watching") == "?"


@pytest.mark.parametrize(
    ("kind", "outcome", "sign"),
    [
        ("opened", "", "▶"), ("effect", "", "→"), ("gate", "", "⏸"), ("approval", "", "✓"), ("approval", "accepted", "✓"),
        ("refused", "wrong_code", "✗"), ("refused", "", "✗"),
        ("rollback", "", "↩"), ("rollback", "passed", "↩"), ("rollback", "failed", "✗"),
        ("closed", "deployed", "✓"), ("closed", "rolled_back", "↩"), ("closed", "failed", "✗"), ("unheard", "of", "·"),
    ],
)  # fmt: skip
def test_an_entry_without_an_outcome_has_the_sign_of_its_kind(kind: str, outcome: str, sign: str) -> None:
    """A rollback that passed is still shown as a rollback; one that failed is not."""
    assert _output.sign_of(kind, outcome) == sign


@pytest.mark.usefixtures("terminal")
def test_a_terminal_gets_colours_and_short_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Red for a failed check, and one line for an entry."""
    _output.entry_line(1.25, kind="health", outcome="failed", text="x" * 400)
    shown = capsys.readouterr().out
    assert "\033[31m✗\033[0m" in shown
    assert shown.endswith("x…\n")
    assert len(shown) < 200


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_is_shown_to_who_wants_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """https://no-color.org, and a terminal that knows no colours."""
    monkeypatch.setenv(name, value)
    assert _output.colour("text", "31") == "text"


@pytest.mark.usefixtures("terminal")
def test_an_empty_no_color_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable counts only with a value, as its convention says."""
    monkeypatch.setenv("NO_COLOR", "")
    assert _output.colour("text", "31") == "\033[31mtext\033[0m"


def test_a_pipe_gets_whole_lines_without_colours_or_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """What a log file or another program reads has no escape sequence and no cut line."""
    _output.progress(0.5, "watching")
    _output.entry_line(1.25, kind="health", outcome="failed", text="x" * 400)
    assert capsys.readouterr().out == f"   1.2 s  ✗ {'x' * 400}\n"


def test_json_has_times_in_iso_8601_and_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    """The text comes back as it was, and what is printed is ASCII without control characters."""
    name = " ".join(["grün", *PIECES, "\x7f"])  # apart, because two surrogates side by side are one character in JSON
    _output.print_json({"since": datetime(2026, 1, 2, tzinfo=UTC), "name": name})
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"since": "2026-01-02T00:00:00+00:00", "name": name}
    assert shown.isascii()
    assert shown.replace("\n", "").isprintable()


def test_the_version_is_that_of_the_installed_package(capsys: pytest.CaptureFixture[str]) -> None:
    """`shipway --version` needs no command."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"shipway {version('shipway')}\n"


def test_the_check_of_a_plan_is_read_by_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Problems, warnings and steps as one document; the code stays, a wrong plan included."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "SHIPWAY_"))]:
        monkeypatch.delenv(name)
    words = ["--json", "--home", str(tmp_path)]
    assert main(["check", str(PLAN), "--version", "1.4.2", *words]) == 0
    good = json.loads(capsys.readouterr().out)
    wrong = tmp_path / "shipway.yaml"
    wrong.write_text(PLAN.read_text().replace("quorum: 1", "quorum: 7"))
    assert main(["check", str(wrong), *words]) == 2
    bad = json.loads(capsys.readouterr().out)
    assert (good["ok"], good["problems"], good["service"], good["version"]) == (True, [], "guestbook", "1.4.2")
    assert len(good["steps"]) > 4
    assert bad["ok"] is False
    assert any("quorum" in problem for problem in bad["problems"])
    assert bad["steps"] == []


def test_the_doctor_is_read_by_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One finding a check, with its fix; a folder that is not a home directory is an error beside them, with its own code."""
    assert main(["doctor", "--json", "--home", str(tmp_path / "home")]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False
    assert "shipway up" in found["error"]
    assert set(found["findings"][0]) == {"level", "subject", "text", "fix"}
    assert [one["subject"] for one in found["findings"]][:2] == ["python", "prefect"]


@pytest.mark.parametrize("words", [["doctor"], ["check", str(PLAN)], ["check", "--schema"]], ids=" ".join)
def test_a_reader_that_goes_away_gets_no_traceback(words: list[str], tmp_path: Path) -> None:
    """As with `| head -n 1`: nothing on standard error, and the code that shells give to a broken pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "SHIPWAY_"))}
    program = [sys.executable, "-c", "from flows.cli import main; raise SystemExit(main())", *words, "--home", str(tmp_path)]
    ended = subprocess.run(program, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    os.close(writing)
    assert ended.returncode == 141
    assert "Broken" not in ended.stderr
    assert "Traceback" not in ended.stderr
