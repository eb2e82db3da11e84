"""`shipway approve` at a terminal: a person reads first, and decides then."""

from __future__ import annotations

import argparse
import asyncio
import os
import pty
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import get_client

from flows.commands import approve
from tests.commands.suspended import suspended_run

PROMPT = "approve {service} 1.1, digest abababababab, as anna? [y/N] "
POSTED, REFUSED = approve.WAITING, approve.REFUSED  # posted, and no run is there to judge it
PATIENCE_SECONDS = 120

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("server")]


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Make standard input a terminal, and give what is at its other end."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield ours
    os.close(ours)


async def approve_with(*words: str) -> int:
    """Run `shipway approve` in the loop of the test."""
    parser = argparse.ArgumentParser()
    approve.configure(parser)
    return await approve.answer(parser.parse_args([*words, "--code", "12345678", "--wait", "0"]))


async def waits(run: str) -> bool:
    """Say whether a run still waits for an answer."""
    async with get_client() as client:
        state = (await client.read_flow_run(UUID(run))).state
    return state is not None and state.is_paused()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "status"), [("y\n", POSTED), ("Yes\n", POSTED), ("n\n", REFUSED), ("\n", REFUSED), ("approve\n", REFUSED), ("\x04", REFUSED)]
)
async def test_a_person_at_a_terminal_is_asked_once_the_question_is_shown(
    typed: str, status: int, keyboard: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only y or yes posts the approval; what is asked about stands in the prompt."""
    service = f"svc-{uuid4().hex[:8]}"
    gate = await suspended_run(service)
    os.write(keyboard, typed.encode())
    assert await approve_with(gate.run, "--as", "anna") == status
    assert await waits(gate.run) == (status == REFUSED)
    seen = capsys.readouterr()
    prompt = PROMPT.format(service=service)
    assert prompt in seen.err, "standard output is not a terminal here, so the prompt is where a person sees it"
    assert "may it go on?" in seen.out
    assert ("nothing was posted" in seen.err) == (status == REFUSED)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--approve",), ("--reject",), ("--yes",), ("--yes", "--reject")], ids=str)
async def test_who_said_the_decision_is_not_asked(words: tuple[str, ...], keyboard: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is read from the terminal."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    os.write(keyboard, b"n\n")
    assert await approve_with(gate.run, "--as", "anna", *words) == POSTED
    assert not await waits(gate.run)
    assert "[y/N]" not in capsys.readouterr().err


@pytest.mark.slow
async def test_a_name_that_is_missing_is_asked_first(keyboard: int, capsys: pytest.CaptureFixture[str]) -> None:
    """So the second question can name it."""
    service = f"svc-{uuid4().hex[:8]}"
    gate = await suspended_run(service)
    os.write(keyboard, b"Anna\ny\n")
    assert await approve_with(gate.run) == POSTED
    assert f"your name: {PROMPT.format(service=service)}" in capsys.readouterr().err


@pytest.mark.slow
async def test_ctrl_c_at_the_question_ends_the_command_and_posts_nothing(server: Any, tmp_path: Path) -> None:
    """At once, with status 130, as the key does it: the command alone gets the signal while it waits for a line."""
    gate = await suspended_run(f"svc-{uuid4().hex[:8]}")
    ours, theirs = pty.openpty()
    words = ["approve", gate.run, "--as", "anna", "--code", "12345678", "--home", str(server.home)]
    program = "from flows.cli import main; raise SystemExit(main())"
    with (tmp_path / "out").open("wb") as out:
        command = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, *words, stdin=theirs, stdout=out, stderr=out, env={**os.environ, **server.environment}
        )
    os.close(theirs)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"[y/N]" not in (tmp_path / "out").read_bytes():
                assert command.returncode is None, (tmp_path / "out").read_text()
                await asyncio.sleep(0.1)
            command.send_signal(signal.SIGINT)
            assert await command.wait() == 130
    finally:
        if command.returncode is None:
            command.kill()
        os.close(ours)
    assert await waits(gate.run)
