"""`shipway approve` and `shipway approvers` against a real server, with the run's own part played as the flow does."""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.states import Running

from blocks.approvers.approvers import Approvers
from blocks.approvers.signers import add_signer
from flows.commands import approve, approvers
from tasks.approval.approval import fetch_answer, judge_approval, log_outcome
from tasks.rules.approval.answers import AnswerVerdict
from tasks.rules.approval.gates import Gate, gate_state
from tasks.rules.approval.one_time_codes import code_of
from tasks.rules.approval.statement import NAMESPACE
from tests.commands.suspended import suspended_run

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: object) -> None:
    """Keep the key in a folder of the test, and need the server."""
    assert server is not None
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))


@pytest.fixture
def block_name() -> str:
    """Use a block of one's own in each test."""
    return f"test-{uuid4().hex[:8]}"


def parsed(command: Any, *words: str) -> argparse.Namespace:
    """Parse words as the terminal does."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(words)


async def approve_with(*words: str) -> int:
    """Run `shipway approve` in the loop of the test."""
    return await approve.answer(parsed(approve, *words))


async def approvers_with(*words: str) -> int:
    """Run `shipway approvers` in the loop of the test."""
    return await approvers.manage(parsed(approvers, *words))


async def play_the_run(gate: Gate, block: Approvers, *, after: str = "") -> AnswerVerdict:
    """Do what the flow does once it was resumed."""
    async with get_client() as client:
        while (await client.read_flow_run(gate.run)).state.is_paused():  # type: ignore[union-attr, arg-type]  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    answer = await fetch_answer.fn(gate)
    judgement = await judge_approval.fn(block, key=gate.key, gate=gate, answer=answer, proofs=[])
    state = gate_state(gate, [judgement.proof] if judgement.proof else [], wrong_codes=0, now=datetime.now(UTC))
    await log_outcome.fn(gate.run, key=gate.key, outcome=judgement.outcome, reason=judgement.reason, state=state.state)
    if after:
        await log_outcome.fn(gate.run, outcome=after, reason="compared with the world", state="open")
    return judgement


def enrolled(name: str, file: Path | None = None) -> Approvers:
    """Enrol a person without a server, and write the secret as that person does."""
    block = Approvers()
    secret = block.enrol(name).get_secret_value()
    if file:
        file.write_text(secret)
        file.chmod(0o600)
    return block


def make_key(path: Path) -> None:
    """Generate an SSH key without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


