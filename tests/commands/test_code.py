"""`shipway code`: from a challenge to a code, offline."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.cli import main
from tasks.rules.approval.one_time_codes import code_of
from tasks.rules.approval.statement import extended
from tasks.rules.approval.ticks import Tick, ticks_text

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


def test_the_code_of_ticks_is_that_of_these_ticks_alone(secret_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However the challenge is typed, and in whatever order the items are."""

    def code(*words: str) -> str:
        assert main(["code", *words, "--secret-file", str(secret_file)]) == 0
        return capsys.readouterr().out

    ticks = [Tick(item="backup", did="done", evidence="https://x/1"), Tick(item="call", did="skipped", evidence="closed today")]
    wanted = code_of(SecretStr(SECRET), extended(CHALLENGE, ticks_text(ticks)))
    typed = ["backup=https://x/1", "--skip", "call=closed today"]
    assert code(CHALLENGE, *typed) == code(CHALLENGE.lower().replace("-", " "), *typed) == f"{wanted[:4]} {wanted[4:]}\n"
    assert code(CHALLENGE, "a", "b") == code(CHALLENGE, "b", "a")
    others = [code(CHALLENGE), code(CHALLENGE, "backup=https://x/1"), code(CHALLENGE, "backup=https://x/2", *typed[1:])]
    assert wanted not in [one.replace(" ", "").strip() for one in others]


def test_a_challenge_typed_as_several_words_is_not_taken_for_items(secret_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its code would be for something else."""
    assert main(["code", *CHALLENGE.split("-"), "--secret-file", str(secret_file)]) == 2
    assert "is not a" in capsys.readouterr().err


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
