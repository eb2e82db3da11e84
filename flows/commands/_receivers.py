"""Whom a plan notifies: whether its notification blocks and its forge exist, and what they have not acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from blocks.server.doctor import Finding
    from tasks.rules.plan.plan import Plan

MOST_NAMED = 3
NEEDS_HOURS = "each receiver of `notify` has hours: a release at other hours does not pass `team_told`, as no receiver acknowledges it then"


def ask_receivers(plan: Plan) -> tuple[list[str], list[str]]:
    """Load the notification blocks of a plan from the configured Prefect server; nothing is sent.

    Args:
        plan: The plan.

    Returns:
        A problem for each block that is not there or cannot notify, and a note if the server could not be asked.
    """
    import asyncio

    from blocks.errors import ShipwayError
    from tasks.rules.plan.receivers import all_have_hours

    if not plan.notify:
        return [], []
    notes = [NEEDS_HOURS] if plan.checklist.team_told and all_have_hours(plan.notify) else []
    try:
        return asyncio.run(_ask(plan)), notes
    except ShipwayError as error:
        return [], [*notes, f"the notification blocks were not checked: {error}"]


async def _ask(plan: Plan) -> list[str]:
    from blocks.errors import BadInput
    from tasks.lifecycle.server import server
    from tasks.rollout.platforms import load_block
    from tasks.rules.plan.receivers import block_of

    problems: list[str] = []
    async with server():
        for number, one in enumerate(plan.notify):
            name, field = block_of(one), f"notify.{number}" if isinstance(one, str) else f"notify.{number}.to"
            try:
                block = await load_block(name, field=field)
            except BadInput as error:
                problems.append(str(error))
                continue
            if not callable(getattr(block, "notify", None)):
                problems.append(f"{field}: {name} is not a notification block. Name one, as `slack-webhook/team`.")
    return problems


def ask_forge(plan: Plan) -> tuple[list[str], list[str]]:
    """Load the forge in which a plan's deployments are recorded from the configured Prefect server, and ask it; nothing is recorded.

    Args:
        plan: The plan.

    Returns:
        A problem if the block, its repository or the right to see it is not there; a note if the server or the forge could not be asked.
    """
    import asyncio

    from blocks.errors import BadInput, Refused, ShipwayError

    if plan.deployments is None:
        return [], []
    try:
        asyncio.run(_ask_forge(plan.deployments.to, plan.service))
    except BadInput as error:
        return [str(error)], []
    except Refused as error:
        return [f"deployments.to: {plan.deployments.to}: {error}"], []
    except ShipwayError as error:
        return [], [f"the forge of `deployments` was not checked: {error}"]
    return [], []


async def _ask_forge(name: str, service: str) -> None:
    from tasks.lifecycle.server import server
    from tasks.notify.deployments import load_forge

    async with server():
        await (await load_forge(name, service=service)).check()


def examine(_home: Path) -> Finding:
    """Say which messages receivers have not acknowledged, and of which deployments a forge was not told; for the doctor."""
    from blocks.server import doctor
    from tasks.lifecycle.clock import now
    from tasks.notify.deployments import noted_deployments
    from tasks.notify.outbox import undelivered
    from tasks.rules.notify.deployments import in_words
    from tasks.rules.notify.deployments import undelivered as untold

    at = now()
    open_, over, waiting = list[str](), list[str](), 0
    for message in undelivered():
        for receiver, delivery in message.deliveries.items():
            if delivery.waits_for_hours(at=at):
                waiting += 1
            elif delivery.delivered is None:
                line = f"{receiver}: {message.content.subject}{f' ({delivery.fault})' if delivery.fault else ''}"
                (over if message.is_given_up(receiver, at=at) else open_).append(line)
    for note in untold(noted_deployments()):
        (over if note.is_given_up(at=at) else open_).append(in_words(note))
    fix = "correct the block that is named, or what it sends to: the keeper tries again for a day after the message"
    if over:
        return doctor.Finding("fail", "messages", f"{len(over)} not delivered and given up: {_some(over)}", fix)
    if open_:
        return doctor.Finding("warn", "messages", f"{len(open_)} not acknowledged yet: {_some(open_)}", fix)
    later = f", but for {waiting} that wait for a receiver's hours" if waiting else ""
    return doctor.Finding("ok", "messages", f"all are acknowledged{later}")


def _some(lines: list[str]) -> str:
    more = len(lines) - MOST_NAMED
    return "; ".join(lines[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
