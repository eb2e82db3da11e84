"""JUnit XML: count the cases of a report of any dialect.

There is no standard. pytest, Surefire, Gradle, GoogleTest, CTest and others agree on `testcase` below any nesting of `testsuite`
and `testsuites`, with `failure`, `error` or `skipped` inside. Their totals disagree, so cases are counted; a total that
speaks of more failures than the cases show is kept as a warning sign. The report is parsed as a stream: no tree is built, so
memory does not grow with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from tasks.rules.evidence.xml_text import UnknownEncodingError, clean_text, explain

MAX_BYTES = 50_000_000
MAX_DEPTH = 64
MAX_PIECES = 3_000_000
MAX_TOKEN_BYTES = 1_000_000
MAX_KEPT_NAMES = 100
SUITES = frozenset({"testsuite", "testsuites"})
FAULTS = frozenset({"failure", "error", "rerunFailure", "rerunError"})
HEALED = frozenset({"flakyFailure", "flakyError"})
SKIPS = frozenset({"skipped", "skip", "ignored", "disabled"})
NOT_RUN = frozenset(
    {
        "notrun",
        "notexecuted",
        "skipped",
        "skip",
        "disabled",
        "ignored",
        "suppressed",
        "pending",
        "todo",
        "excluded",
        "inapplicable",
        "bskip",
    }
)
FAILED = frozenset({"fail", "failed", "failure", "error", "errored", "broken", "timeout", "timedout", "interrupted", "aborted", "crashed"})
FIRST_DATE = datetime(2000, 1, 1, tzinfo=UTC).timestamp()  # JUnit's reports are younger: 1970, 1601 and the year 1 mean "never"


class BrokenReportError(Exception):
    """The bytes are not a JUnit report; the message says why."""


@dataclass
class Report:
    """Totals of a report's cases.

    Fields:
        executed: Cases that ran, or should have and could not.
        failed: Of these, cases with a failure or an error, those that could not be started, and suites that broke outside a case.
        skipped: Cases that were skipped on purpose.
        flaky: Cases that passed when they were run again.
        names: The first cases that failed.
        claimed_failures: Failures in the report's own totals beyond those that its cases show, healed ones included.
        at: The oldest time of a suite in which something ran, in seconds since the epoch (UTC if it names no zone), or None.
    """

    executed: int = 0
    failed: int = 0
    skipped: int = 0
    flaky: int = 0
    names: tuple[str, ...] = ()
    claimed_failures: int = 0
    at: float | None = None


@dataclass
class _Case:
    name: str
    group: str
    words: frozenset[str]
    inside: set[str] = field(default_factory=set)
    healed: int = 0
    skip_message: str = ""


@dataclass
class _Suite:
    claims: int
    at: float | None
    executed: int = 0
    explained: int = 0  # failures that its cases show, and runs that a later one healed
    excess: int = 0


class _Walk:
    """What the parser calls, element by element."""

    def __init__(self) -> None:
        self.report = Report()
        self.tags: list[str] = []
        self.suites: list[_Suite] = []
        self.cases: list[_Case] = []
        self.pieces = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        tag, parent = name.rpartition("}")[2], self.tags[-1] if self.tags else ""
        self.pieces += 1 + len(attributes)
        if not parent and tag not in SUITES:
            message = f"its root is `{tag[:40]}`, not `testsuites` or `testsuite`"
            raise BrokenReportError(message)
        if len(self.tags) >= MAX_DEPTH:
            message = f"it is nested deeper than {MAX_DEPTH} levels"
            raise BrokenReportError(message)
        self.tags.append(tag)
        if tag == "testcase":
            self.cases.append(_case(attributes))
        elif tag in SUITES:
            claims = _number(attributes.get("failures")) + _number(attributes.get("errors"))
            self.suites.append(_Suite(claims, _moment(attributes.get("timestamp"))))
        elif parent == "testcase":
            _note(self.cases[-1], tag, attributes)
        elif tag in {"failure", "error"} and parent in SUITES:
            self._failed(attributes.get("message") or f"a suite's {tag}")

    def end(self, _name: str) -> None:
        tag = self.tags.pop()
        if tag == "testcase":
            self._count(self.cases.pop())
        elif tag in SUITES:
            self._close(self.suites.pop())

    def data(self, _text: str) -> None:
        """Drop text: no verdict depends on it."""

    def close(self) -> None:
        """End; the report is complete by then."""

    def _count(self, case: _Case) -> None:
        suite = self.suites[-1]
        suite.explained += case.healed
        fault = _fault(case)
        if fault is not None:
            self._failed(fault)
        elif case.inside & SKIPS or case.words & NOT_RUN:
            self.report.skipped += 1
        else:
            self.report.executed += 1
            self.report.flaky += bool(case.healed)
            suite.executed += 1

    def _failed(self, name: str) -> None:
        self.report.executed += 1
        self.report.failed += 1
        self.suites[-1].executed += 1
        self.suites[-1].explained += 1
        if len(self.report.names) < MAX_KEPT_NAMES:
            self.report.names = (*self.report.names, " ".join(name.split())[:200])

    def _close(self, suite: _Suite) -> None:
        """Add a suite to the one around it; totals are compared suite by suite, so that one does not explain another's."""
        suite.excess = max(suite.excess, suite.claims - suite.explained)
        dates = [date for date in (self.report.at, suite.at if suite.executed else None) if date is not None]
        self.report.at = min(dates, default=None)
        if self.suites:
            outer = self.suites[-1]
            outer.executed += suite.executed
            outer.explained += suite.explained
            outer.excess += suite.excess
        else:
            self.report.claimed_failures = suite.excess


