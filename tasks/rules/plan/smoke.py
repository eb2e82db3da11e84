"""Sections of the plan that describe a smoke test: HTTP steps or pytest, and how a performance test compares."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

from jsonpointer import JsonPointer, JsonPointerException
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from tasks.rules.plan.quantile import runs_needed
from tasks.rules.plan.types import SECRET, URL_PATH, Name, RepositoryPath, Seconds, Section, fault, refusing

BODY_LIMIT_BYTES = 100_000
OWN_HEADERS = {"content-length", "transfer-encoding", "connection"}
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
FIELD_VALUE = re.compile(r"[\t\x20-\x7e]*")


def header_value_fault(value: str) -> str | None:
    """Say why a text cannot be a header's value, without showing it; None where it can."""
    return None if FIELD_VALUE.fullmatch(value) else "a header's value has a line break, a control character or a letter outside ASCII"


def _header_name_fault(name: str) -> str | None:
    if not TOKEN.fullmatch(name):
        return f"{name[:80]!r} is no header's name"
    return f"the header `{name}` is written by the client itself" if name.lower() in OWN_HEADERS else None


def _pointer_fault(pointer: str) -> str | None:
    try:
        JsonPointer(pointer)
    except JsonPointerException:
        return f"{pointer[:80]!r} is no JSON Pointer"
    return None


def _pattern_fault(pattern: str) -> str | None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        return f"the pattern is no regular expression: {error}"
    return None


def _plain(value: Any) -> Any:
    try:
        size = len(json.dumps(value, allow_nan=False).encode())
    except (ValueError, TypeError):
        raise fault("this is no JSON", fix="Write text, finite numbers, true, false, null, lists and mappings.") from None
    if size > BODY_LIMIT_BYTES:
        raise fault(f"this has {size:,} bytes as JSON, more than {BODY_LIMIT_BYTES:,}", fix="Test it with pytest, from a file.")
    return value


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


HeaderName = Annotated[str, refusing(_header_name_fault, fix="Write letters, digits and dashes, as `X-Api-Key`; leave lengths out.")]
HeaderValue = Annotated[str, Field(max_length=4_000), refusing(header_value_fault, fix="Write printable ASCII in one line.")]
Pointer = Annotated[
    str, Field(max_length=500), refusing(_pointer_fault, fix="Write the way to the value with slashes, as `/entries/0/name`.")
]
Pattern = Annotated[str, Field(max_length=500), refusing(_pattern_fault, fix="Write one that Python's `re` can read; `\\*` is a star.")]
SecretName = Annotated[str, Field(pattern=SECRET, max_length=200)]
Status = Annotated[int, Field(ge=100, le=599)]
Statuses = Annotated[list[Status], Field(min_length=1, max_length=20)]
Json = Annotated[Any, AfterValidator(_plain)]


class Expectation(Section):
    """What the answer to a step must be; all of it must hold. `{version}` stands for the version that is asked."""

    status: Annotated[Statuses, BeforeValidator(_several, json_schema_input_type=Status | Statuses)] = Field(default_factory=lambda: [200])
    """The status, or a list of those that will do; 200 where nothing is said. A redirect is an answer: it is not followed."""
    json_values: Annotated[dict[Pointer, Json], Field(max_length=50)] = Field(default_factory=dict, alias="json")
    """Values of the JSON answer: from JSON Pointer (RFC 6901, as `/entries/0/name`) to the value that must stand there."""
    headers: Annotated[dict[HeaderName, Pattern], Field(max_length=50)] = Field(default_factory=dict)
    """From header to a regular expression (Python's) that its whole value must match."""
    contains: Annotated[str, Field(max_length=2_000)] = ""
    """Text that must be in the body, read as UTF-8."""
    within_seconds: Annotated[float, Field(gt=0, le=3_600)] | None = None
    """The whole answer must be there in this time; in a performance test, the time at its quantile."""


