"""`shipway approve`: answer a release that waits at its gate."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from blocks.outside_text import outside
from flows.commands import _output, _secret, _terminal

if TYPE_CHECKING:  # these cost time that `shipway --help` does not have
    from tasks.approval.answering import AnswerOutcome, Asked
    from tasks.rules.approval.statement import Decision, Question

HELP = "Approve or reject a release that waits at its gate."
FINE, BAD_INPUT, REFUSED, WAITING = 0, 2, 4, 5
COUNTED = ("accepted", "rejected", "postponed", "skipped", "confirmed")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RUN", help="the run's id or the beginning of it, its name, or the service whose release waits")
    parser.add_argument("--as", dest="approver", metavar="NAME", help="your name as enrolled (default: asked on a terminal)")
    _secret.add_proof(parser)
    decision = parser.add_mutually_exclusive_group()
    decision.add_argument("--approve", action="store_true", help="approve, without being asked on a terminal; the default without one")
    decision.add_argument("--reject", action="store_true", help="reject instead of approving, without being asked; this ends the release")
    decision.add_argument("--postpone", action="store_true", help="let it wait, if it asks because its window may be too short")
    decision.add_argument("--skip", action="store_true", help="let it go on without the host whose script failed")
    parser.add_argument("--yes", action="store_true", help="do not ask on a terminal before the answer is posted")
    parser.add_argument("--comment", metavar="TEXT", default="", help="a comment for the record")
    parser.add_argument("--wait", metavar="SECONDS", type=float, default=60, help="how long to wait for the outcome (default: 60)")
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """Show what is asked, on a terminal ask whether to approve it, post the answer, print its outcome.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the answer counts, 2 on bad input, 4 when it was refused, not posted, or nothing is asked, 5 when no outcome is known yet.
    """
    _terminal.enter(arguments)
    return asyncio.run(answer(arguments))


async def answer(arguments: argparse.Namespace) -> int:
    """Do the work of `run` in a running event loop."""
    from blocks.errors import BadInput, Refused

    try:
        return await _answer(arguments)
    except (BadInput, Refused) as error:
        _terminal.show(error, error=True)
        return BAD_INPUT if isinstance(error, BadInput) else REFUSED


async def _answer(arguments: argparse.Namespace) -> int:
    from blocks.errors import Refused
    from tasks.approval.answering import other_subject, post_answer, read_question, wait_for_outcome
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.server import server

    async with server() as client:
        found = await find_run(client, arguments.run, waiting=True)
        asked = await read_question(client, found)
        _show(asked, name=found.name or str(found.id))
        if asked.question is None or asked.mismatch():
            raise Refused(f"{found.name} cannot be answered: {asked.mismatch()}; it may have been changed on the server")
        if asked.question.is_checklist:
            raise Refused(f"{found.name} waits for ticks of its checklist: `shipway check-off {str(found.id)[:8]} ITEM --as NAME`")
        if (decision := _decision(arguments)) not in asked.question.decisions:
            raise Refused(f"{found.name} cannot be answered: {decision} is not one of {', '.join(asked.question.decisions)}")
        if other := other_subject(asked.question, found):
            raise Refused(f"{found.name} cannot be answered: {other}; it may have been changed on the server")
        _terminal.show(await compared(asked.question, str(found.parameters.get("plan", ""))))
        name = _name(arguments)
        _confirm(arguments, asked.question, name=name)
        form = await asyncio.to_thread(fill, arguments, asked.question, name=name)
        # Another person may have answered meanwhile: a new question must be read before it is answered.
        if await read_question(client, await client.read_flow_run(found.id)) != asked:
            raise Refused(f"{found.name} asks a different question now; read it with `shipway approve {arguments.run}`")
        await post_answer(client, found, form=form)
        _terminal.show(f"Posted as {form['approver']}. Waiting up to {arguments.wait:.0f} s for the outcome.")
        return _record(await wait_for_outcome(client, found.id, key=asked.key, timeout_seconds=arguments.wait))


async def compared(question: Question, plan: str) -> str:
    """Compute the digest from what this machine reads, and say whether it is the one that is asked about.

    Raises:
        Refused: The plan is one of another service than the question says.
    """
    from blocks.errors import Refused, ShipwayError
    from blocks.own_path import NotOwn
    from tasks.evidence.inputs import look

    try:
        await asyncio.to_thread(_expect_own, plan)
        fresh = await look(plan, version=question.version)
    except (ShipwayError, NotOwn, OSError, ValueError) as error:
        return f"The digest was not computed here: {outside(str(error))}"
    if (service := fresh.parsed().service) != question.service:
        raise Refused(f"the question is about {question.service}, and the plan of its run is that of {service}: do not answer it")
    if fresh.digest == question.digest:
        return "The digest was computed here, too: it is that of the question."
    return (
        f"WARNING: the digest computed here, {fresh.digest[:12]}, is NOT the {question.digest[:12]} of the question: the plan or what "
        "runs has changed since it was asked, or this machine sees others. An approval of what has changed is void, and is asked again."
    )


def _expect_own(plan: str) -> None:
    """Expect that other users of this machine cannot change a plan: the server names it, and it names what is connected to."""
    from blocks.own_path import open_own

    _, file = open_own(Path(plan))
    file.close()


def _show(asked: Asked, *, name: str) -> None:
    words = re.sub(r"!\[[^\]]*\]\(data:[^)]*\)", "*(picture: see the Prefect UI)*", asked.text)
    _output.show_markdown(words, title=name)


def _name(arguments: argparse.Namespace) -> str:
    from blocks.errors import BadInput
    from tasks.rules.approval.proofs import same_name

    name = arguments.approver or (_asked("your name: ") if sys.stdin.isatty() else "")
    if not name:
        raise BadInput("your name is missing", field="--as", fix="Give it with --as, or answer on a terminal.")
    return same_name(name)


def _confirm(arguments: argparse.Namespace, question: Question, *, name: str) -> None:
    """Ask a person at a terminal, who has just been shown what is asked, unless the command itself says the decision."""
    from blocks.errors import Refused

    if arguments.approve or _decision(arguments) != "approve" or arguments.yes or not sys.stdin.isatty():
        return
    about = f"{question.service} {question.version}, digest {question.digest[:12]}, as {name}"
    if _asked(f"approve {about}? [y/N] ").lower() not in {"y", "yes"}:
        raise Refused("nothing was posted; approve with `y`, or reject with --reject")


def fill(arguments: argparse.Namespace, question: Question, *, name: str) -> dict[str, str]:
    """Fill an answer to a question in: signed with the key, or with the code that is given or computed from a secret."""
    from blocks.approvers.signers import sign
    from tasks.rules.approval.answers import as_comment
    from tasks.rules.approval.one_time_codes import code_of
    from tasks.rules.approval.statement import NAMESPACE

    decision = _decision(arguments)
    comment = as_comment(arguments.comment)
    form = {"decision": decision, "approver": name, "comment": comment}
    if arguments.key:
        statement = question.statement(decision, name, comment)
        return form | {"signature": sign(statement, key=arguments.key.expanduser(), namespace=NAMESPACE)}
    return form | {"code": arguments.code or code_of(_secret.read_secret(arguments.secret_file), question.challenge(decision))}


def _decision(arguments: argparse.Namespace) -> Decision:
    others: tuple[Decision, ...] = ("reject", "postpone", "skip")
    return next((one for one in others if getattr(arguments, one, False)), "approve")


def _asked(prompt: str) -> str:
    """Read a line from the terminal, "" at its end; Ctrl-C ends the command, for which asyncio alone would wait for the line."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        _terminal.show(prompt, error=not sys.stdout.isatty(), end="")
        return input().strip()
    except EOFError:
        _terminal.show()
        return ""
    finally:
        signal.signal(signal.SIGINT, before)


def _record(outcome: AnswerOutcome | None) -> int:
    if outcome is None:
        _terminal.show("Posted, but the release has not evaluated it yet. `shipway status` shows the outcome.")
        return WAITING
    counts = outcome.outcome in COUNTED
    _terminal.show(f"{outcome.outcome.replace('_', ' ')}: {outcome.reason}", error=not counts)
    if counts and outcome.state == "open":
        _terminal.show("The gate stays open until enough people have approved.")
    return FINE if counts else REFUSED
