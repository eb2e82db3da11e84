"""Count the cases of a JUnit XML report, whichever of its dialects wrote it.

There is no standard. pytest, Surefire, Gradle, GoogleTest and others agree on `testcase` below any nesting of `testsuite`
and `testsuites`, with `failure`, `error` or `skipped` inside. Their totals disagree, so cases are counted; a total that
speaks of more failures than the cases show is kept as a warning sign.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

MAX_BYTES = 50_000_000
MAX_DEPTH = 64
MAX_KEPT_NAMES = 100


class BrokenReportError(Exception):
    """The bytes are no JUnit report; the message says why."""


@dataclass
class Report:
    """What a report's cases add up to.

    Fields:
        executed: Cases that ran.
        failed: Of these, cases with a failure or an error, and suites that broke outside a case.
        skipped: Cases that did not run.
        names: The first cases that failed.
        claimed_failures: Failures in the report's own totals beyond those that its cases show.
        at: The oldest time that it names, in seconds since the epoch (UTC where it names no zone), or None.
    """

    executed: int = 0
    failed: int = 0
    skipped: int = 0
    names: tuple[str, ...] = ()
    claimed_failures: int = 0
    at: float | None = None


@dataclass
class _Walk:
    report: Report = field(default_factory=Report)
    parents: list[str] = field(default_factory=list)
    claims: int = 0


def read_report(data: bytes) -> Report:
    """Count a report.

    Args:
        data: The XML, bounded by the caller.

    Returns:
        The counts.

    Raises:
        BrokenReportError: It is no XML, no JUnit report, or tries what XML should not (entities, a DTD that expands).
    """
    walk = _Walk()
    try:
        for event, element in _events(data):
            _enter(element, walk) if event == "start" else _leave(element, walk)
    except ParseError as error:
        message = f"it is no complete XML ({error}); run the tests again"
        raise BrokenReportError(message) from None
    except DefusedXmlException as error:
        message = f"it defines entities ({type(error).__name__}), which a report has no need for"
        raise BrokenReportError(message) from None
    except (ValueError, LookupError) as error:  # an encoding that Python does not know
        message = f"it is no readable XML ({error})"
        raise BrokenReportError(message) from None
    walk.report.claimed_failures = max(walk.claims - walk.report.failed, 0)
    return walk.report


def _events(data: bytes) -> Iterator[tuple[str, Element]]:
    events: Any = iterparse(io.BytesIO(data), events=("start", "end"))
    yield from events


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _enter(element: Element, walk: _Walk) -> None:
    tag = _tag(element)
    if not walk.parents and tag not in {"testsuites", "testsuite"}:
        message = f"its root is `{tag[:40]}`, not `testsuites` or `testsuite`"
        raise BrokenReportError(message)
    walk.parents.append(tag)
    if len(walk.parents) > MAX_DEPTH:
        message = f"it is nested deeper than {MAX_DEPTH} levels"
        raise BrokenReportError(message)
    if tag in {"testsuites", "testsuite"}:
        walk.claims = max(walk.claims, _number(element.get("failures")) + _number(element.get("errors")))
        moments = [moment for moment in (walk.report.at, _moment(element.get("timestamp"))) if moment is not None]
        walk.report.at = min(moments, default=None)


def _leave(element: Element, walk: _Walk) -> None:
    walk.parents.pop()
    tag, report = _tag(element), walk.report
    parent = walk.parents[-1] if walk.parents else ""
    if tag == "testcase":
        _count(element, report)
    elif tag in {"failure", "error"} and parent in {"testsuite", "testsuites"}:
        report.executed += 1
        _fail(report, element.get("message") or f"a suite's {tag}")
    if parent in {"testsuite", "testsuites", ""}:
        element.clear()


def _count(case: Element, report: Report) -> None:
    inside = {_tag(child) for child in case}
    if inside & {"failure", "error"}:
        report.executed += 1
        group = case.get("classname")
        _fail(report, f"{group}.{case.get('name')}" if group else str(case.get("name")))
    elif "skipped" in inside or case.get("status") in {"notrun", "skipped", "disabled"}:
        report.skipped += 1
    else:
        report.executed += 1


def _fail(report: Report, name: str) -> None:
    report.failed += 1
    if len(report.names) < MAX_KEPT_NAMES:
        report.names = (*report.names, " ".join(name.split())[:200])


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004


def _moment(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text or "")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
