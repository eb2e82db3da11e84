"""Test evidence never passes by absence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.evidence.junit import MAX_BYTES
from tasks.rules.evidence.tests import judge_command, judge_junit

DAY = 86_400.0
NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z


def report(*cases: str, attributes: str = "") -> bytes:
    """Write a small report."""
    return f'<testsuites><testsuite name="s" {attributes}>{"".join(cases)}</testsuite></testsuites>'.encode()


PASSED = '<testcase classname="k" name="good"/>'
FAILED = '<testcase classname="k" name="bad"><failure message="no">trace</failure></testcase>'
BROKEN = '<testcase classname="k" name="broken"><error/></testcase>'
SKIPPED = '<testcase classname="k" name="later"><skipped/></testcase>'


@pytest.mark.parametrize(
    ("data", "outcome", "words"),
    [
        (None, "no_data", "does not exist; run the tests first"),
        (b"", "no_data", "is empty"),
        (b"  \n", "no_data", "is empty"),
        (b"<testsuites>", "error", "not complete XML"),
        (b"no xml", "error", "not valid XML"),
        (report(PASSED)[:-5], "error", "run the tests again"),
        (report(PASSED) * 2, "error", "write each report to a file of its own"),
        (b"2 tests\n<?xml version='1.0'?>" + report(PASSED), "error", "write nothing else"),
        (report(PASSED, PASSED, "<system-out>a & b</system-out>"), "error", "a `<` or `&` in it is not escaped"),
        (b"<html/>", "error", "its root is `html`"),
        (b'<?xml version="1.0" encoding="nonsense"?><testsuite/>', "error", "no"),
        (b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite>&b;</testsuite>', "error", "it defines entities"),
        (b"<testsuite>" * 100, "error", "deeper than 64"),
        (b"x" * (MAX_BYTES + 1), "error", "more than 50 MB"),
        (b"<testsuite/>", "no_data", "the report has no tests"),
        (b'<testsuite tests="40" failures="0"/>', "no_data", "the report has no tests"),
        (report(SKIPPED, SKIPPED), "no_data", "all 2 tests were skipped"),
        (report('<testcase name="x" status="notrun"/>'), "no_data", "all 1 tests were skipped"),
        (report(PASSED), "failed", "1 of 1 tests ran, fewer than the required 2"),
        (report(PASSED, PASSED, SKIPPED), "passed", "2 of 3 tests ran, none failed"),
        (report(PASSED, FAILED, BROKEN), "failed", "2 of 3 tests failed: k.bad, k.broken"),
        (report(PASSED, PASSED, '<error message="fixture broke"/>'), "failed", "1 of 3 tests failed: fixture broke"),
        (report(PASSED, PASSED, attributes='failures="2" errors="1"'), "failed", "3 failed tests that it does not list"),
        (report(f'<testsuite name="inner">{PASSED}{PASSED}</testsuite>'), "passed", "2 of 2"),
        (report(PASSED, PASSED).replace(b"<testsuites>", b'<testsuites xmlns="urn:x">'), "passed", "2 of 2"),
    ],
)
def test_a_report_is_judged_by_its_cases(data: bytes | None, outcome: str, words: str) -> None:
    """Only executed cases without a failure pass; the reason says what was found."""
    found = judge_junit(data, name="reports/junit.xml", min_tests=2)
    assert found.outcome == outcome
    assert words in found.reason


@pytest.mark.parametrize(
    ("stamp", "written_at", "outcome"),
    [
        ("2026-01-01T11:00:00", None, "passed"),
        ("2026-01-01T11:00:00+00:00", None, "passed"),
        ("2025-12-30T11:00:00", None, "failed"),
        ("2026-01-03T12:00:00", None, "error"),
        ("2025-12-30T11:00:00", NOON, "failed"),
        ("", NOON - 3_600, "passed"),
        ("", NOON - 2 * DAY, "failed"),
        ("yesterday", None, "no_data"),
        ("", None, "no_data"),
    ],
)
def test_an_age_is_kept_to(stamp: str, written_at: float | None, outcome: str) -> None:
    """A report older than the plan allows, from the future, or of unknown age is not a pass."""
    data = report(PASSED, attributes=f'timestamp="{stamp}"')
    assert judge_junit(data, max_age_hours=24, now=NOON, written_at=written_at).outcome == outcome


def test_the_oldest_suite_sets_the_age() -> None:
    """A fresh suite does not lend its age to a stale one."""
    old, new = (f'<testsuite timestamp="{day}T12:00:00">{PASSED}</testsuite>' for day in ("2025-12-01", "2026-01-01"))
    data = f"<testsuites>{new}{old}</testsuites>".encode()
    assert judge_junit(data, max_age_hours=24, now=NOON).outcome == "failed"


@given(st.lists(st.sampled_from([PASSED, FAILED, BROKEN, SKIPPED]), max_size=30))
def test_counts_add_up(cases: list[str]) -> None:
    """Executed and skipped cases are all cases, and a failure never passes."""
    found = judge_junit(report(*cases))
    assert found.executed + found.skipped == len(cases)
    assert found.failed == sum(case in {FAILED, BROKEN} for case in cases)
    assert (found.outcome == "passed") == (PASSED in cases and found.failed == 0)


@given(st.binary(max_size=200))
def test_no_bytes_pass_or_raise(data: bytes) -> None:
    """Whatever the file holds, noise is not a pass."""
    assert judge_junit(data).outcome != "passed"


def test_a_command_passes_only_with_0() -> None:
    """A fault fails and carries the last line that was written."""
    assert judge_command("make", fault="", seconds=1.0, tail="", now=NOON).outcome == "passed"
    found = judge_command("make", fault="`make` ended with 2 after 1.0 s", seconds=1.0, tail="one\ntwo\n", now=NOON)
    assert (found.outcome, found.reason) == ("failed", "`make` ended with 2 after 1.0 s: two")
