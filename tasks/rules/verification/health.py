"""Whether one HTTP answer says that a revision is well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from blocks.outside_text import OutsideText, outside

BODY_LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """What one request found.

    Fields:
        url: Where it went.
        status: The answer's status, or None where there was none.
        seconds: How long it took.
        body: The answer's first bytes.
        cut: Whether the body was longer than may be read.
        error: Why there was no answer, or "".
    """

    url: str
    status: int | None
    seconds: float
    body: bytes = b""
    cut: bool = False
    error: str = ""


def fault_of(probe: Probe, *, status: int, json_fields: Mapping[str, str]) -> OutsideText:
    """Say what is wrong with an answer.

    Args:
        probe: The answer.
        status: The only status that counts.
        json_fields: Members that the JSON answer must have, with their values.

    Returns:
        The fault in words, or "" where all is well.
    """
    return outside(_fault(probe, status, json_fields))


def _fault(probe: Probe, status: int, json_fields: Mapping[str, str]) -> str:
    if probe.error:
        return probe.error
    if probe.status != status:
        return f"answered {probe.status}, not {status}"
    if probe.cut:
        return f"sent more than {BODY_LIMIT_BYTES:,} bytes, which no health answer needs"
    return _json_fault(probe.body, json_fields) if json_fields else ""


def _json_fault(body: bytes, wanted: Mapping[str, str]) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return f"answered no JSON: {body[:80].decode(errors='replace')!r}"
    if not isinstance(found, dict):
        return "answered JSON that is not an object"
    for name, value in wanted.items():
        if str(found.get(name)) != value:
            return f"says {name} is {str(found.get(name))[:80]!r}, not {value!r}"
    return ""
