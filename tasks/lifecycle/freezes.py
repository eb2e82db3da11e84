"""Freezes beside the approval key: what holds a service now, and the switch itself; what cannot be read holds everything."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.events import Event, emit_event
from pydantic import ValidationError

from blocks.errors import BadInput, Refused
from blocks.key_folder.freeze_files import forget_freeze_file, freeze_folder, read_freeze_files, write_freeze_file
from blocks.key_folder.kept_files import kept_names, read_kept
from blocks.key_folder.key_file import key_path
from blocks.key_folder.policy_files import read_policy_files
from blocks.outside_text import as_name, as_reason, error_text
from tasks.lifecycle.clock import now
from tasks.lifecycle.quietest import name_of_quietest
from tasks.lifecycle.window_turns import is_turn, turn_state
from tasks.rules.windows.freeze import Freeze, Hold, Lifted, freeze_in_words, hold_of, read_freeze, unreadable

CALENDARS = "calendars"  # what is kept beside the key of the calendars that windows name


def load_freezes() -> tuple[Freeze, ...]:
    """Read all freezes that are kept, those that are over too, the oldest first.

    Raises:
        Refused: One cannot be read; it could be of any service.
    """
    found: list[Freeze] = []
    for name, content in read_freeze_files().items():
        freeze = read_freeze(content)
        if isinstance(freeze, str):
            raise Refused(f"{freeze_folder() / name}.json cannot be read: {freeze}")
        if freeze.id != name:
            raise Refused(f"{freeze_folder() / name}.json is the file of another freeze, {freeze.id}")
        found.append(freeze)
    return tuple(sorted(found, key=lambda one: one.at))


def hold_now(service: str, aside: Collection[str] = ()) -> Hold | None:
    """Say what holds the steps forward of a service now; None if nothing does. Freezes that cannot be read hold every service.

    Args:
        service: The service.
        aside: The freezes that do not count, by id.
    """
    try:
        return hold_of([one for one in load_freezes() if one.id not in aside], now(), service=service)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is not known what is frozen
        return unreadable(error_text(error))


def what_holds(service: str) -> str:
    """Give a name of everything on this machine that may hold a service: another name means that it is worth another look.

    Args:
        service: The service, or what names a turn.

    Returns:
        The name; "" on a machine without the key folder, which cannot know.
    """
    if not key_path().exists():
        return ""
    if is_turn(service):
        return turn_state(service)
    hold = hold_now(service)
    about = hold and (hold.by, hold.why), _policies(), _calendars(), name_of_quietest(service)
    found = hashlib.sha256(repr(about).encode())
    return found.hexdigest()[:16]


def set_freeze(*, who: str, reason: str, service: str = "", until: datetime | None = None) -> Freeze:
    """Set a freeze; it holds from now on. It needs no server.

    Raises:
        BadInput: The name of the service is not one, or the end cannot be meant.
        Refused: It cannot be kept.
    """
    made = {"id": secrets.token_hex(6), "service": service, "reason": as_reason(reason), "who": as_name(who), "at": now(), "until": until}
    try:
        freeze = Freeze.model_validate(made)
        freeze_in_words(freeze)  # what could not be said later is not kept
    except ValidationError as error:
        raise _fault(error, service) from None
    write_freeze_file(freeze.id, freeze.to_bytes())
    _forget()
    return freeze


def end_freeze(freeze: Freeze, lifted: Lifted) -> Freeze:
    """Lift a freeze, in one step; who may was looked at before. One that is lifted already stays as it is.

    Raises:
        Refused: It cannot be kept.
    """
    ended = freeze if freeze.lifted else freeze.model_copy(update={"lifted": lifted})
    write_freeze_file(ended.id, ended.to_bytes())
    return ended


def find_freeze(name: str, *, service: str | None = None) -> Freeze:
    """Find the freeze in force that is to be lifted.

    Args:
        name: The id of one, or the beginning of it; "" for the only one there is.
        service: Only those of this service, "" for those of all services; None for any.

    Raises:
        BadInput: There is none, or there are several.
        Refused: The freezes cannot be read.
    """
    held = [one for one in load_freezes() if one.holds(now()) and service in {None, one.service}]
    found = [one for one in held if one.id.startswith(name)]
    known = ", ".join(f"{one.id} ({one.service or 'all services'}: {one.reason})" for one in held) or "none"
    if len(found) != 1:
        wrong = f"{len(found)} freezes begin with {name!r}" if name else f"{len(found)} freezes are in force"
        raise BadInput(wrong, field="freeze", fix=f"Name one of those that are in force: {known}.")
    return found[0]


def emit_freeze(freeze: Freeze, *, what: str) -> None:
    """Emit the event of a freeze that was set or lifted, for automations that send messages, from a run."""
    emit_event(**_event(freeze, what))


async def post_freeze(client: PrefectClient, freeze: Freeze, *, what: str) -> None:
    """Emit that event from a command: in one request, which can be bounded, where Prefect's own way would wait for the server."""
    event = Event(**_event(freeze, what))
    await client._client.post("/events", json=[event.model_dump(mode="json")])  # noqa: SLF001 - it has no method for it


def _event(freeze: Freeze, what: str) -> dict[str, Any]:
    return {
        "event": f"shipway.freeze.{'lifted' if freeze.lifted else 'set'}",
        "resource": {"prefect.resource.id": "shipway.freezes"},
        "payload": {**freeze.model_dump(mode="json", exclude={"lifted": {"proof"}}), "what": what},
    }


def _fault(error: ValidationError, service: str) -> BadInput:
    """Say which field of a freeze is wrong."""
    first = error.errors()[0]
    field = str(first["loc"][0])
    if field == "service":
        return BadInput(
            f"{service[:80]!r} is not the name of a service", field=field, fix="Write it as in the plan, or leave it out for all."
        )
    return BadInput(first["msg"], field=field, fix="Give another end, or leave it out." if field == "until" else "Give another text.")


def _forget() -> None:
    with contextlib.suppress(Refused):
        for freeze in load_freezes():
            if freeze.is_forgotten(now()):
                forget_freeze_file(freeze.id)


def _policies() -> str:
    try:
        return hashlib.sha256(repr(sorted(read_policy_files().items())).encode()).hexdigest()
    except Refused as error:
        return str(error)


def _calendars() -> list[object]:
    """Give the digests of what the calendars of windows said when they were last read."""
    found: list[object] = []
    for name in kept_names(CALENDARS):
        try:
            one = read_kept(CALENDARS, name, what="a calendar of windows") or {}
            found.append((one.get("ics"), one.get("digest")))
        except Refused as error:  # of this one alone: a change of any other wakes who waits
            found.append(str(error))
    return found
