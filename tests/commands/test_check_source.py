"""`shipway check --version V` says before a release if V comes from elsewhere than a policy asks."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from flows.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples/guestbook"
POLICY = "policy: 1\nname: guestbook-production\nprotects: [local/guestbook-production]\nservices: [guestbook]\n"
SIGNER = "ada ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1u6qVU5kWYoxNJbpSBfT0XLLdtSPvTf2PJoYKoCxlc"
BY_TAG = f"source: {{signed: tag, signers: [{SIGNER}]}}\n"


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out a repository with one tagged version on the branch `topic`, under a key of its own."""
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    folder = tmp_path / "guestbook"
    for name in ("smoke", "data"):
        shutil.copytree(EXAMPLE / name, folder / name)
    shutil.copy(EXAMPLE / "shipway.yaml", folder)
    for words in (["init", "--quiet", "--initial-branch=topic"], ["add", "."], ["commit", "--quiet", "-m", "First"], ["tag", "v1.0"]):
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)
    return folder / "shipway.yaml"


def apply(plan: Path, source: str) -> None:
    """Put a policy beside the key."""
    file = plan.parent.parent / "policy.yaml"
    file.write_text(POLICY + source)
    assert main(["policy", "apply", str(file)]) == 0


@pytest.mark.parametrize(
    ("source", "version", "code", "said"),
    [
        ("", "1.0", 0, ""),
        ("source: {branches: [topic]}\n", "1.0", 0, ""),
        ("source: {branches: [main]}\n", "1.0", 2, "on none of `source.branches` of the policy guestbook-production (main)"),
        ("source: {branches: [main]}\n", None, 0, ""),
        ("source: {repositories: ['https://git.example.com/a']}\n", "1.0", 2, "`source.repositories` of the policy guestbook-production"),
        (BY_TAG, "1.0", 2, "so `source.signed: tag` of the policy guestbook-production is not met"),
        (BY_TAG, "1.1", 0, "where 1.1 comes from was not checked, as a policy asks:"),
    ],
)
def test_a_version_from_elsewhere_is_a_problem_of_the_check(
    plan: Path, capsys: pytest.CaptureFixture[str], source: str, version: str | None, code: int, said: str
) -> None:
    """As a release would be refused; a version without a tag is a warning, and without a version nothing is asked."""
    apply(plan, source)
    capsys.readouterr()
    assert main(["check", str(plan), *(["--version", version] if version else [])]) == code
    shown = capsys.readouterr()
    text = " ".join((shown.out + shown.err).split())
    assert said in text
    assert ("does not keep a policy" in text) is (code == 2)
    assert ("was not checked, as a policy asks" in text) is (version == "1.1")


def test_the_table_shows_where_a_release_must_come_from(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also for programs, and also if that is not so."""
    apply(plan, "source: {branches: [main]}\nwindows: {lifted_by: [ada]}\n")
    capsys.readouterr()
    assert main(["check", str(plan), "--version", "1.0", "--json"]) == 2
    rules = {line["field"]: line for line in json.loads(capsys.readouterr().out)["rules"]}
    assert rules["source.branches"] == {"field": "source.branches", "plan": "-", "policy": "main", "counts": "main"}
    assert rules["windows.lifted_by"]["policy"] == "ada"


def test_a_program_of_the_plan_that_is_not_there_is_a_problem(plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its content is part of what people approve."""
    plan.write_text(plan.read_text().replace("tests:", "tests:\n  - command: [./check.sh]", 1))
    assert main(["check", str(plan)]) == 2
    assert "tests[0].command: " in (said := capsys.readouterr().err)
    assert "check.sh does not exist" in said
