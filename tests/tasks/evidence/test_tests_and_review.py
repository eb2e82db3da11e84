"""Plans, reports and commands are read from real files, and nothing outside the repository is."""

import os
from pathlib import Path

import pytest

from blocks.errors import BadInput
from tasks.evidence.review import read_plan_file
from tasks.evidence.tests import read_test_evidence
from tasks.process.files import missing_files, read_bounded, resolve_inside
from tasks.rules.plan.plan import Command, Junit, Plan

EXAMPLE = (Path(__file__).parents[3] / "examples/guestbook/shipway.yaml").read_text()
REPORT = b'<testsuite><testcase name="a"/></testsuite>'


async def test_a_plan_file_is_read_with_its_folders(tmp_path: Path) -> None:
    """The task gives the plan as JSON that the model takes, and where its paths start."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "shipway.yaml").write_text(EXAMPLE)
    found = await read_plan_file.fn(str(folder / "shipway.yaml"))
    assert Plan.model_validate(found["plan"]).service == "guestbook"
    assert (found["folder"], found["repository"]) == (str(folder), str(tmp_path))


async def test_a_bad_plan_file_names_every_problem(tmp_path: Path) -> None:
    """Two faults are both in the one error."""
    file = tmp_path / "shipway.yaml"
    file.write_text(EXAMPLE.replace("service: guestbook", "service: 1.10").replace("quorum: 1", "quorum: 7"))
    with pytest.raises(BadInput, match="2 problem") as caught:
        await read_plan_file.fn(str(file))
    assert "10 service: `1.10` is read as a number" in str(caught.value)
    assert "approval.quorum" in str(caught.value)


SECRET = "SECRETTOKEN123"


@pytest.mark.parametrize(
    "text",
    [
        f"service: {SECRET}\nproduction: {SECRET}\n",
        f"shipway: {SECRET}\n",
        f"shipway: true\nservice: [{SECRET}]\nstaging: {SECRET}\n",
        f"{SECRET}: x\n",
        f"*{SECRET}\n",
        f"!{SECRET} x\n",
        f"a: {{shipway: 1}}\nservice: {SECRET}\n",
        f"{SECRET}: [\n",
        f"shipway: {SECRET}\na: *{SECRET}\n",
    ],
)
async def test_nothing_is_quoted_of_a_file_that_does_not_say_that_it_is_a_plan(tmp_path: Path, text: str) -> None:
    """Whoever may start a flow names any file that the worker can read; the error stands in the run's state."""
    file = tmp_path / "credentials.yaml"
    file.write_text(text)
    with pytest.raises(BadInput, match="is not a plan: it does not say `shipway: 1`") as caught:
        await read_plan_file.fn(str(file))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["shipway: 2\nservice: Shop\n", "shipway: 1 # plan\nservice: *shop\n", '{"shipway": 1, "service": "Shop"}']
)
async def test_a_broken_plan_is_still_told_what_is_wrong(tmp_path: Path, text: str) -> None:
    """Also if its YAML cannot be read at all."""
    (tmp_path / "shipway.yaml").write_text(text)
    with pytest.raises(BadInput, match=r"problem\(s\)\n(?s:.)*(?i:shop)"):
        await read_plan_file.fn(str(tmp_path / "shipway.yaml"))


@pytest.mark.parametrize("kind", ["absent", "folder", "pipe", "nul", "large"])
async def test_what_is_not_a_plan_file_is_refused(tmp_path: Path, kind: str) -> None:
    """An absent file, a folder, a pipe that no one writes, 100 MB: each ends at once in a plain error."""
    path = str(tmp_path / "plan")
    if kind == "folder":
        (tmp_path / "plan").mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "nul":
        path += "\0"
    elif kind == "large":
        (tmp_path / "plan").touch()
        os.truncate(path, 100_000_000)
    with pytest.raises(BadInput):
        await read_plan_file.fn(path)


async def test_a_report_is_read_and_judged(tmp_path: Path) -> None:
    """A report that is there passes, one that is not is no data."""
    (tmp_path / "junit.xml").write_bytes(REPORT)
    assert (await read_test_evidence.fn(Junit(junit="junit.xml"), repository=tmp_path)).outcome == "passed"
    assert (await read_test_evidence.fn(Junit(junit="other.xml"), repository=tmp_path)).outcome == "no_data"
    os.utime(tmp_path / "junit.xml", (0, 0))
    assert (await read_test_evidence.fn(Junit(junit="junit.xml", max_age_hours=1), repository=tmp_path)).outcome == "failed"


async def test_a_link_out_of_the_repository_is_refused(tmp_path: Path) -> None:
    """A link may lead about the repository, not out of it, and not round in circles."""
    (tmp_path / "secret.xml").write_bytes(REPORT)
    service = tmp_path / "repository" / "service"
    service.mkdir(parents=True)
    (tmp_path / "repository" / ".git").mkdir()
    (tmp_path / "repository" / "shared.xml").write_bytes(REPORT)
    (service / "near.xml").symlink_to("../shared.xml")
    (service / "out.xml").symlink_to(tmp_path / "secret.xml")
    (service / "up").symlink_to(tmp_path)
    (service / "round.xml").symlink_to("round.xml")
    assert resolve_inside(service, "near.xml", field="x") == tmp_path / "repository" / "shared.xml"
    for path in ("out.xml", "up/secret.xml", "round.xml"):
        found = await read_test_evidence.fn(Junit(junit=path), repository=service)
        assert found.outcome == "error", path


async def test_a_command_is_run_in_the_folder(tmp_path: Path) -> None:
    """Exit 0 passes; another code and a time-out fail with the last line."""
    (tmp_path / "here").touch()
    assert (await read_test_evidence.fn(Command(command=["test", "-f", "here"]), repository=tmp_path)).outcome == "passed"
    failed = await read_test_evidence.fn(Command(command=["sh", "-c", "echo broken; exit 1"]), repository=tmp_path)
    assert failed.outcome == "failed"
    assert failed.reason.endswith(": broken")
    late = await read_test_evidence.fn(Command(command=["sleep", "60"], timeout_seconds=0.2), repository=tmp_path)
    assert late.outcome == "failed"
    assert "timed out" in late.reason


def test_missing_files_are_problems_or_warnings(tmp_path: Path) -> None:
    """A missing smoke test is a problem; a report that is still to be written is a warning."""
    taken = {
        "shipway": 1, "service": "g", "tests": [{"junit": "junit.xml"}], "staging": {"platform": "local/a"},
        "verification": {"health": [{}], "smoke": [{"name": "s", "pytest": "smoke.py"}]}, "change_log": {"paths": ["app"]},
        "judgement": {"slis": [{"name": "e", "indicator": "errors"}]}, "production": {"platform": "local/b", "steps": [{"percent": 100}]},
        "approval": {"quorum": 0}, "rollback": {},
    }  # fmt: skip
    problems, warnings = missing_files(Plan.model_validate(taken), tmp_path)
    assert [line.split(":")[0] for line in problems] == ["verification.smoke[0].pytest"]
    assert [line.split(":")[0] for line in warnings] == ["tests[0].junit", "change_log.paths[0]"]


def test_a_long_file_is_read_to_its_bound(tmp_path: Path) -> None:
    """One byte more than the bound shows that there is more."""
    (tmp_path / "long").write_bytes(b"x" * 100)
    assert read_bounded(tmp_path / "long", limit_bytes=10) == b"x" * 11
