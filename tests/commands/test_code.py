"""`shipway code`: from a challenge to a code, offline."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.cli import main
from tasks.rules.approval.one_time_codes import code_of

CHALLENGE = "7K3M-0QZV-8R1D-XC5T"
SECRET = base64.b32encode(bytes(range(35))).decode()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    """Write a secret as `shipway approvers add --write` does."""
    path = tmp_path / "approver"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def test_a_challenge_gives_the_code_that_the_worker_expects(secret_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In two groups, however the challenge is typed."""
    code = code_of(SecretStr(SECRET), CHALLENGE)
    for typed in (CHALLENGE, CHALLENGE.lower().replace("-", " ")):
        assert main(["code", typed, "--secret-file", str(secret_file)]) == 0
        assert capsys.readouterr().out == f"{code[:4]} {code[4:]}\n"


@pytest.mark.parametrize(
    ("challenge", "content", "status", "words"),
    [
        ("7K3M", SECRET, 2, "is not a challenge"),
        (CHALLENGE, "short", 2, "does not hold a secret"),
        (CHALLENGE, "JBSWY3DP", 2, "does not hold a secret"),
        (CHALLENGE, None, 2, "your secret is missing"),
    ],
)
def test_bad_input_is_told_with_its_fix(
    secret_file: Path, capsys: pytest.CaptureFixture[str], challenge: str, content: str | None, status: int, words: str
) -> None:
    """No code is printed."""
    secret_file.unlink() if content is None else secret_file.write_text(content)
    assert main(["code", challenge, "--secret-file", str(secret_file)]) == status
    said = capsys.readouterr()
    assert (words in said.err, said.out) == (True, "")


def test_a_secret_that_others_can_read_is_refused(secret_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is as good as the person."""
    secret_file.chmod(0o644)
    assert main(["code", CHALLENGE, "--secret-file", str(secret_file)]) == 4
    assert "chmod 600" in capsys.readouterr().err