@pytest.mark.slow
async def test_people_are_enrolled_listed_and_removed(block_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The block is made when it is not there, and the secret goes into a file that only its owner can read."""
    words = ("--block", block_name)
    assert await approvers_with(*words, "list") == 0
    assert "No approver is enrolled" in capsys.readouterr().out
    assert await approvers_with(*words, "add", "anna") == 2
    assert "--write" in capsys.readouterr().err
    for name in ("one", "two", "three"):
        write = ("--write", str(tmp_path / name))
        assert await approvers_with(*words, "add", "anna", *write) == (0 if name == "one" else 2)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert await approvers_with(*words, "add", "anna", "--write", str(tmp_path / "one"), "--replace") == 2
    assert await approvers_with(*words, "add", "anna", "--write", str(tmp_path / "two"), "--replace") == 0
    assert await approvers_with(*words, "add", "ben", "--write", str(tmp_path / "three")) == 0
    make_key(tmp_path / "key")
    for name in ("ben", "zoe"):
        assert await approvers_with(*words, "add", name, "--ssh-key", str(tmp_path / "key.pub")) == 0
    assert await approvers_with(*words, "remove", "anna") == 0
    assert await approvers_with(*words, "remove", "anna") == 2
    capsys.readouterr()
    assert await approvers_with(*words, "list") == 0
    assert capsys.readouterr().out == "ben  code, SSH key\nzoe  SSH key\n"
    assert await approvers_with(*words, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["approvers"] == [
        {"name": "ben", "code": True, "ssh_key": True, "fault": ""},
        {"name": "zoe", "code": False, "ssh_key": True, "fault": ""},
    ]
    assert await approvers_with(*words, "remove", "zoe") == 0


async def test_a_person_whom_the_block_does_not_show_is_removed(
    block_name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Whoever took the entry out through the API cannot put it back: it is revoked, and the command says that the block was changed."""
    words = ("--block", block_name)
    assert await approvers_with(*words, "add", "anna", "--write", str(tmp_path / "secret")) == 0
    shown = await Approvers.aload(block_name)
    await Approvers().asave(block_name, overwrite=True)
    capsys.readouterr()
    assert await approvers_with(*words, "remove", "anna") == 0
    assert "did not have the entry that counted for anna" in capsys.readouterr().out
    await shown.asave(block_name, overwrite=True)
    assert (await Approvers.aload(block_name)).readable() == {}
    assert await approvers_with(*words, "remove", "anna") == 0
    assert await approvers_with(*words, "remove", "anna") == 2


async def test_what_any_client_of_the_api_can_read_is_ciphertext(block_name: str, tmp_path: Path) -> None:
    """The block document with its secrets included holds no secret of a person."""
    assert await approvers_with("--block", block_name, "add", "anna", "--write", str(tmp_path / "secret")) == 0
    secret = (tmp_path / "secret").read_text().strip()
    async with get_client() as client:
        document = await client.read_block_document_by_name(block_name, "approvers", include_secrets=True)
    assert document.data["enrolled"]["anna"].startswith("gAAAA")
    assert secret not in str(document)
    assert (await Approvers.aload(block_name)).secret("anna").get_secret_value() == secret


@pytest.mark.slow
async def test_the_code_of_ones_secret_approves_the_service_that_waits(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The run is found by its service, the question is shown, and the outcome is told."""
    block, service = enrolled("anna", tmp_path / "secret"), f"svc-{uuid4().hex[:8]}"
    gate = await suspended_run(service)
    words = (service, "--as", "Anna", "--secret-file", str(tmp_path / "secret"), "--comment", "go")
    status, judgement = await asyncio.gather(approve_with(*words), play_the_run(gate, block, after="confirmed"))
    assert status == 0
    assert judgement.proof is not None
    assert (judgement.proof.kind, judgement.proof.comment, judgement.proof.approver) == ("code", "go", "anna")
    shown = capsys.readouterr().out
    assert "may it go on?" in shown
    assert "The digest was not computed here" in shown, "there is no plan"
    assert "confirmed: compared with the world" in shown


@pytest.mark.slow
async def test_an_ssh_key_answers_without_any_secret_of_ours(tmp_path: Path) -> None:
    """The proof is the person's own signature."""
    make_key(tmp_path / "key")
    add_signer("zoe", tmp_path / "key.pub", namespace=NAMESPACE)
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}", approver="zoe")
    words = (gate.run, "--as", "zoe", "--key", str(tmp_path / "key"), "--comment", " not  today ", "--reject")
    status, judgement = await asyncio.gather(approve_with(*words), play_the_run(gate, Approvers()))
    assert status == 0
    assert judgement.proof is not None
    assert (judgement.proof.kind, judgement.proof.decision, judgement.proof.comment) == ("ssh", "reject", "not today")


@pytest.mark.slow
async def test_an_approval_of_what_has_changed_is_told_as_void(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Status 4: the release asks again."""
    block = enrolled("anna", tmp_path / "secret")
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    words = (gate.run, "--as", "anna", "--secret-file", str(tmp_path / "secret"))
    status, _ = await asyncio.gather(approve_with(*words), play_the_run(gate, block, after="void"))
    assert status == 4
    assert "void: compared with the world" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["digest", "approve", "reject"])
async def test_a_question_whose_text_is_not_its_own_is_not_answered(missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Who can write to the API may show what people would approve, over a question that they would not."""
    shown = {"digest": "ab" * 32} | {"approve": "7K3M-0QZV-8R1D-XC5T", "reject": "7K3M-0QZV-8R1D-XC5V"}
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}", text=" ".join(f"`{value}`" for name, value in shown.items() if name != missing))
    assert await approve_with(gate.run, "--as", "anna", "--code", "12345678") == 4
    assert "it may have been changed" in capsys.readouterr().err


@pytest.mark.slow
async def test_a_wrong_code_is_told_as_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The person reads why, and scripts see status 4."""
    block = enrolled("anna")
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    wrong = f"{(int(code_of(block.secret('anna'), gate.asked().challenge('approve'))) + 1) % 10**8:08d}"
    status, _ = await asyncio.gather(approve_with(gate.run[:13], "--as", "anna", "--code", wrong), play_the_run(gate, block))
    assert status == 4
    assert "wrong code: the code of anna does not answer" in capsys.readouterr().err


@pytest.mark.slow
async def test_an_answer_that_no_one_judges_is_told_as_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 5: posted, and no worker there to read it."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    assert await approve_with(gate.run, "--as", "anna", "--code", "12345678", "--wait", "0") == 5
    assert "has not evaluated it yet" in capsys.readouterr().out
    assert await approve_with(gate.run, "--as", "anna", "--code", "12345678", "--wait", "0") == 4


@pytest.mark.slow
async def test_a_state_that_was_set_by_hand_brings_an_empty_answer() -> None:
    """Whoever sets the run to Running without a form has answered nothing, which is malformed."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    async with get_client() as client:
        await client.set_flow_run_state(gate.run, Running(), force=True)  # type: ignore[arg-type]
    assert (await play_the_run(gate, enrolled("anna"))).outcome == "malformed"


async def test_a_run_that_ended_refuses_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal says how it ended."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}", ended=True)
    assert await approve_with(gate.run, "--as", "anna", "--code", "12345678") == 4
    assert "Completed: all well" in capsys.readouterr().err


BAD_INPUT: dict[str, Callable[[str], tuple[str, ...]]] = {
    "no such run": lambda _run: (str(uuid4()), "--as", "anna", "--code", "12345678"),
    "no such name": lambda _run: ("unknown-run", "--as", "anna", "--code", "12345678"),
    "no name without a terminal": lambda run: (run, "--code", "12345678"),
    "no code without a terminal": lambda run: (run, "--as", "anna", "--secret-file", "/nonexistent/secret"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD_INPUT)
async def test_bad_input_is_told_with_its_fix(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, one line, nothing posted."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    assert await approve_with(*BAD_INPUT[case](gate.run)) == 2
    words = {"no such run": "`shipway history` all", "no code without a terminal": "Write the secret"}
    assert words.get(case, "Give") in capsys.readouterr().err
