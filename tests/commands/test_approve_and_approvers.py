"""`shipway approve` and `shipway approvers` against a real server, with the run's own part played as the flow does."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from prefect import get_client
from prefect.client.schemas.objects import State
from prefect.input import RunInput, keyset_from_paused_state
from prefect.states import Completed, Running, Suspended

from blocks.approvers.approvers import Approvers
from flows.commands import approve, approvers
from tasks.approval.approval import fetch_answer, judge_approval, log_outcome
from tasks.lifecycle.lock import lock_tag
from tasks.rules.approval.gates import Gate, gate_state
from tasks.rules.approval.policy import Answer, Judgement

pytestmark = pytest.mark.server


class Form(RunInput):
    """The fields of an approval form."""

    decision: str
    approver: str
    code: str
    comment: str = ""


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


async def suspended_run(service: str, *, ended: bool = False) -> Gate:
    """Make a run that waits at its gate, as the server sees one; no process belongs to it."""
    async with get_client() as client:
        flow_id = await client.create_flow_from_name("release-under-test")
        deployment = await client.create_deployment(flow_id=flow_id, name=f"d-{uuid4().hex[:8]}")
        run = await client.create_flow_run_from_deployment(deployment, tags=[lock_tag(service)])
        now = datetime.now(UTC)
        gate = Gate.model_validate(
            {"run": str(run.id), "name": "production", "digest": "ab" * 32, "service": service, "version": "1.1", "requester": "rita"}
            | {"opened_at": now, "expires_at": now + timedelta(hours=1), "approvers": ("anna",)}
        )
        await client.set_flow_run_state(run.id, Running(), force=True)
        if ended:
            await client.set_flow_run_state(run.id, Completed(message="all well"), force=True)
            return gate
        state: State[Any] = Suspended(timeout_seconds=3600, pause_key=gate.key)
        state.state_details.run_input_keyset = keyset_from_paused_state(state)
        await client.set_flow_run_state(run.id, state, force=True)
        # As `RunInput.asave` does, which leaves its client open.
        stored = {"schema": Form.model_json_schema(), "description": f"## {service}: may it go on?"}
        for part, value in stored.items():
            await client.create_flow_run_input(run.id, key=state.state_details.run_input_keyset[part], value=json.dumps(value))
    return gate


async def play_the_run(gate: Gate, block: Approvers) -> Judgement:
    """Do what the flow does once it was resumed."""
    async with get_client() as client:
        while (await client.read_flow_run(gate.run)).state.is_paused():  # type: ignore[union-attr, arg-type]  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    answer = Answer.model_validate(await fetch_answer.fn(gate))
    judgement = Judgement.model_validate(await judge_approval.fn(block, key=gate.key, gate=gate, answer=answer, proofs=[]))
    state = gate_state(gate, [judgement.proof] if judgement.proof else [], wrong_codes=0, now=datetime.now(UTC))
    await log_outcome.fn(gate, outcome=judgement.outcome, reason=judgement.reason, state=state.state)
    return judgement


def enrolled(name: str) -> Approvers:
    """Enrol somebody without a server."""
    block = Approvers()
    block.enrol(name)
    return block


async def test_people_are_enrolled_listed_and_removed(block_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The block is made when it is not there, and only an asked-for URI is printed."""
    words = ("--block", block_name)
    assert await approvers_with(*words, "list") == 0
    assert "No approver is enrolled" in capsys.readouterr().out
    assert await approvers_with(*words, "add", "anna") == 2
    assert "--show-uri" in capsys.readouterr().err
    assert await approvers_with(*words, "add", "anna", "--show-uri") == 0
    assert "otpauth://totp/Shipway:anna?" in capsys.readouterr().out
    assert await approvers_with(*words, "add", "anna", "--show-uri") == 2
    assert await approvers_with(*words, "add", "anna", "--show-uri", "--replace") == 0
    assert await approvers_with(*words, "add", "ben", "--show-uri") == 0
    assert await approvers_with(*words, "remove", "anna") == 0
    assert await approvers_with(*words, "remove", "anna") == 2
    capsys.readouterr()
    assert await approvers_with(*words, "list") == 0
    assert capsys.readouterr().out == "ben\n"


