"""Outbox: each message is kept beside the key until every receiver acknowledged it, or for a day; the keeper delivers what is due.

It is kept before it is sent, so no message is lost: not by a receiver that is down, a process that dies, or a restart. Each delivery is
claimed before it is sent, so that the release's process and the keeper do not both send it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import Any

import httpx
from prefect.blocks.abstract import NotificationError

from blocks.errors import Refused, ShipwayError, Temporary
from blocks.key_folder.kept_files import NotKept, kept_names, locked, read_kept, remove_kept, write_kept
from blocks.notify.answers import bound_libraries, bounded_answers
from blocks.outside_text import error_text
from tasks.lifecycle.clock import now
from tasks.rollout.platforms import load_block
from tasks.rules.notify.facts import Content
from tasks.rules.notify.outbox import Delivery, Message, claim, deliveries_in_order, noted, up_to

FOLDER, WHAT = "outbox", "a message to the team and what became of it"
EACH_SECONDS = 10.0  # for one notification block, whatever time limit it has itself: others can change it
CLAIM_SECONDS = 3 * EACH_SECONDS
LOG = logging.getLogger("shipway")
_STATUS = re.compile(r"\berror[=: ]+(\d{3})\b", re.IGNORECASE)  # as Apprise writes it in its log


async def post(receivers: Sequence[str], content: Content, *, key: str, run: str = "") -> Message:
    """Keep a message, once for each key, and send it to the receivers at once; whom it does not reach is tried again by the keeper.

    What its run said before goes first where that was not acknowledged. No delay after a failed try is waited for.

    Args:
        receivers: Notification blocks.
        content: What it tells.
        key: What it is about: a message that is kept under it already is not written anew, nor sent to whom acknowledged it.
        run: The run that it is about.

    Returns:
        The message with what became of each delivery.

    Raises:
        Refused: The key's folder cannot be used.
    """
    name = _name(key)
    wanted = Message(key, now(), run, content, dict.fromkeys(receivers, Delivery()))
    if not receivers:
        return wanted
    await asyncio.to_thread(_keep, name, wanted)
    messages = await asyncio.to_thread(_all)
    if name in messages:
        await _to_receivers(up_to(messages[name], messages.values(), at=now()), insist=True)
    return await asyncio.to_thread(_read, name) or wanted


async def deliver_due() -> None:
    """Deliver what receivers have not acknowledged and is due, side by side and for each in order; what is over is removed."""
    messages = await asyncio.to_thread(_current, now())
    await _to_receivers(deliveries_in_order(messages, at=now()), insist=False)


def undelivered() -> list[Message]:
    """List the messages that a receiver has not acknowledged, whether they are tried again or given up; for `shipway doctor`."""
    return [one for one in _all().values() if any(delivery.delivered is None for delivery in one.deliveries.values())]


async def send(receiver: str, content: Content) -> None:
    """Send a message to one receiver, which acknowledges it.

    Raises:
        Temporary: It did not, or not in time.
        BadInput: There is no such block.
    """
    await asyncio.to_thread(bound_libraries)
    try:
        async with asyncio.timeout(EACH_SECONDS):
            block: Any = await load_block(receiver, field="notify")
            loud = block.raise_on_failure() if hasattr(block, "raise_on_failure") else nullcontext()  # else a refusal passes for an answer
            with bounded_answers(), loud:
                await block.notify(body=content.body, subject=content.subject)
    except TimeoutError as error:
        raise Temporary(f"{receiver} did not acknowledge the message within {EACH_SECONDS:g} s", delay_seconds=2) from error
    except ShipwayError:
        raise
    except Exception as error:  # of any library that a block sends by; its words may hold an address that is a secret
        raise Temporary(f"{receiver} did not accept the message ({_kind(error)})", delay_seconds=2) from error


async def _to_receivers(due: Mapping[str, Sequence[Message]], *, insist: bool) -> None:
    await asyncio.gather(*(_to_receiver(receiver, messages, insist=insist) for receiver, messages in due.items()))


async def _to_receiver(receiver: str, messages: Sequence[Message], *, insist: bool) -> None:
    """Deliver messages in order; after one that is not acknowledged a later one of the same run is not tried."""
    waiting = set[str]()
    for message in messages:
        if message.run and message.run in waiting:
            continue
        began = time.monotonic()
        try:
            is_done = await _deliver(_name(message.key), receiver, insist=insist)
        except Exception as error:  # noqa: BLE001 - the next turn tries again; another receiver must not wait for it
            LOG.warning("the message %r was not sent to %s: %s", message.content.subject, receiver, type(error).__name__)
            break
        waiting |= set() if is_done else {message.run}
        if not is_done and time.monotonic() - began > EACH_SECONDS / 2:
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
    await asyncio.to_thread(_note, name, receiver, fault)
    return not fault


def _keep(name: str, message: Message) -> None:
    with locked(FOLDER, "all", what=WHAT):
        if _has_none(name):
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


def _all() -> dict[str, Message]:
    return {name: message for name in kept_names(FOLDER) if (message := _read(name)) is not None}


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


def _name(key: str) -> str:
    """Give the file's name of a key, which may hold anything."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _kind(error: Exception) -> str:
    """Name an error that may quote a secret address: by its class, and the status of the answer if it has one."""
    status = _STATUS.search(error.log) if isinstance(error, NotificationError) else None
    if isinstance(error, httpx.HTTPStatusError):
        return f"it answered {error.response.status_code}"
    return f"it answered {status[1]}" if status else type(error).__name__
