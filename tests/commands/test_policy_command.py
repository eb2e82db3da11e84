"""`shipway policy`: what a platform team does with its files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from flows.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples/policy.yaml"


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a home directory of the test's own."""
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    return tmp_path / "keys"


def test_a_policy_is_applied_listed_shown_and_removed(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Byte for byte, with its comments."""
    assert main(["policy", "list"]) == 0
    assert "There is no policy" in capsys.readouterr().out
    assert main(["policy", "apply", str(EXAMPLE)]) == 0
    said = capsys.readouterr()
    assert "protects local/guestbook-production from now on" in said.out
    assert "there was no approval key" in said.err
    assert (keys / "policies/guestbook-production.yaml").read_bytes() == EXAMPLE.read_bytes()
    assert main(["policy", "list"]) == 0
    assert capsys.readouterr().out == "guestbook-production  protects local/guestbook-production for guestbook\n"
    assert main(["policy", "show", "guestbook-production"]) == 0
    assert capsys.readouterr().out == EXAMPLE.read_text(encoding="utf-8")
    assert main(["policy", "list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)["policies"]
    assert listed == {"name": "guestbook-production", "protects": ["local/guestbook-production"], "services": ["guestbook"]}
    assert main(["policy", "show", "guestbook-production", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["approval"]["quorum"] == 1
    assert main(["policy", "remove", "guestbook-production"]) == 0
    assert list((keys / "policies").iterdir()) == []


def test_a_wrong_policy_is_not_applied_and_every_problem_is_listed(tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With line, field and fix, as for a plan."""
    file = tmp_path / "p.yaml"
    file.write_text("policy: 1\nname: Shop\nprotects: [local/a]\nservice: [a]\n")
    assert main(["policy", "apply", str(file)]) == 2
    said = capsys.readouterr().err
    assert f"{file}:2:7 name: `Shop` does not fit" in said
    assert f"{file}:4:1 service: the field `service` is unknown. Did you mean `services`?" in said
    assert not keys.exists()


@pytest.mark.parametrize("words", [["show", "none"], ["remove", "none"], ["remove", "../approvals"], ["apply", "/nowhere.yaml"]])
def test_what_is_not_there_is_bad_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the field to fix."""
    assert main(["policy", *words]) == 2
    assert "NAME" in (said := capsys.readouterr().err) or "FILE" in said


def test_check_shows_the_rules_of_plan_and_policy_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan that is weaker has a problem for each field; the table says what counts."""
    main(["policy", "apply", str(EXAMPLE)])
    plan = EXAMPLE.parent / "guestbook/shipway.yaml"
    assert main(["check", str(plan)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()) for line in said if "approval.quorum" in line or "requester" in line] == [
        "approval.quorum 1 at least 1 1",
        "requester any ada, grace, linus ada, grace, linus",
        "approval.requester named named named",
    ]
    shutil.copytree(plan.parent, tmp_path / "guestbook")
    weak = tmp_path / "guestbook" / "weak.yaml"
    weak.write_text(plan.read_text(encoding="utf-8").replace("  quorum: 1", "  quorum: 0"), encoding="utf-8")
    assert main(["check", str(weak), "--json"]) == 2
    facts = json.loads(capsys.readouterr().out)
    assert (
        "approval.quorum: 0 is less than the 1 of `approval.quorum` of the policy guestbook-production. Write `quorum: 1`."
        in facts["problems"]
    )
    assert {"field": "approval.quorum", "plan": "0", "policy": "at least 1", "counts": "1"} in facts["rules"]


def test_a_broken_policy_is_reported_and_can_be_removed(keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Else no command could put it right."""
    main(["policy", "apply", str(EXAMPLE)])
    (keys / "policies/guestbook-production.yaml").write_text("policy: 1\n")
    assert main(["policy", "list"]) == 4
    assert "a policy is wrong, so nothing is deployed" in capsys.readouterr().err
    assert main(["policy", "show", "guestbook-production", "--json"]) == 4
    assert (said := capsys.readouterr()).out == ""
    assert "the policy guestbook-production is wrong" in said.err
    assert main(["policy", "remove", "guestbook-production"]) == 0
