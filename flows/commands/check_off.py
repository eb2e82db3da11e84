"""`shipway check-off`: tick items of the checklist that a release waits for."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING, Any

from flows.commands import _output, _secret, _terminal, _ticks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.objects import FlowRun

    from tasks.approval.answering import AnswerOutcome, Asked
    from tasks.rules.approval.statement import Question
    from tasks.rules.approval.ticks import Tick

HELP = "Tick items of the checklist that a release waits for."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RELEASE", help="the run's id or the beginning of it, its name, or the service whose release waits")
    _ticks.add_ticks(parser)
    parser.add_argument("--as", dest="approver", metavar="NAME", help="your name as enrolled; needed to tick")
    _secret.add_proof(parser)
    _output.add_json(parser)
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=60, help="how long to wait for the outcome (default: 60)")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show the checklist; with items, prove who ticks them, post that, and print the outcome.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the ticks count, 2 on bad input, 4 when they were refused or nothing is asked, 5 when no outcome is known yet, or the
        checklist is shown, which waits.
    """
    return _terminal.on_server(arguments, _check_off)


async def _check_off(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from blocks.errors import BadInput
    from flows.commands.approve import compared
    from tasks.lifecycle.find_run import find_run

    ticks = _ticks.ticks_in(arguments)
    if ticks and arguments.json:
        raise BadInput("it is for reading", field="--json", fix="Leave it out, or the items.")
    found = await find_run(client, arguments.run, waiting=True)
    asked, until = await _asked(client, found.id), time.monotonic() + arguments.wait
    if not ticks:
        if arguments.json:
            _output.print_json(await _facts(found, asked))
        else:
            _output.show_markdown(asked.text, title=found.name or str(found.id))
        return _terminal.WAITING
    if not arguments.approver:
        raise BadInput("your name is missing", field="--as", fix="Give it with --as.")
    if asked.question is not None:
        _terminal.show(await compared(asked.question, str(found.parameters.get("plan", ""))))
    while True:
        told = await _tick(client, found.id, asked, arguments, ticks)
        if told is not None:
            _terminal.show(f"{told.outcome.replace('_', ' ')}: {told.reason}", error=told.outcome != "accepted")
            if told.outcome == "accepted" and told.state == "open":
                _terminal.show("Other items are still open: `shipway status` names them.")
            return _terminal.DONE if told.outcome == "accepted" else _terminal.REFUSED
        # Another person answered this question at the same moment: what counts is an answer to the next one.
        new = await _next(client, found.id, asked, until=until) if arguments.code is None else None
        if new is None:
            _terminal.show("It is not known yet if your ticks count. `shipway status` shows the checklist.")
            return _terminal.WAITING
        asked = new


async def _facts(found: FlowRun, asked: Asked) -> dict[str, Any]:
    """Give what is open by the form, and how far the checklist is by the record, which is null if that is not here."""
    from flows.commands.status import entries_of
    from tasks.rules.approval.ticks_form import PROGRESS

    told = [entry.evidence[PROGRESS] for entry in await entries_of(str(found.id)) if entry.kind == "gate" and PROGRESS in entry.evidence]
    return {
        "id": str(found.id),
        "name": found.name,
        "question": asked.question.model_dump(mode="json") if asked.question else None,
        "open": _open(asked.fields),
        "checklist": told[-1] if told else None,
        "text": asked.text,
    }


def _open(fields: Iterable[str]) -> list[str]:
    """Name the items of a form."""
    return [name.removeprefix("tick_").replace("_", "-") for name in fields if name.startswith("tick_")]


async def _asked(client: PrefectClient, run: UUID) -> Asked:
    """Read the question, and expect that it is one of a checklist, whole, and about this run.

    Raises:
        Refused: It is not.
    """
    from blocks.errors import Refused
    from tasks.approval.answering import other_subject, read_question

    found = await client.read_flow_run(run)
    asked = await read_question(client, found)
    if asked.question is None or asked.mismatch():
        raise Refused(f"{found.name} cannot be answered: {asked.mismatch()}; it may have been changed on the server")
    if not asked.question.is_checklist:
        raise Refused(f"{found.name} waits for an answer at its gate, not for ticks: `shipway approve {str(run)[:8]}`")
    if other := other_subject(asked.question, found):
        raise Refused(f"{found.name} cannot be answered: {other}; it may have been changed on the server")
    return asked


async def _tick(
    client: PrefectClient, run: UUID, asked: Asked, arguments: argparse.Namespace, ticks: Sequence[Tick]
) -> AnswerOutcome | None:
    """Post the ticks, and wait for what becomes of them; None if another person's answer was judged in their place, or none yet."""
    from blocks.errors import Refused
    from tasks.approval.answering import post_answer, wait_for_outcome

    if asked.question is None:
        return None
    form = await asyncio.to_thread(fill, arguments, asked.question, ticks)
    _expect_open(asked, form, run=str(run))
    try:
        await post_answer(client, await client.read_flow_run(run), form=form)
    except Refused:
        if arguments.code is not None or await _is_asked(client, run, asked):
            raise
        return None
    _terminal.show(f"Posted as {form['approver']}. Waiting up to {arguments.wait:.0f} s for the outcome.")
    told = await wait_for_outcome(client, run, key=asked.key, timeout_seconds=arguments.wait)
    others = told is not None and told.outcome == "accepted" and not told.reason.startswith(f"{form['approver']}: ")
    return None if others else told


def _expect_open(asked: Asked, form: dict[str, str], *, run: str) -> None:
    """Expect that the form has these items: it has those that are open.

    Raises:
        Refused: One is ticked already, or there is none of that name.
    """
    from blocks.errors import Refused

    if unknown := _open(name for name in form if name not in asked.fields):
        there = ", ".join(_open(asked.fields))
        raise Refused(
            f"{', '.join(unknown)} is not open here: ticked already, or another name; open are {there} (`shipway check-off {run[:8]}`)"
        )


async def _is_asked(client: PrefectClient, run: UUID, asked: Asked) -> bool:
    """Say if the run still asks this question: then it refused the answer itself."""
    from blocks.errors import Refused
    from tasks.approval.answering import read_question

    try:
        return (await read_question(client, await client.read_flow_run(run))).key == asked.key
    except Refused:
        return False


async def _next(client: PrefectClient, run: UUID, asked: Asked, *, until: float) -> Asked | None:
    """Wait for the question after this one; None if it is not asked in time."""
    while time.monotonic() < until:
        found = await client.read_flow_run(run)
        if found.state is not None and (found.state.is_final() or found.state.is_paused()):
            new = await _asked(client, run)
            if new.key != asked.key:
                return new
        await asyncio.sleep(1)
    return None


def fill(arguments: argparse.Namespace, question: Question, ticks: Sequence[Tick]) -> dict[str, str]:
    """Fill the form in: the ticks, and a proof that is bound to them."""
    from blocks.approvers.signers import sign
    from tasks.rules.approval.one_time_codes import code_of
    from tasks.rules.approval.proofs import same_name
    from tasks.rules.approval.statement import NAMESPACE, extended
    from tasks.rules.approval.ticks import form_of, ticks_digest, ticks_text

    name = same_name(arguments.approver)
    form = {"approver": name, **form_of(ticks)}
    if arguments.key:
        bound = question.model_copy(update={"digest": ticks_digest(question.digest, ticks)})
        return form | {"signature": sign(bound.statement("approve", name), key=arguments.key.expanduser(), namespace=NAMESPACE)}
    challenge = extended(question.challenge("approve"), ticks_text(ticks))
    return form | {"code": arguments.code or code_of(_secret.read_secret(arguments.secret_file), challenge)}
