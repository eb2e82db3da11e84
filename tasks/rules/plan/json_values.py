"""JSON comparison by JSON Pointer (RFC 6901): `1` is `1.0`, `true` is not `1`, and a missing member equals nothing."""

from __future__ import annotations

import json
from typing import Any, Final

from jsonpointer import EndOfList, JsonPointer, JsonPointerException


class _Missing:
    """A missing value; it is never equal to a JSON value, and `null` is one."""

    __slots__ = ()


MISSING: Final = _Missing()


def parse_json(body: bytes | str) -> Any:
    """Read a JSON document as the standard has it (RFC 8259): without NaN and infinities.

    Raises:
        ValueError: It is not JSON, or is nested too deep to be read.
    """
    try:
        return json.loads(body, parse_constant=_refuse)
    except RecursionError:
        message = "nested too deep"
        raise ValueError(message) from None


def _refuse(constant: str) -> Any:
    message = f"{constant} is not JSON"
    raise ValueError(message)


def value_at(document: Any, pointer: str) -> Any:
    """Return the value at a pointer, or `MISSING`; the empty pointer is the whole document."""
    try:
        found = JsonPointer(pointer).resolve(document)
    except JsonPointerException:
        return MISSING
    return MISSING if isinstance(found, EndOfList) else found


def same(found: Any, wanted: Any) -> bool:
    """Compare two JSON values: objects by their members in any order, lists by order, numbers by value, and no kind with another."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return found.keys() == wanted.keys() and all(same(found[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def fault_at(document: Any, pointer: str, wanted: Any) -> str:
    """Return how the value at a pointer differs from the wanted one, or ""."""
    found = value_at(document, pointer)
    if found is MISSING:
        return f"has nothing at {pointer}"
    return "" if same(found, wanted) else f"has {shown(found)} at {pointer or 'its top'}, not {shown(wanted)}"


def shown(value: Any) -> str:
    """Write a value as JSON for people."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "something nested too deep to be shown"


def pointer_fault(pointer: str) -> str | None:
    """Return why a text is not a JSON Pointer; None if it is one."""
    try:
        JsonPointer(pointer)
    except JsonPointerException:
        return f"{pointer[:80]!r} is not a JSON Pointer"
    return None
