"""The form of answers: what a host says is another machine's word, so each value is checked before any of it is used."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any

Form = Mapping[str, Callable[[Any], bool]]
MOST = 2**64  # no count, size, place in a file or number of one is beyond it
PLACE_PARTS = 2


def in_form(order: Mapping[str, Any], answer: Any) -> bool:
    """Say whether an answer has what the order asks for, each value of its own kind.

    Args:
        order: What was ordered, see `blocks.script.hosts.on_host`.
        answer: Any JSON value.
    """
    if not isinstance(answer, Mapping):
        return False
    if "not" in answer:
        return _has(answer, NOT)
    if order["do"] == "check":
        return _has(answer, CHECK) and set(answer["faults"]) <= set(order["commands"])
    if order["do"] == "read":
        return _has(answer, READ) and ("then" not in answer or _is_then(order, answer["then"]))
    return _has(answer, UNDER_WAY if answer.get("state") == "under way" else OVER)


def _has(answer: Mapping[str, Any], form: Form) -> bool:
    return all(is_so(answer.get(name)) for name, is_so in form.items())


def _is_then(order: Mapping[str, Any], value: Any) -> bool:
    """Say whether what a host read in the same order has the form of a reading, and was asked for."""
    return "then" in order and isinstance(value, Mapping) and _has(value, READ)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Say whether it is a whole number of a size that can be: true and false are not."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST


def _is_whole_or_none(value: Any) -> bool:
    return value is None or is_whole(value)


def is_number(value: Any) -> bool:
    """Say whether it is a number that can be reckoned with: true, infinity and NaN are not."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_bytes(value: Any) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return False
    return isinstance(value, str)


def _is_place(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) == PLACE_PARTS and all(map(is_whole, value)))


def _are_texts(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value.values()))


def _is_result(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)


NOT: Form = {"not": _is_text, "why": _is_text}
CHECK: Form = {"faults": _are_texts, "free_bytes": is_whole}
READ: Form = {
    "exit_code": _is_whole_or_none, "output": _is_bytes, "cut": _is_flag, "tail": _is_bytes, "not_run": _is_text, "seconds": is_number,
}  # fmt: skip
UNDER_WAY: Form = {"output": _is_bytes, "where": _is_place}
OVER: Form = {**UNDER_WAY, "state": lambda value: value in ("ended", "never"), "result": _is_result, "log": _is_bytes}