async def test_what_any_client_of_the_api_can_read_is_ciphertext(block_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The block document with its secrets included holds no one-time secret."""
    assert await approvers_with("--block", block_name, "add", "anna", "--show-uri") == 0
    secret = capsys.readouterr().out.split("secret=")[1][:32]
    async with get_client() as client:
        document = await client.read_block_document_by_name(block_name, "approvers", include_secrets=True)
    assert document.data["enrolled"]["anna"].startswith("gAAAA")
    assert secret not in str(document)
    assert (await Approvers.aload(block_name)).secret("anna").get_secret_value() == secret


async def test_a_good_code_approves_the_service_that_waits(capsys: pytest.CaptureFixture[str]) -> None:
    """The run is found by its service, the question is shown, and the outcome is told."""
    block, service = enrolled("anna"), f"svc-{uuid4().hex[:8]}"
    gate = await suspended_run(service)
    code = pyotp.TOTP(block.secret("anna").get_secret_value()).now()
    words = (service, "--as", "Anna", "--code", code, "--comment", "go")
    status, judgement = await asyncio.gather(approve_with(*words), play_the_run(gate, block))
    assert status == 0
    assert judgement.proof is not None
    assert (judgement.proof.comment, judgement.proof.approver) == ("go", "anna")
    shown = capsys.readouterr().out
    assert "may it go on?" in shown
    assert "accepted: anna approved" in shown


async def test_a_wrong_code_is_told_as_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The person reads why, and scripts see status 4."""
    block = enrolled("anna")
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    good = pyotp.TOTP(block.secret("anna").get_secret_value()).now()
    wrong = f"{(int(good) + 1) % 1_000_000:06d}"
    status, _ = await asyncio.gather(approve_with(gate.run[:13], "--as", "anna", "--code", wrong), play_the_run(gate, block))
    assert status == 4
    assert "wrong code: the code is not one of anna" in capsys.readouterr().err


async def test_an_answer_that_nobody_judges_is_told_as_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 5: posted, and no worker there to read it."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    assert await approve_with(gate.run, "--as", "anna", "--code", "123456", "--wait", "0") == 5
    assert "has not evaluated it yet" in capsys.readouterr().out
    assert await approve_with(gate.run, "--as", "anna", "--code", "123456", "--wait", "0") == 4


async def test_a_state_that_was_set_by_hand_brings_an_empty_answer() -> None:
    """Whoever sets the run to Running without a form has answered nothing, which is malformed."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    async with get_client() as client:
        await client.set_flow_run_state(gate.run, Running(), force=True)  # type: ignore[arg-type]
    assert (await play_the_run(gate, enrolled("anna"))).outcome == "malformed"


async def test_a_run_that_ended_refuses_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """The refusal says how it ended."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}", ended=True)
    assert await approve_with(gate.run, "--as", "anna", "--code", "123456") == 4
    assert "Completed: all well" in capsys.readouterr().err


BAD_INPUT: dict[str, Callable[[str], tuple[str, ...]]] = {
    "no such run": lambda _run: (str(uuid4()), "--as", "anna", "--code", "123456"),
    "no such name": lambda _run: ("nobody-knows-me", "--as", "anna", "--code", "123456"),
    "no name without a terminal": lambda run: (run, "--code", "123456"),
    "no code without a terminal": lambda run: (run, "--as", "anna"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
async def test_bad_input_is_told_with_its_mend(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, one line, nothing posted."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    assert await approve_with(*BAD_INPUT[case](gate.run)) == 2
    assert ("`shipway status` shows the runs" if case == "no such run" else "Give") in capsys.readouterr().err
