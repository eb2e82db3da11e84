"""`shipway rehearse`: what it asks for, and by which code it ends."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows import cli
from flows.commands import _terminal, rehearse
from tests.rules.plan.test_file import MINIMAL


def test_a_plan_that_is_wrong_ends_the_command_before_anything_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With 2, and without a server."""
    (plan := tmp_path / "shipway.yaml").write_text(MINIMAL.replace("service:", "servce:"))
    assert cli.main(["rehearse", str(plan)]) == 2
    assert "servce" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--fail-at", "0"], ["--fail-at", "101"], ["--environment", "nowhere"]])
def test_a_wrong_option_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Before the plan is read."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["rehearse", "none.yaml", *words])
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("state", "code"), [("Rehearsed", 0), ("Failed", 3), ("CancelledAndBack", 3), ("Cancelled", 3), ("Refused", 4), ("Crashed", 1)]
)
async def test_the_exit_code_says_how_it_ended(
    state: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the JSON what was shown; null if that is nothing."""
    asked: dict[str, Any] = {}
    found: Any = SimpleNamespace(id="3682db11", state=SimpleNamespace(name=state, message="why"))

    async def start(_client: object, deployment: str, parameters: dict[str, Any]) -> object:
        asked.update(parameters, deployment=deployment)
        return found

    async def ended(_client: object, run: object) -> object:
        return run

    async def entries_of(_run: str) -> list[Any]:
        return []

    monkeypatch.setattr("flows.commands.release.start", start)
    monkeypatch.setattr("flows.commands.status.entries_of", entries_of)
    monkeypatch.setattr(rehearse, "_ended", ended)
    parser, _ = cli.build_parser()
    arguments = parser.parse_args(["rehearse", str(tmp_path / "p.yaml"), "--version", "1.1", "--fail-at", "10", "--as", "ada", "--json"])
    client: Any = None
    assert await rehearse._rehearse(client, arguments) == code
    assert (asked["deployment"], asked["version"], asked["fail_at"], asked["environment"]) == ("rehearse/rehearse", "1.1", 10, "production")
    assert json.loads(capsys.readouterr().out) == {"id": "3682db11", "outcome": "open", "why": "why", "rehearsal": None}
    assert _terminal.EXIT["Rehearsed"] == 0
