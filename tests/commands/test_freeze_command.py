"""`shipway freeze` and `shipway unfreeze` on the worker's machine, without a server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.key_folder.freeze_files import freeze_folder
from blocks.server import layout
from flows.cli import main
from flows.commands import _trust
from tests.rules.plan.test_file import MINIMAL


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a home directory that never ran, and a plan."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SHIPWAY_", "PREFECT_"))}
    monkeypatch.setattr(os, "environ", environment | {"SHIPWAY_HOME": str(tmp_path / "home")})
    layout.make_home(tmp_path / "home", port=None, auth=None)
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(layout.key_file(tmp_path / "home")))
    (tmp_path / "shipway.yaml").write_text(MINIMAL)
    return tmp_path / "home"


def test_a_freeze_is_set_shown_and_lifted_without_a_server(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The windows and the doctor say it meanwhile; the command names the one that lifts it."""
    assert main(["freeze", "--reason", "incident 7", "--as", "ada", "--service", "guestbook", "--until", "2h"]) == 0
    shown = capsys.readouterr().out
    (kept,) = freeze_folder().glob("*.json")
    assert f"Frozen: freeze {kept.stem} of guestbook, set by ada" in shown
    assert f"shipway unfreeze {kept.stem}" in shown

    assert main(["windows", str(home.parent / "shipway.yaml"), "--json"]) == 0
    assert "incident 7" in json.loads(capsys.readouterr().out)["frozen"][0]
    (finding,) = [one for one in _trust.examine(home) if one.subject == "freezes"]
    assert (finding.level, "incident 7" in finding.text) == ("warn", True)

    assert main(["unfreeze", "--reason", "over", "--as", "grace"]) == 0
    assert "was lifted by grace on the worker's machine" in capsys.readouterr().out
    assert json.loads(kept.read_text())["lifted"]["reason"] == "over"
    assert main(["unfreeze", "--reason", "over"]) == 2
    assert "0 freezes are in force" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--until", "tomorrow"], "neither a duration nor a moment"),
        (["--until", "0m"], "is over already"),
        (["--service", "Guest Book"], "is not the name of a service"),
    ],
)
def test_what_would_stop_nothing_is_refused(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With the fix."""
    assert main(["freeze", "--reason", "incident", *words]) == 2
    assert says in capsys.readouterr().err


def test_freezes_that_cannot_be_read_are_found_with_their_fix(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is frozen then, and lifting one is refused."""
    assert main(["freeze", "--reason", "incident"]) == 0
    (kept,) = freeze_folder().glob("*.json")
    kept.write_text("torn")
    (finding,) = [one for one in _trust.examine(home) if one.subject == "freezes"]
    assert (finding.level, str(kept) in finding.text) == ("fail", True)
    assert "everything is frozen" in finding.fix
    capsys.readouterr()
    assert main(["unfreeze", "--reason", "over"]) == 4
    assert str(kept) in capsys.readouterr().err
    assert main(["windows", str(home.parent / "shipway.yaml")]) == 0
    assert "Frozen, whatever the windows say" in capsys.readouterr().out


@pytest.mark.slow
def test_a_service_that_nothing_here_knows_is_frozen_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """It may be misspelled, and then stops nothing; the freeze is kept all the same, and the message names where it holds."""
    from blocks.key_folder.policy_files import write_policy_file  # noqa: PLC0415 - the folder is the test's

    write_policy_file("shop", b"policy: 1\nname: shop\nservices: [shop]\nprotects: [local/shop]\n")
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):  # other tests of this process may have a server
        assert main(["freeze", "--reason", "incident", "--service", "shpo"]) == 0
    shown = capsys.readouterr()
    assert f"It holds for the workers that use {freeze_folder()}" in shown.out
    assert "names the service shpo, and the server does not answer. Is it misspelled? They name shop." in shown.err
    for known in (["--service", "shop"], []):
        assert main(["freeze", "--reason", "incident", *known]) == 0
        assert capsys.readouterr().err == ""


def test_a_policy_guards_against_mistakes_on_the_workers_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """It names who lifts; who set it may, too."""
    from blocks.key_folder.policy_files import write_policy_file  # noqa: PLC0415 - the folder is the test's

    text = "policy: 1\nname: shop\nservices: [shop]\nprotects: [local/shop]\nwindows: {lifted_by: [grace]}\n"
    write_policy_file("shop", text.encode())
    assert main(["freeze", "--reason", "incident", "--as", "ada"]) == 0
    assert main(["unfreeze", "--reason", "over", "--as", "eve"]) == 4
    assert "ada may, who set it, and grace by `windows.lifted_by` of the policy shop" in capsys.readouterr().err
    assert main(["unfreeze", "--reason", "over", "--as", "ada"]) == 0
