"""Outbox: each message is kept beside the key until every receiver acknowledged it, or for a day; the keeper delivers what is due.

It is kept before it is sent, so no message is lost: not by a receiver that is down, a process that dies, or a restart. Each delivery is
claimed before it is sent, so that the release's process and the keeper do not both send it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from blocks.errors import Refused, ShipwayError, Temporary
from blocks.key_folder.kept_files import NotKept, kept_names, locked, read_kept, remove_kept, write_kept
from blocks.outside_text import error_text
from blocks.sending import SECONDS, START_SECONDS, send_by
from tasks.lifecycle.clock import now
from tasks.process.concurrency import to_its_end, turns
from tasks.rollout.platforms import load_block
from tasks.rules.notify.facts import Content
from tasks.rules.notify.outbox import Delivery, Message, claim, deliveries_in_order, noted, up_to

FOLDER, WHAT = "outbox", "a message to the team and what became of it"
PROGRAM = "blocks.notify.sending_process"
CLAIM_SECONDS = 2 * (SECONDS + START_SECONDS)
AT_ONCE = 4  # processes that send, of one process of ours
MOST = 2_000  # messages; of one more, only a critical one is kept
LOG = logging.getLogger("shipway")


async def post(receivers: Mapping[str, Delivery], content: Content, *, key: str, run: str = "") -> Message:
    """Keep a message, once for each key, and send it to the receivers at once; whom it does not reach is tried again by the keeper.

    What its run said before goes first where that was not acknowledged. No delay after a failed try is waited for.

    Args:
        receivers: Notification blocks, each with when its first try may be.
        content: What it tells.
        key: What it is about: a message that is kept under it already is not written anew, nor sent to whom acknowledged it.
        run: The run that it is about.

    Returns:
        The message with what became of each delivery.

    Raises:
        Refused: The key's folder cannot be used, or holds so many messages that only critical ones are kept.
    """
    name = _name(key, run)
    wanted = Message(key, now(), run, content, dict(receivers))
    if not receivers:
        return wanted
    await asyncio.to_thread(_keep, name, wanted)
    messages = await asyncio.to_thread(_all, _of_run(run)) if run else {}
    if not run and (kept := await asyncio.to_thread(_read, name)):
        messages[name] = kept
    if name in messages:
        await _to_receivers(up_to(messages[name], messages.values(), at=now()), insist=True)
    return await asyncio.to_thread(_read, name) or wanted


async def keep(receivers: Mapping[str, Delivery], content: Content, *, key: str, run: str = "") -> None:
    """Keep a message for the keeper to deliver, in a moment; as `post`, which may follow, but it waits for no receiver.

    Raises:
        Refused: As for `post`.
    """
    if receivers:
        await asyncio.to_thread(_keep, _name(key, run), Message(key, now(), run, content, dict(receivers)))


async def deliver_due() -> None:
    """Deliver what receivers have not acknowledged and is due, side by side and for each in order; what is over is removed."""
    messages = await asyncio.to_thread(_current, now())
    await _to_receivers(deliveries_in_order(messages, at=now()), insist=False)


def undelivered() -> list[Message]:
    """List the messages that a receiver has not acknowledged: tried, given up, or kept for its hours; for `shipway doctor`."""
    return [one for one in _all().values() if any(delivery.delivered is None for delivery in one.deliveries.values())]


def messages_of(run: str) -> list[Message]:
    """List the messages about a run that are still kept, in order of time."""
    return sorted((one for one in _all().values() if one.run == run), key=lambda one: (one.at, one.key))


async def send(receiver: str, content: Content) -> None:
    """Send a message to one receiver, which acknowledges it; in a process of its own, as what it answers has no bounds.

    Raises:
        Temporary: It did not, or not in time.
        BadInput: There is no such block.
    """
    try:
        async with asyncio.timeout(SECONDS):
            block: Any = await load_block(receiver, field="notify")
        fault = await _sent(block, content)
    except TimeoutError as error:
        raise Temporary(f"{receiver} was not read from the Prefect server within {SECONDS:g} s", delay_seconds=2) from error
    except ShipwayError:
        raise
    except Exception as error:  # of a block that is not as it should be; its words may hold an address that is a secret
        raise Temporary(f"{receiver} cannot be sent to ({type(error).__name__})", delay_seconds=2) from error
    if fault:
        raise Temporary(f"{receiver} {fault}", delay_seconds=2)


async def _sent(block: Any, content: Content) -> str:
    """Send by a block, and give what was wrong with it; "" if the receiver acknowledged."""
    kind = type(block)
    fields = block.model_dump(mode="json", context={"include_secrets": True}, exclude={"block_type_slug"})
    given = {"block": f"{kind.__module__}:{kind.__qualname__}", "fields": fields, "subject": content.subject, "body": content.body}
    try:
        async with turns("messages", at_once=AT_ONCE):
            return await send_by(PROGRAM, given)
    except Temporary as error:
        return f"was not sent to: {error}"


async def _to_receivers(due: Mapping[str, Sequence[Message]], *, insist: bool) -> None:
    await asyncio.gather(*(_to_receiver(receiver, messages, insist=insist) for receiver, messages in due.items()))


async def _to_receiver(receiver: str, messages: Sequence[Message], *, insist: bool) -> None:
    """Deliver messages in order; after one that is not acknowledged a later one of the same run is not tried, unless it is critical."""
    waiting = set[str]()
    for message in messages:
        if message.run in waiting and not message.is_critical:
            continue
        began = time.monotonic()
        try:
            is_done = await _deliver(_name(message.key, message.run), receiver, insist=insist)
        except Exception as error:  # noqa: BLE001 - the next turn tries again; another receiver must not wait for it
            LOG.warning("the message %r was not sent to %s: %s", message.content.subject, receiver, type(error).__name__)
            break
        waiting |= {message.run} if message.run and not is_done and message.holds(receiver) else set()
        if not is_done and time.monotonic() - began > SECONDS / 2:
            break  # it hangs: the other messages would each wait as long, and use up the turn


async def _deliver(name: str, receiver: str, *, insist: bool) -> bool:
    claimed = await asyncio.to_thread(_claim, name, receiver, insist)
    if claimed is None:
        return False
    fault = ""
    try:
        await send(receiver, claimed.content)
    except ShipwayError as error:  # also BadInput: the block may be there again at the next try
        fault = str(error_text(error))
    except asyncio.CancelledError:  # whoever waits has no more time; the claim is given up, and the keeper tries again
        await to_its_end(asyncio.to_thread(_note, name, receiver, "it took too long"))
        raise
    await asyncio.to_thread(_note, name, receiver, fault)
    return not fault


def _keep(name: str, message: Message) -> None:
    with locked(FOLDER, "all", what=WHAT):
        if _has_none(name):
            if not message.is_critical and len(kept_names(FOLDER)) >= MOST:
                raise Refused(
                    f"the outbox holds {MOST} messages already, so only critical ones are kept; `shipway doctor` names the receivers"
                )
            write_kept(FOLDER, name, message.to_json(), what=WHAT)


def _has_none(name: str) -> bool:
    """Say if no message is kept by a name, or another content; one that cannot be read just now is not written anew, nor sent again.

    Raises:
        Refused: It cannot be read.
    """
    try:
        return read_kept(FOLDER, name, what=WHAT) is None
    except NotKept:
        return True


def _claim(name: str, receiver: str, insist: bool) -> Message | None:  # noqa: FBT001 - called by a thread
    with locked(FOLDER, "all", what=WHAT):
        message = _read(name)
        if message is None or receiver not in message.deliveries:
            return None
        claimed = claim(message.deliveries[receiver], at=now(), seconds=CLAIM_SECONDS, insist=insist)
        if claimed is None:
            return None
        write_kept(FOLDER, name, message.with_delivery(receiver, claimed).to_json(), what=WHAT)
        return message


def _note(name: str, receiver: str, fault: str) -> None:
    with locked(FOLDER, "all", what=WHAT):
        message = _read(name)
        if message is not None:
            after = noted(message.deliveries[receiver], at=now(), fault=fault)
            write_kept(FOLDER, name, message.with_delivery(receiver, after).to_json(), what=WHAT)


def _read(name: str) -> Message | None:
    """Read a message; None if there is none, or if it cannot be read: what is written next replaces it."""
    with suppress(Refused, KeyError, TypeError, ValueError, AttributeError):
        value = read_kept(FOLDER, name, what=WHAT)
        return None if value is None else Message.from_json(value)
    return None


def _all(beginning: str = "") -> dict[str, Message]:
    return {name: message for name in kept_names(FOLDER, beginning=beginning) if (message := _read(name)) is not None}


def _current(at: datetime) -> list[Message]:
    """Read the outbox, and remove the messages of which nothing more comes."""
    current: list[Message] = []
    for name, message in _all().items():
        if not message.can_be_removed(at=at):
            current.append(message)
            continue
        with suppress(OSError):
            remove_kept(FOLDER, name)
    return current


def _name(key: str, run: str) -> str:
    """Give the file's name of a key, which may hold anything; it begins as those of all messages of its run."""
    return f"{_of_run(run)}{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _of_run(run: str) -> str:
    return f"{hashlib.sha256(run.encode()).hexdigest()[:16]}-"
