"""Test evidence: judge a JUnit report or a command's exit; missing evidence does not pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.junit import MAX_BYTES, BrokenReportError, Report, read_report

SHOWN_NAMES = 10
FUTURE_SLACK_SECONDS = 14 * 3_600  # a report's time may lack its zone, and zones reach 14 hours ahead


@dataclass(frozen=True)
class TestEvidence:
    """Test evidence.

    Fields:
        outcome: `passed`; `failed`; `no_data`, if nothing was run; `error`, if it cannot be judged.
        reason: Why, with its numbers.
        executed: Tests that ran.
        failed: Of these, tests that failed or broke.
        skipped: Tests that did not run.
        names: The first tests that failed.
        at: When they ran, in seconds since the epoch, or None if not known.
    """

    __test__: ClassVar[bool] = False

    outcome: Outcome
    reason: str
    executed: int = 0
    failed: int = 0
    skipped: int = 0
    names: tuple[str, ...] = ()
    at: float | None = None


def judge_junit(
    data: bytes | None,
    *,
    name: str = "the test report",
    min_tests: int = 1,
    max_age_hours: float | None = None,
    now: float | None = None,
    written_at: float | None = None,
    is_late: Callable[[], bool] = lambda: False,
) -> TestEvidence:
    """Judge a JUnit report.

    Args:
        data: The file's content, or None without a file.
        name: The report as people know it, for the reason.
        min_tests: Fewer executed tests are a failure.
        max_age_hours: An older report is a failure; None takes any age.
        now: The time, in seconds since the epoch; needed for a maximum age.
        written_at: When the file was written, in seconds since the epoch; counts only if the report has no time of its own.
        is_late: True ends the reading, which is then an error.

    Returns:
        The evidence. A report that is absent, empty, stale or all skipped does not pass.
    """
    if data is None:
        return TestEvidence(Outcome.NO_DATA, f"{name} does not exist; run the tests first")
    if len(data) > MAX_BYTES:
        return TestEvidence(Outcome.ERROR, f"{name} has more than {MAX_BYTES // 1_000_000} MB; check that it is the report")
    if not data.strip():
        return TestEvidence(Outcome.NO_DATA, f"{name} is empty; the tests exited before they wrote it")
    try:
        report = read_report(data, is_late=is_late)
    except BrokenReportError as error:
        return TestEvidence(Outcome.ERROR, f"{name} cannot be read: {error}")
    at = report.at if report.at is not None else written_at
    outcome, reason = _outcome(report, min_tests=min_tests)
    if outcome == Outcome.PASSED and max_age_hours is not None:
        age_hours = None if at is None or now is None else (now - at) / 3_600
        outcome, reason = _stale(age_hours, limit_hours=max_age_hours) or (outcome, reason)
    return TestEvidence(outcome, reason, report.executed, report.failed, report.skipped, report.names[:SHOWN_NAMES], at)


def _outcome(report: Report, *, min_tests: int) -> tuple[Outcome, str]:
    ran = f"{report.executed} of {report.executed + report.skipped} tests ran"
    if report.failed:
        more = ", …" if report.failed > SHOWN_NAMES else ""
        return Outcome.FAILED, f"{report.failed} of {report.executed} tests failed: {', '.join(report.names[:SHOWN_NAMES])}{more}"
    if report.claimed_failures:
        return Outcome.FAILED, f"the report counts {report.claimed_failures} failed tests that it does not list; run the tests again"
    if not report.executed:
        why = f"all {report.skipped} tests were skipped" if report.skipped else "the report has no tests"
        return Outcome.NO_DATA, f"{why}; no data is not a pass"
    if report.executed < min_tests:
        return Outcome.FAILED, f"{ran}, fewer than the required {min_tests}"
    flaky = f", {report.flaky} flaky: passed when run again" if report.flaky else ""
    return Outcome.PASSED, f"{ran}, none failed{flaky}"


def _stale(age_hours: float | None, *, limit_hours: float) -> tuple[Outcome, str] | None:
    if age_hours is None or not math.isfinite(age_hours):
        return Outcome.NO_DATA, f"it is not known when the tests ran, and the plan requires at most {limit_hours:g} hours ago"
    if age_hours < -FUTURE_SLACK_SECONDS / 3_600:
        return Outcome.ERROR, f"the report is dated {-age_hours:.1f} hours in the future; check the clocks"
    if age_hours > limit_hours:
        return Outcome.FAILED, f"the tests ran {age_hours:.1f} hours ago, more than the {limit_hours:g} of the plan; run them again"
    return None


def judge_command(program: str, *, fault: str, seconds: float, tail: str, now: float) -> TestEvidence:
    """Judge a command that runs tests.

    Args:
        program: Its first word, for the reason.
        fault: What went wrong, or "" if it exited with 0.
        seconds: How long it ran.
        tail: The last lines that it wrote.
        now: The time, in seconds since the epoch.

    Returns:
        The evidence; only exit code 0 passes.
    """
    if not fault:
        return TestEvidence(Outcome.PASSED, f"`{program}` exited with 0 after {seconds:.1f} s", executed=1, at=now)
    said = f": {tail.strip().splitlines()[-1][:200]}" if tail.strip() else ""
    return TestEvidence(Outcome.FAILED, f"{fault}{said}", executed=1, failed=1, names=(program,), at=now)
