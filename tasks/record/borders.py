"""Borders of this process: what it says to the Prefect server and to its log is clean text, without the secrets that it holds.

Prefect itself words the states of runs that an exception ends, stores the error and logs its traceback: so its states, stored errors,
events and log records pass here. Of errors the bytes of an answer that they quote stay out, too. A NUL in any of them would be refused by
the database, and the state or the log would be lost.
"""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import prefect.serializers
import prefect.states
from prefect.client.schemas.actions import StateCreate
from prefect.client.schemas.objects import State
from prefect.events import Event
from prefect.events.worker import EventsWorker
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic.types import Secret

from blocks.outside_text import ENDING_LIMIT, OutsideText, said, without_bytes
from blocks.secret_text import hide, learn, learn_of

LOGGED_LIMIT = 64_000  # characters of one log record, or of its traceback
PASSWORD = "PREFECT_API_AUTH_STRING"  # noqa: S105 - a variable's name
SAID = frozenset({"message", "prefect.state-message", "what", "why", "reason", "subject", "body"})
"""The fields of events that hold sentences; all others are names and ids."""


def hold(block: BaseModel) -> None:
    """Take note of a block's secrets, and of the API's password: from now on none of them leaves this process in a text.

    Args:
        block: Any block, right after it was loaded.
    """
    guard()
    learn(secrets_in(block))


def hold_of(name: str, block: BaseModel) -> bool:
    """Take note of the secrets of a block that others can edit, as `hold`, unless they are too many, see `learn_of`.

    Args:
        name: The block, as `type/name`.
        block: As it is now.

    Returns:
        Whether they are noted; if not, the block must not be used.
    """
    guard()
    return learn_of(name, secrets_in(block))


def secrets_in(value: object, *, inside: bool = False) -> Iterator[str]:
    """Walk through a model, and what it holds, for the texts of pydantic's and Prefect's secrets.

    Args:
        value: A model, or anything that one holds.
        inside: Whether it is a part of a secret, so that each of its texts is one.
    """
    if isinstance(value, SecretStr | SecretBytes | Secret):
        yield from secrets_in(value.get_secret_value(), inside=True)
    elif isinstance(value, BaseModel) and not inside:
        yield from secrets_in({name: getattr(value, name) for name in type(value).model_fields})
    elif isinstance(value, Mapping | list | tuple | set | frozenset):
        for member in value.values() if isinstance(value, Mapping) else value:
            yield from secrets_in(member, inside=inside)
    elif inside and value is not None and not isinstance(value, bool):
        yield value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@cache
def guard() -> None:
    """Put the borders up, once a process; before a block is loaded, which may log what it holds."""
    logging.getLogger("apprise").addFilter(_without_address)
    auth = os.environ.get(PASSWORD, "")
    learn([auth, auth.partition(":")[2]])
    make_record, prepare = logging.getLogRecordFactory(), EventsWorker._prepare_item  # noqa: SLF001
    to_create, encode = prefect.states.to_state_create, prefect.serializers.prefect_json_object_encoder

    def record(*positional: Any, **named: Any) -> logging.LogRecord:
        return _hidden_record(make_record(*positional, **named))

    def create(state: State[Any]) -> StateCreate:
        made = to_create(state)
        return made.model_copy(update={"message": _clean(without_bytes(made.message))}) if made.message else made

    def encode_object(obj: Any) -> Any:  # the error of a failed task is stored as its result
        encoded = encode(obj)
        return {**encoded, "message": hide(without_bytes(str(encoded["message"])))} if isinstance(obj, BaseException) else encoded

    def prepare_item(worker: EventsWorker, event: Event) -> Event:
        return prepare(worker, _hidden_event(event))

    logging.setLogRecordFactory(record)
    prefect.states.to_state_create = create
    prefect.serializers.prefect_json_object_encoder = encode_object
    EventsWorker._prepare_item = prepare_item  # type: ignore[method-assign,assignment]  # noqa: SLF001


def _clean(text: str, *, limit: int = ENDING_LIMIT) -> OutsideText:
    return said(text, limit=limit, lines=True)


def _without_address(record: logging.LogRecord) -> bool:
    """Leave the address out of what apprise says of one that it cannot parse: a webhook's is a secret."""
    if "URL" in str(record.msg):
        record.msg, record.args = "the address of a notification cannot be used; look at its block", ()
    return True


def _hidden_record(record: logging.LogRecord) -> logging.LogRecord:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - its arguments do not fit; logging itself says so
        return record
    hidden = _clean(without_bytes(text) if record.exc_info else text, limit=LOGGED_LIMIT)
    if hidden != text:
        record.msg, record.args = hidden, ()
    if record.exc_info and record.exc_info[0] is not None:
        trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (without := _clean(without_bytes(trace), limit=LOGGED_LIMIT)) != trace:
            record.exc_info, record.exc_text = None, without
    return record


def _hidden_event(event: Event) -> Event:
    resource = event.resource.model_copy(update={"root": _hidden(event.resource.root)})
    return event.model_copy(update={"payload": _hidden(event.payload), "resource": resource})


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _clean(one) if name in SAID and isinstance(one, str) else _hidden(one) for name, one in value.items()}
    return [_hidden(one) for one in value] if isinstance(value, list) else value