def read_report(data: bytes, *, is_late: Callable[[], bool] = lambda: False) -> Report:
    """Count a report.

    Args:
        data: The XML, bounded by the caller. Characters that XML forbids are skipped.
        is_late: Called after each 64 kB; True ends the reading.

    Returns:
        The counts.

    Raises:
        BrokenReportError: It is not XML, not a JUnit report, tries what XML should not (entities, a DTD that expands), has more
            than 3,000,000 elements and attributes, a tag longer than 1 MB, or is late.
    """
    walk = _Walk()
    parser = XMLParser(target=walk)
    try:
        fed = 0
        for text in clean_text(data):
            parser.feed(text)
            fed += len(text.encode())
            _keep_bounds(walk, waiting=fed - parser.parser.CurrentByteIndex, is_late=is_late)
        parser.close()
    except ParseError as error:
        raise BrokenReportError(explain(error)) from None
    except UnknownEncodingError as error:
        raise BrokenReportError(str(error)) from None
    except DefusedXmlException as error:
        message = f"it defines entities ({type(error).__name__}), which a report has no need for"
        raise BrokenReportError(message) from None
    return walk.report


def _keep_bounds(walk: _Walk, *, waiting: int, is_late: Callable[[], bool]) -> None:
    message = ""
    if walk.pieces > MAX_PIECES:
        message = f"it has more than {MAX_PIECES:,} elements and attributes; write a report for each part of the tests"
    elif waiting > MAX_TOKEN_BYTES:  # expat reads such a one from its beginning with every piece that comes
        message = f"one of its tags or comments is longer than {MAX_TOKEN_BYTES // 1_000_000} MB; keep captured output out of attributes"
    elif is_late():
        message = "reading it takes too long; write a report for each part of the tests, without captured output"
    if message:
        raise BrokenReportError(message)


def _case(attributes: Mapping[str, str]) -> _Case:
    said = [attributes[name] for name in ("status", "result") if name in attributes]
    words = frozenset(re.sub("[^a-z]", "", word[:40].lower()) for word in said)
    return _Case(attributes.get("name", "None"), attributes.get("classname", ""), words)


def _note(case: _Case, tag: str, attributes: Mapping[str, str]) -> None:
    case.inside.add(tag)
    case.healed += tag in HEALED
    if tag == "skipped":
        case.skip_message = attributes.get("message", "")


def _fault(case: _Case) -> str | None:
    """Name a case that failed, or that CTest could not run and therefore calls skipped; None for all others."""
    name = f"{case.group}.{case.name}" if case.group and case.group != case.name else case.name
    if case.inside & FAULTS:
        return name
    if case.inside & SKIPS:
        return f"{name} ({case.skip_message or 'not run'})" if _could_not_run(case) else None
    return name if case.words & FAILED else None


def _could_not_run(case: _Case) -> bool:
    """Return whether CTest wrote it (it names a test twice), and gives another reason than the two by which a test skips itself."""
    is_ctest = "notrun" in case.words and case.group == case.name
    return is_ctest and not case.skip_message.startswith(("SKIP_RETURN_CODE", "SKIP_REGULAR_EXPRESSION", "Disabled"))


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else 0  # noqa: PLR2004


def _moment(text: str | None) -> float | None:
    try:
        moment = datetime.fromisoformat(text or "")
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if seconds >= FIRST_DATE else None
