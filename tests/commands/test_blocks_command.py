"""`shipway blocks apply`, against the real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli import main

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]
TEXT = """
local/applied-staging:
  service: applied
  command: [python3, hello.py]
  working_directory: sub
  environment: {TOKEN: {env: APPLIED_TOKEN}}
credential/applied:
  value: {env: APPLIED_TOKEN}
  services: [applied]
  hosts: [accounts.example.org]
"""


@pytest.mark.slow
def test_a_file_is_saved_once_and_again_only_where_it_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done is said of each block, and no secret is."""
    from blocks.local.platform import LocalPlatform  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay

    monkeypatch.setenv("APPLIED_TOKEN", "hush-hush")
    file = tmp_path / "blocks.yaml"
    file.write_text(TEXT)
    outputs = []
    for text in (TEXT, TEXT, TEXT.replace("hello.py", "other.py")):
        file.write_text(text)
        assert main(["blocks", "apply", str(file)]) == 0
        outputs.append(capsys.readouterr().out.splitlines())
    assert outputs[0] == ["local/applied-staging  created", "credential/applied  created"]
    assert outputs[1] == ["local/applied-staging  unchanged", "credential/applied  unchanged"]
    assert outputs[2] == ["local/applied-staging  changed: command", "credential/applied  unchanged"]
    saved = LocalPlatform.load("applied-staging", _sync=True)
    assert saved.working_directory == str(tmp_path / "sub")
    assert saved.environment["TOKEN"].get_secret_value() == "hush-hush"
    assert "hush" not in str(outputs)


def test_a_file_with_a_problem_saves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is that of bad input, and the line can be jumped to."""
    file = tmp_path / "blocks.yaml"
    file.write_text("local/never-saved:\n  service: x\nlocal/other:\n  port: 99999\n")
    assert main(["blocks", "apply", str(file)]) == 2
    assert f"{file}:4:9 local/other.port" in capsys.readouterr().err
