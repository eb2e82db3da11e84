"""`shipway check` says what is wrong, or what would happen, and ends with a code that scripts can use."""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.commands import check

EXAMPLE = Path(__file__).parents[2] / "examples/guestbook"
PLAN = (EXAMPLE / "shipway.yaml").read_text()


def run(*arguments: str) -> int:
    """Run the command as the shell would."""
    parser = argparse.ArgumentParser()
    check.configure(parser)
    return check.run(parser.parse_args(arguments))


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Lay out a plan with the files that it names."""
    (tmp_path / "smoke").mkdir()
    (tmp_path / "smoke" / "test_critical.py").touch()
    shutil.copytree(EXAMPLE / "data", tmp_path / "data")
    (tmp_path / "shipway.yaml").write_text(PLAN)
    return tmp_path / "shipway.yaml"


def test_a_right_plan_shows_its_course(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The course is on stdout with the version, a missing report is a warning, the code is 0."""
    assert run(str(plan), "--version", "1.4.2") == 0
    shown = capsys.readouterr()
    assert "guestbook 1.4.2" in shown.out
    assert "100 % of new requests" in shown.out
    assert "Warning" in shown.err


def test_the_requests_that_each_step_needs_are_shown(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a server the traffic is not known, and says so; programs get the same rows."""
    assert run(str(plan)) == 0
    shown = capsys.readouterr().out
    assert "production: what the steps can decide" in shown
    assert "not known" in shown
    assert run(str(plan), "--json") == 0
    found = json.loads(capsys.readouterr().out)["power"]["production"]
    assert [row[0] for row in found if row[1] == "errors"] == ["25 %", "50 %", "100 %"]


def test_every_problem_is_shown_at_once(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two faults of the plan and one of the version are all on stderr, the code is 2, nothing is on stdout."""
    plan.write_text(PLAN.replace("service: guestbook", "service: on").replace("quorum: 1", "quorum: 7"))
    assert run(str(plan), "--version", "1;reboot") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3 problem(s)" in shown.err
    assert f"{plan}:" in shown.err


def test_a_missing_smoke_test_is_a_problem(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that the plan names and no one writes later must be there."""
    (plan.parent / "smoke" / "test_critical.py").unlink()
    assert run(str(plan)) == 2
    assert "verification.smoke[1].pytest" in capsys.readouterr().err


def test_a_migration_without_its_job_is_a_problem(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A manifest that is not there, and one that is not a Job; the course names a migration that is right."""
    entry = "\nmigrations:\n  - {name: add-place, manifest: job.yaml, when: before, compatibility: expand}\n"
    plan.write_text(PLAN + entry)
    assert run(str(plan)) == 2
    assert "migrations[0].manifest: job.yaml does not exist" in capsys.readouterr().err
    (plan.parent / "job.yaml").write_text("kind: CronJob")
    assert run(str(plan)) == 2
    assert "migrations[0].manifest: job.yaml: it is not a Job" in capsys.readouterr().err
    pod = "{restartPolicy: Never, containers: [{name: migrate, image: 'shop:{version}'}]}"
    (plan.parent / "job.yaml").write_text(f"apiVersion: batch/v1\nkind: Job\nspec: {{template: {{spec: {pod}}}}}\n")
    assert run(str(plan)) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert [said.count(f"{place}: run the migration add-place (expand);") for place in ("Staging", "Production")] == [1, 1]


@pytest.mark.parametrize("name", ["absent.yaml", ".", "nul\0"])
def test_no_plan_is_said_plainly(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An absent file, a folder and a name that cannot be end with 2 and a sentence."""
    assert run(str(tmp_path / name)) == 2
    assert "Give the path of a plan file" in capsys.readouterr().err


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`--schema` prints what editors read."""
    assert run("--schema") == 0
    assert "service" in json.loads(capsys.readouterr().out)["properties"]


def test_describing_the_command_is_cheap() -> None:
    """Neither the models nor Prefect are loaded for `shipway --help`."""
    code = "import sys, flows.commands.check; print([name for name in ('pydantic', 'prefect', 'httpx', 'yaml') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_checking_loads_no_prefect(plan: Path) -> None:
    """A check needs neither Prefect nor an HTTP client, so it is quick."""
    code = f"import pathlib, sys; from flows.commands import check; check.look_at(pathlib.Path({str(plan)!r})); "
    code += "print('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_windows_are_shown_with_what_holds_now(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the course, and in a sentence of its own; programs get it, too."""
    plan.write_text(PLAN + 'windows: {deny: [{from: "2020-01-01", until: "2020-01-02", zone: UTC, reason: a, owner: b}]}\n')
    assert run(str(plan)) == 0
    shown = capsys.readouterr().out
    assert "Window: the next wave of production begins not in the freeze of the plan: from 2020-01-01 00:00" in " ".join(shown.split())
    assert "Production is open, without an end in sight." in shown
    assert run(str(plan), "--json") == 0
    assert json.loads(capsys.readouterr().out)["windows"].startswith(
        "Production is open, without an end in sight. Wave 1 is taken to need "
    )


def test_windows_that_never_open_are_a_problem(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before a release finds out at night."""
    plan.write_text(PLAN + 'windows: {allow: [{until: "2020-01-02", zone: UTC, reason: a, owner: b}]}\n')
    assert run(str(plan)) == 2
    assert "windows: production never opens: closed; opens not within 2 years." in capsys.readouterr().err
