"""HTTP check: the request, and what is wrong with the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from blocks.secret_text import MASK
from tasks.rules.plan.http import Expectation, HttpCheck
from tasks.rules.plan.json_values import fault_at, parse_json, shown

BODY_LIMIT_BYTES = 1_000_000
HEADER_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of an HTTP check.

    Fields:
        status: The answer's status, or None if there was none.
        seconds: How long it took, to the end of the body.
        headers: By their names in lower case.
        body: At most 1 MB, as it came over the wire.
        cut: Whether the body was longer than may be read.
        error: Why there is no usable answer, or "".
        permanent: Whether a retry is useless.
    """

    status: int | None
    seconds: float
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    error: str = ""
    permanent: bool = False

    @property
    def encoding(self) -> str:
        """Content encoding by the headers; "" if it is plain."""
        named = " ".join(self.headers.get("content-encoding", "").split())
        return "" if named.lower() in {"", "identity"} else named


def fault_of_answer(answer: Answer, expect: Expectation, *, version: str, in_time: bool = True, any_length: bool = False) -> str:
    """Return what is wrong with an answer.

    Args:
        answer: The answer.
        expect: The expected answer.
        version: Replaces `{version}` in it.
        in_time: Whether the time counts too.
        any_length: Whether a body without expectations may have any length.

    Returns:
        The first fault in words, or "" if all is as expected. It may quote the answer at length, as JSON does: mask it, then cut it.
    """
    if answer.error:
        return answer.error
    if answer.status not in expect.status:
        return f"answered {answer.status}, not {_any_of(expect)}"
    if answer.cut and not (any_length and not reads_body(expect)):
        return f"sent more than {BODY_LIMIT_BYTES:,} bytes, more than a check reads"
    if in_time and expect.within_seconds is not None and answer.seconds > expect.within_seconds:
        return f"took {answer.seconds:.3f} s, more than {expect.within_seconds:g} s"
    if reads_body(expect) and answer.encoding:
        return f"{encoded(answer)}, so its content is not known"
    return _header_fault(answer, expect, version) or _text_fault(answer, expect, version) or _json_fault(answer, expect, version)


def reads_body(expect: Expectation) -> bool:
    """Return whether an expectation is about the body."""
    return bool(expect.contains or expect.json_values)


def encoded(answer: Answer) -> str:
    """Return the fault of an encoded body: it is not decoded, since a few bytes could become gigabytes."""
    return f"sent its body encoded as {shown(answer.encoding)}, though a plain one was requested (Accept-Encoding: identity)"


def path_of(check: HttpCheck, version: str) -> str:
    """Return a check's path for a version; in a query `+` would be read as a space, so it is escaped."""
    return check.path.replace("{version}", quote(version, safe=""))


def describe_request(check: HttpCheck, version: str) -> str:
    """Describe what is sent, in lines, with the secret headers masked."""
    headers = check.headers | dict.fromkeys(check.secret_headers, MASK)
    bodies = (None if check.json_body is None else json.dumps(check.json_body), check.body, check.form and json.dumps(check.form))
    body = next((text for text in bodies if text is not None), "")
    head = [f"{check.method} {path_of(check, version)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join([*head, body] if body else head)


def describe_expectation(expect: Expectation, version: str) -> str:
    """Describe the expected answer in one line."""
    parts = [f"status {_any_of(expect)}"]
    parts += [f"{name} matches {shown(pattern)}" for name, pattern in expect.headers.items()]
    parts += [f"contains {shown(_filled(expect.contains, version))}"] if expect.contains else []
    parts += [f"{pointer or 'the document'} is {shown(_filled(value, version))}" for pointer, value in expect.json_values.items()]
    parts += [f"within {expect.within_seconds:g} s"] if expect.within_seconds is not None else []
    return ", ".join(parts)


def text_of(body: bytes) -> str:
    """Read a body for people; JSON is normalised, so that a secret in it has the form that is masked."""
    try:
        return shown(parse_json(body))
    except ValueError:
        return body.decode(errors="replace")


def _any_of(expect: Expectation) -> str:
    return " or ".join(map(str, expect.status))


def _header_fault(answer: Answer, expect: Expectation, version: str) -> str:
    for name, pattern in expect.headers.items():
        found = answer.headers.get(name.lower())
        if found is None:
            return f"has no header {name}"
        if len(found) > HEADER_LIMIT or not re.fullmatch(pattern.replace("{version}", re.escape(version)), found):
            return f"has {name}: {shown(found)}, which does not match {shown(pattern)}"
    return ""


def _text_fault(answer: Answer, expect: Expectation, version: str) -> str:
    wanted = _filled(expect.contains, version)
    return "" if wanted in answer.body.decode(errors="replace") else f"does not contain {shown(wanted)}"


def _json_fault(answer: Answer, expect: Expectation, version: str) -> str:
    if not expect.json_values:
        return ""
    try:
        document = parse_json(answer.body)
    except ValueError:
        return f"is not JSON: {shown(answer.body.decode(errors='replace'))}"
    faults = (fault_at(document, pointer, _filled(value, version)) for pointer, value in expect.json_values.items())
    return next((one for one in faults if one), "")


def _filled(value: Any, version: str) -> Any:
    """Put the version into every text of a value."""
    if isinstance(value, str):
        return value.replace("{version}", version)
    if isinstance(value, dict):
        return {name: _filled(member, version) for name, member in value.items()}
    return [_filled(member, version) for member in value] if isinstance(value, list) else value
