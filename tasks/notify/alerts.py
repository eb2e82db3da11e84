"""Alerts and announcements: what a release tells people. None of them decides anything, but that an announcement was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from prefect import get_run_logger, task
from prefect.events import emit_event
from prefect.exceptions import MissingContextError
from prefect.settings import PREFECT_API_URL

from blocks.errors import Refused, ShipwayError, Temporary
from blocks.outside_text import OutsideText, as_ending, error_text
from tasks.lifecycle.clock import now
from tasks.lifecycle.links import run_link
from tasks.lifecycle.retries import ONCE
from tasks.notify import outbox
from tasks.record.journal import read_entries
from tasks.rules.approval.gates import moment_text
from tasks.rules.notify.facts import SEVERITIES, Content, Fact, facts_of, message_of
from tasks.rules.notify.outbox import Delivery, Message
from tasks.rules.notify.receivers import deliveries_to
from tasks.rules.plan.receivers import Receiver
from tasks.rules.record.entries import Entry, select

ALERT_SECONDS = 15.0  # for all receivers; the keeper goes on with those that did not acknowledge by then


@task(name="announce", **ONCE)
async def announce(blocks: Sequence[str | Receiver], *, subject: str, key: str) -> bool:
    """Announce something to the team.

    Args:
        blocks: Receivers of the plan; the event goes out in any case.
        subject: One line.
        key: What it is about: it is sent once for each key.

    Returns:
        True: a receiver acknowledged it, or there is none. Those that did not get it again by the keeper.

    Raises:
        Temporary: No receiver acknowledged it.
    """
    _emit("announced", service="", payload={"subject": subject})
    content = Content(("announced",), as_ending(subject), as_ending(subject))
    try:
        async with asyncio.timeout(ALERT_SECONDS):
            message = await _post(blocks, content, key=key, run="")
    except TimeoutError as error:
        raise Temporary(f"the announcement was not sent within {ALERT_SECONDS:g} s", delay_seconds=2) from error
    if message and message.deliveries and all(delivery.delivered is None for delivery in message.deliveries.values()):
        faults = "; ".join(_why_not(name, delivery) for name, delivery in message.deliveries.items())
        raise Temporary(f"no receiver acknowledged the announcement: {faults}", delay_seconds=2)
    return True


async def alert(
    blocks: Sequence[str | Receiver], *, service: str, version: str, outcome: str, reason: OutsideText, run: str, is_rollback: bool = False
) -> None:
    """Tell how a release or a rollback on demand ended.

    Args:
        blocks: Receivers of the plan.
        service: The service.
        version: The version that was to be released, or rolled back to.
        outcome: How it ended, see `final_outcome`.
        reason: Why.
        run: Its flow run id.
        is_rollback: Whether it is a rollback on demand.
    """
    entries: list[Entry] = []
    try:
        entries = await read_entries(run)
    except (ShipwayError, OSError) as error:
        _say(f"the causes are not in the alert, as the record of {run} cannot be read: {error_text(error)}")
    facts = facts_of(outcome, entries, is_rollback=is_rollback)
    opened = next(iter(select(entries, kind="opened")), None)
    about = f"{service} {version}".strip()
    await notify(blocks, facts, about=about, reason=reason, run=run, key=f"{run}/end/{outcome}", requester=opened.who if opened else "")


async def notify(
    blocks: Sequence[str | Receiver], facts: Sequence[Fact], *, about: str, reason: OutsideText, run: str, key: str, requester: str = "",
    waits: bool = True, to_do: str = "",
) -> None:  # fmt: skip
    """Tell facts of a run, once: as events, and by a message; one that cannot be sent within 15 s holds nothing up.

    Args:
        blocks: Receivers of the plan.
        facts: What it tells.
        about: The service and the version.
        reason: Why.
        run: The flow run id.
        key: What the message is about: it is sent once for each key.
        requester: Who asked for the release.
        waits: Whether to send it at once, which may take the 15 s; else the keeper does, within its interval.
        to_do: What the reader has to do; that of the most urgent fact if "".
    """
    link = run_link(run)
    record = f"`shipway report {run}`"
    content = message_of(facts, about=about, reason=reason, requester=requester, link=link, record=record, to_do=to_do)
    payload: dict[str, Any] = {
        "facts": list(content.facts),
        "severity": content.severity,
        "about": about,
        "reason": str(reason),
        "run": run,
        "link": link,
    }
    try:
        if not waits:
            await outbox.keep(deliveries_to(blocks, content.severity, at=now()), content, key=key, run=run)
            return
        for fact in content.facts:
            _emit(fact, service=about, payload=payload)
        async with asyncio.timeout(ALERT_SECONDS):
            await _post(blocks, content, key=key, run=run)
    except Exception as error:  # noqa: BLE001 - the service matters more than the message about it
        _say(f"the message {str(content.subject)!r} was not sent yet: {error_text(error) or 'no answer in time'}")


async def _post(blocks: Sequence[str | Receiver], content: Content, *, key: str, run: str) -> Message | None:
    """Post a message; without the key's folder it is sent once, straight away, and not tried again: then None.

    Raises:
        Temporary: It could neither be kept nor sent to all.
    """
    told = deliveries_to(blocks, content.severity, at=now())
    try:
        return await outbox.post(told, content, key=key, run=run)
    except Refused as error:
        found = await asyncio.gather(*(outbox.send(receiver, content) for receiver in told), return_exceptions=True)
        faults = [str(error_text(one)) for one in found if isinstance(one, Exception)]
        if faults:
            raise Temporary(f"{'; '.join(faults)}; it cannot be kept to be tried again: {error}") from error
        return None


def _why_not(receiver: str, delivery: Delivery) -> str:
    if delivery.opens and delivery.waits_for_hours(at=now()):
        return f"{receiver} is told from {moment_text(delivery.opens)} on"
    return delivery.fault or f"{receiver} is being sent to"


def _emit(fact: Fact, *, service: str, payload: dict[str, Any]) -> None:
    """Emit the Prefect event `shipway.fact.<fact>`; without a server none, as Prefect would start one for it."""
    if not PREFECT_API_URL.value():
        return
    resource = {"prefect.resource.id": f"shipway.fact.{fact}", "shipway.severity": SEVERITIES[fact], "shipway.about": service}
    emit_event(f"shipway.fact.{fact}", resource=resource, payload=payload)


def _say(line: str) -> None:
    try:
        get_run_logger().error(line)
    except MissingContextError:
        return