class SmokeStep(Section):
    """One HTTP request and what its answer must be."""

    name: Annotated[str, Field(max_length=200)] = ""
    """What the step does, for people; its method and path are shown in any case."""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """The method."""
    path: Annotated[str, Field(pattern=URL_PATH, max_length=2_000)]
    """Path and query on the revision; `{version}` stands for the version that is asked."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=50)] = Field(default_factory=dict)
    """Headers of the request."""
    secret_headers: Annotated[dict[HeaderName, Annotated[str, Field(pattern=SECRET)]], Field(max_length=20)] = Field(default_factory=dict)
    """From header to the Prefect block that holds its whole value, as `secret/api-token`; the value is never shown or recorded."""
    json_body: Json = Field(default=None, alias="json")
    """A body that is sent as JSON."""
    body: Annotated[str, Field(max_length=BODY_LIMIT_BYTES)] | None = None
    """A body that is sent as it is, in UTF-8."""
    form: Annotated[dict[str, Annotated[str, Field(max_length=10_000)]], Field(max_length=100)] | None = None
    """Fields that are sent as a form does."""
    expect: Expectation = Expectation()
    """What the answer must be."""

    @field_validator("secret_headers")
    @classmethod
    def _headers_are_named_once(cls, secret: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        names = [name.lower() for name in (*info.data.get("headers", ()), *secret)]
        doubles = [name for name in names if names.count(name) > 1]
        if doubles:
            raise fault(f"the header `{doubles[0]}` is written twice", fix="Keep one of them.")
        return secret

    @field_validator("body", "form")
    @classmethod
    def _one_body(cls, value: Any, info: ValidationInfo) -> Any:
        others = [("json", info.data.get("json_body")), ("body", info.data.get("body"))]
        given = [name for name, other in others if other is not None]
        if value is not None and given:
            raise fault(f"a request has one body, and `{given[0]}` is one already", fix="Keep one of them.")
        return value


class Performance(Section):
    """How the times of a performance test are compared with the version that serves."""

    quantile: Annotated[float, Field(ge=0.5, le=0.99)] = 0.9
    """The quantile of the times that is compared: 0.9 is what nine of ten runs stay below."""
    repeats: Annotated[int, Field(ge=5, le=1_000)] = 30
    """Runs of the steps against each version, by turns; up to four times as many where these show neither side."""
    max_ratio: Annotated[float, Field(ge=1, le=100)] = 1.5
    """The version may take this many times as long as the one that serves…"""
    slack_seconds: Annotated[float, Field(ge=0, le=60)] = 0.05
    """…and this much longer on top, because of two short times one is easily twice the other."""
    concurrency: Annotated[int, Field(ge=1, le=50)] = 1
    """Runs at the same time."""

    @field_validator("repeats")
    @classmethod
    def _repeats_suffice(cls, repeats: int, info: ValidationInfo) -> int:
        needed = runs_needed(info.data["quantile"]) if "quantile" in info.data else 0
        if repeats < needed:
            wrong = f"{repeats} repeats say nothing certain about the quantile {info.data['quantile']:g}"
            raise fault(wrong, fix=f"Write {needed} or more, or a lower quantile.")
        return repeats


class SmokeTest(Section):
    """HTTP steps, or a pytest file or folder in a process of its own, run against one revision."""

    name: Name
    """Its name in tables and records."""
    pytest: RepositoryPath | None = None
    """File or folder inside the plan's folder; SHIPWAY_TARGET holds the target, SHIPWAY_VERSION the version. Or else `steps`."""
    steps: Annotated[list[SmokeStep], Field(min_length=1, max_length=50)] | None = None
    """Requests in their order; the first failure ends the test. Cookies are kept from step to step. Or else `pytest`."""
    kind: Literal["basic", "critical", "integration", "performance"] = "basic"
    """What it speaks for; `performance` is compared with the version that serves, where one does."""
    timeout_seconds: Seconds = 60
    """The test, and a process with all its children, is ended after this time; that is a failure."""
    performance: Performance | None = None
    """Steps of kind performance only: how they are compared; its defaults where nothing is said."""

    @field_validator("steps")
    @classmethod
    def _one_way(cls, steps: list[SmokeStep] | None, info: ValidationInfo) -> list[SmokeStep] | None:
        if "pytest" in info.data and (info.data["pytest"] is None) == (steps is None):
            wrong = "a smoke test has `pytest` or `steps`, not both" if steps else "a smoke test needs `pytest` or `steps`"
            raise fault(wrong, fix="Write `pytest: smoke/test_it.py`, or `steps:` with a list of requests.")
        return steps

    @field_validator("performance")
    @classmethod
    def _fits_its_kind(cls, performance: Performance | None, info: ValidationInfo) -> Performance | None:
        if not {"steps", "kind"} <= info.data.keys():
            return performance  # these are wrong themselves
        steps = info.data["steps"]
        if not steps or info.data["kind"] != "performance":
            if performance is not None:
                wrong = "only `steps` of `kind: performance` are compared here"
                raise fault(wrong, fix="Leave it out; pytest compares by itself, with SHIPWAY_BASELINE.")
            return None
        if all(step.expect.within_seconds is None for step in steps):
            wrong = "nothing limits the time where no other version runs beside this one, as in staging"
            raise fault(wrong, fix="Add `within_seconds` to the `expect` of a step.")
        return performance or Performance()
