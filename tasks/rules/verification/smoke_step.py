"""One step of a smoke test: what is sent, and what is wrong with the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from jsonpointer import EndOfList, JsonPointer, JsonPointerException

from tasks.rules.plan.smoke import Expectation, SmokeStep
from tasks.rules.record.masking import MASK
from tasks.rules.verification.health import BODY_LIMIT_BYTES

HEADER_LIMIT = 2_000


class Baseline(NamedTuple):
    """The version that serves while another is verified: its name and its base URL."""

    version: str
    url: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Fields:
        status: The answer's status, or None where there was none.
        seconds: How long it took, to the end of the body.
        headers: By their names in lower case.
        body: At most 1 MB.
        cut: Whether the body was longer than may be read.
        error: Why there was no answer, or "".
    """

    status: int | None
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    error: str = ""


def fault_of_answer(answer: Answer, expect: Expectation, *, version: str, in_time: bool = True) -> str:
    """Say what is wrong with an answer.

    Args:
        answer: What came back.
        expect: What it must be.
        version: Replaces `{version}` in it.
        in_time: Whether the time counts too.

    Returns:
        The first fault in words, or "" where all is as expected. It may quote the answer at length, as JSON does: mask it, then cut it.
    """
    if answer.error:
        return answer.error
    if answer.status not in expect.status:
        return f"answered {answer.status}, not {_any_of(expect)}"
    if answer.cut:
        return f"sent more than {BODY_LIMIT_BYTES:,} bytes, more than a smoke test reads"
    if in_time and expect.within_seconds is not None and answer.seconds > expect.within_seconds:
        return f"took {answer.seconds:.3f} s, more than {expect.within_seconds:g} s"
    return _header_fault(answer, expect, version) or _text_fault(answer, expect, version) or _json_fault(answer, expect, version)


def path_of(step: SmokeStep, version: str) -> str:
    """Give a step's path for a version; in a query `+` would be read as a space, so it is escaped."""
    return step.path.replace("{version}", quote(version, safe=""))


def describe_request(step: SmokeStep, version: str) -> str:
    """Describe what is sent, in lines, with the secret headers masked."""
    headers = step.headers | dict.fromkeys(step.secret_headers, MASK)
    bodies = (None if step.json_body is None else json.dumps(step.json_body), step.body, step.form and json.dumps(step.form))
    body = next((text for text in bodies if text is not None), "")
    head = [f"{step.method} {path_of(step, version)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join([*head, body] if body else head)


def describe_expectation(expect: Expectation, version: str) -> str:
    """Describe what must come back, in one line."""
    parts = [f"status {_any_of(expect)}"]
    parts += [f"{name} matches {_shown(pattern)}" for name, pattern in expect.headers.items()]
    parts += [f"contains {_shown(_filled(expect.contains, version))}"] if expect.contains else []
    parts += [f"{pointer or 'the document'} is {_shown(_filled(value, version))}" for pointer, value in expect.json_values.items()]
    parts += [f"within {expect.within_seconds:g} s"] if expect.within_seconds is not None else []
    return ", ".join(parts)


def text_of(body: bytes) -> str:
    """Read a body for people; JSON is written anew, so that a secret in it has the one form that is masked."""
    try:
        return _shown(json.loads(body))
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def _any_of(expect: Expectation) -> str:
    return " or ".join(map(str, expect.status))


def _header_fault(answer: Answer, expect: Expectation, version: str) -> str:
    for name, pattern in expect.headers.items():
        found = answer.headers.get(name.lower())
        if found is None:
            return f"has no header {name}"
        if len(found) > HEADER_LIMIT or not re.fullmatch(pattern.replace("{version}", re.escape(version)), found):
            return f"has {name}: {_shown(found)}, which does not match {_shown(pattern)}"
    return ""


def _text_fault(answer: Answer, expect: Expectation, version: str) -> str:
    wanted = _filled(expect.contains, version)
    return "" if wanted in answer.body.decode(errors="replace") else f"does not contain {_shown(wanted)}"


def _json_fault(answer: Answer, expect: Expectation, version: str) -> str:
    if not expect.json_values:
        return ""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "is no JSON"
    for pointer, value in expect.json_values.items():
        wanted = _filled(value, version)
        try:
            found = JsonPointer(pointer).resolve(document)
        except JsonPointerException:
            found = EndOfList([])
        if isinstance(found, EndOfList):
            return f"has nothing at {pointer}"
        if not _same(found, wanted):
            return f"has {_shown(found)} at {pointer or 'its top'}, not {_shown(wanted)}"
    return ""


def _filled(value: Any, version: str) -> Any:
    """Put the version into every text of a value."""
    if isinstance(value, str):
        return value.replace("{version}", version)
    if isinstance(value, dict):
        return {name: _filled(member, version) for name, member in value.items()}
    return [_filled(member, version) for member in value] if isinstance(value, list) else value


def _same(found: Any, wanted: Any) -> bool:
    """Compare as JSON does: 1 is 1.0, and true is not 1."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return found.keys() == wanted.keys() and all(_same(found[name], wanted[name]) for name in wanted)
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted) and isinstance(found, bool) == isinstance(wanted, bool)


def _shown(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "something nested too deep to be shown"
