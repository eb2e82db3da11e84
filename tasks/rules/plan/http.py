"""Plan sections of an HTTP check: one request and its expected answer, for health, smoke, dependencies and probes."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from tasks.rules.plan.json_values import pointer_fault
from tasks.rules.plan.types import URL_PATH, CredentialName, Section, fault, refusing

BODY_LIMIT_BYTES = 100_000
OWN_HEADERS = {"content-length", "transfer-encoding", "connection"}
WITHOUT_JSON = {"GET", "HEAD"}
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")


def header_value_fault(value: str) -> str | None:
    """Return why a text cannot be a header's value, without showing it; None if it can."""
    return None if FIELD_VALUE.fullmatch(value) else "a header's value has a line break, a control character or a letter outside ASCII"


def _header_name_fault(name: str) -> str | None:
    return None if TOKEN.fullmatch(name) else f"{name[:80]!r} is not the name of a header"


def _sent_header_fault(name: str) -> str | None:
    if not TOKEN.fullmatch(name):
        return _header_name_fault(name)
    return f"the header `{name}` is written by the client itself" if name.lower() in OWN_HEADERS else None


def _pattern_fault(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the pattern is not a regular expression: {error}"
    return None


def _plain(value: Any) -> Any:
    try:
        size = len(json.dumps(value, allow_nan=False).encode())
    except (ValueError, TypeError):
        raise fault("this is not JSON", fix="Write text, finite numbers, true, false, null, lists and mappings.") from None
    if size > BODY_LIMIT_BYTES:
        raise fault(f"this has {size:,} bytes as JSON, more than {BODY_LIMIT_BYTES:,}", fix="Test it with pytest, from a file.")
    return value


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


HeaderName = Annotated[str, refusing(_header_name_fault, fix="Write letters, digits and dashes, as `X-Api-Key`.")]
SentHeader = Annotated[str, refusing(_sent_header_fault, fix="Write letters, digits and dashes, as `X-Api-Key`; leave lengths out.")]
HeaderValue = Annotated[str, Field(max_length=4_000), refusing(header_value_fault, fix="Write printable ASCII in one line.")]
Pointer = Annotated[
    str, Field(max_length=500), refusing(pointer_fault, fix="Write the path to the value with slashes, as `/entries/0/name`.")
]
Pattern = Annotated[str, Field(max_length=500), refusing(_pattern_fault, fix="Write one that Python's `re` can read; `\\*` is a star.")]
Status = Annotated[int, Field(ge=100, le=599)]
Statuses = Annotated[list[Status], Field(min_length=1, max_length=20)]
Json = Annotated[Any, AfterValidator(_plain)]


class Expectation(Section):
    """The expected answer; all of it must hold. `{version}` stands for the version of the revision."""

    status: Annotated[Statuses, BeforeValidator(_several, json_schema_input_type=Status | Statuses)] = Field(default_factory=lambda: [200])
    """The status, or a list of accepted ones; default 200. A redirect is an answer."""
    json_values: Annotated[dict[Pointer, Json], Field(max_length=50)] = Field(default_factory=dict, alias="json")
    """Values of the JSON answer: from JSON Pointer (RFC 6901, as `/entries/0/name`) to the expected JSON value."""
    headers: Annotated[dict[HeaderName, Pattern], Field(max_length=50)] = Field(default_factory=dict)
    """From header to a regular expression (Python's) that its whole value must match."""
    contains: Annotated[str, Field(max_length=2_000)] = ""
    """Text that must be in the body, read as UTF-8."""
    within_seconds: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """The whole answer must arrive in this time; in a performance test, the time at its quantile."""


ROUTING = ("host", "forwarded", "x-forwarded-host", "x-forwarded-server", "x-host", "x-original-host")
"""Headers by which a proxy may pass a request on to another host than that of its address."""


class HttpRequest(Section):
    """One HTTP request without its address, and the expected answer."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The method."""
    headers: Annotated[dict[SentHeader, HeaderValue], Field(max_length=50)] = Field(default_factory=dict)
    """Headers of the request, including `Host` for a service that answers only to its own name."""
    secret_headers: Annotated[dict[SentHeader, CredentialName], Field(max_length=20)] = Field(default_factory=dict)
    """From header to the credential block that holds its whole value, as `credential/api-token`. The block says which hosts and
    platforms may get it; the value is never shown or recorded."""
    json_body: Json = Field(default=None, alias="json")
    """A body that is sent as JSON; the expected answer is in `expect`."""
    body: Annotated[str, Field(max_length=BODY_LIMIT_BYTES)] | None = None
    """A body that is sent as it is, in UTF-8."""
    form: Annotated[dict[str, Annotated[str, Field(max_length=10_000)]], Field(max_length=100)] | None = None
    """Fields that are sent as an HTML form."""
    expect: Expectation = Expectation()
    """The expected answer."""

    @field_validator("secret_headers")
    @classmethod
    def _headers_are_named_once(cls, secret: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        names = [name.lower() for name in (*info.data.get("headers", ()), *secret)]
        doubles = [name for name in names if names.count(name) > 1]
        if doubles:
            raise fault(f"the header `{doubles[0]}` is written twice", fix="Keep one of them.")
        if routing := [name for name in secret if name.lower() in ROUTING]:
            raise fault(f"the header `{routing[0]}` may lead other credentials elsewhere unseen", fix="Write it in `headers`.")
        return secret

    @field_validator("json_body")
    @classmethod
    def _asks_with_it(cls, value: Any, info: ValidationInfo) -> Any:
        method = info.data.get("method")
        if value is not None and method in WITHOUT_JSON:
            fix = "Write `expect: {json: {/version: …}}` for the expected answer, or another `method`."
            raise fault(f"`json` is the body of the request, which {method} does not send", fix=fix)
        return value

    @field_validator("body", "form")
    @classmethod
    def _one_body(cls, value: Any, info: ValidationInfo) -> Any:
        others = [("json", info.data.get("json_body")), ("body", info.data.get("body"))]
        given = [name for name, other in others if other is not None]
        if value is not None and given:
            raise fault(f"a request has one body, and `{given[0]}` is one already", fix="Keep one of them.")
        return value


class HttpCheck(HttpRequest):
    """One HTTP request to a revision, and the expected answer."""

    path: Annotated[str, Field(pattern=URL_PATH, max_length=2_000)]
    """Path and query on the revision; `{version}` stands for the revision's version."""
