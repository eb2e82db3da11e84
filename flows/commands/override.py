"""`shipway override`: let one release go on although a freeze holds it or a window is closed, as a policy allows."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from tasks.rules.plan.plan import Plan

HELP = "Let one release go on although a freeze or a window holds it, as a policy allows."


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("run", metavar="RUN", help="the release: its id or the beginning of it, its name, or its service")
    parser.add_argument("--reason", dest="comment", required=True, metavar="TEXT", help="the reason, for the record and the team")
    parser.add_argument("--as", dest="approver", required=True, metavar="NAME", help="your name, as enrolled")
    proof = parser.add_mutually_exclusive_group()
    proof.add_argument("--key", type=Path, metavar="FILE", help="sign with this SSH key")
    proof.add_argument("--code", metavar="CODE", help="the eight digits that answer the challenge")
    proof.add_argument("--secret-file", type=Path, metavar="FILE", help="compute the code from the secret in this file")
    _terminal.add_home(parser)
    parser.set_defaults(reject=False)


def run(arguments: argparse.Namespace) -> int:
    """Prove who overrides, and keep it beside the approval key.

    Args:
        arguments: What `configure` described.

    Returns:
        0 when the release may go on, 2 on bad input, 4 if it does not count, 5 when a second person must override, too.
    """
    return _terminal.on_server(arguments, _override)


async def _override(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from flows.commands.approve import fill
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.run_labels import set_wakeup
    from tasks.record.journal import read_entries
    from tasks.rollout.overrides import override
    from tasks.rules.approval.answers import read_answer
    from tasks.rules.approval.override import gate_of
    from tasks.rules.policy.rules import Allowed
    from tasks.rules.record.entries import select
    from tasks.rules.rollout.waiting import held_by

    found = await find_run(client, arguments.run)
    run, entries = str(found.id), await read_entries(str(found.id))
    holds, opened = held_by(entries), next(iter(select(entries, kind="opened")), None)
    _expect_held(found.name, holds)
    told = opened.evidence if opened else {}  # the run's own parameters and name are what anyone with the API wrote last
    plan, version = _plan(str(told.get("plan") or "")), str(told.get("version") or "")
    me = Allowed((arguments.approver,), 1)
    question = gate_of(run, holds, service=plan.service, version=version, allowed=me, at=now()).asked()
    what = f"{told.get('flow')} {plan.service} {version} (record {run[:8]}, requested by {opened.who if opened else 'unknown'})"
    _terminal.show(f"{what} is held by {', '.join(holds)}. The challenge of this override is {question.challenge('approve')}")
    form = await asyncio.to_thread(fill, arguments, question, name=arguments.approver)
    missing = await override(run, plan, version=version, holds=holds, answer=read_answer(form, received_at=now()))
    if missing:
        _terminal.show(f"It counts, but {missing}.")
        return _terminal.WAITING
    await set_wakeup(run, at=now())
    _terminal.show(f"{what} goes on within the keeper's interval.")
    return _terminal.DONE


def _plan(path: str) -> Plan:
    from blocks.errors import BadInput
    from tasks.rules.plan.file import read_plan

    try:
        plan, problems = read_plan(Path(path).read_bytes(), name=path)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", field="RUN", fix="Override on the worker's machine.") from None
    if plan is None:
        raise BadInput("; ".join(map(str, problems)), field="PLAN", fix="Correct the plan.")
    return plan


def _expect_held(name: str, holds: Sequence[str]) -> None:
    from blocks.errors import Refused
    from tasks.rules.windows.freeze import SCHEDULE, TURN, UNREADABLE

    if not holds:
        raise Refused(f"{name} is not held by a freeze or a window")
    if UNREADABLE in holds:
        raise Refused(f"{name} is held by what cannot be read, which no one can override: its record and `shipway doctor` name it")
    if TURN in holds:
        raise Refused(f"{name} waits for its turn behind another release, which no one can override: its record names the other one")
    if SCHEDULE in holds:
        raise Refused(f"{name} waits for the time that it was scheduled for, which no one can override: cancel it, and release at once")
