"""Reports as CTest, GoogleTest, Surefire, Go, Qt and others write them."""

from __future__ import annotations

import itertools

import pytest

from tasks.rules.evidence import junit
from tasks.rules.evidence.tests import judge_junit

NOON = 1_767_268_800.0  # 2026-01-01T12:00:00Z
PASSED = '<testcase classname="k" name="good"/>'
FLAKY = '<testcase classname="Cart" name="pays"><flakyFailure message="late"/></testcase>'


def report(*cases: str, attributes: str = "") -> bytes:
    """Write a report of one suite."""
    return f'<testsuites><testsuite name="s" {attributes}>{"".join(cases)}</testsuite></testsuites>'.encode()


def ctest(name: str, message: str, status: str = "notrun") -> str:
    """Write a test as `ctest --output-junit` does where it did not run."""
    return f'<testcase name="{name}" classname="{name}" time="0" status="{status}"><skipped message="{message}"/><properties/></testcase>'


@pytest.mark.parametrize(
    "why",
    ["Unable to find executable", "Required Files Missing", "Fixture dependency failed", "Missing Configuration", "Insufficient resources",
     "Failed to change working directory", ""],
)  # fmt: skip
def test_what_ctest_could_not_run_has_failed(why: str) -> None:
    """CTest writes it as skipped, and ends with an error itself."""
    found = judge_junit(report(PASSED, ctest("checkout", why)))
    assert (found.outcome, found.names) == ("failed", (f"checkout ({why or 'not run'})",))


@pytest.mark.parametrize(
    "case",
    [
        ctest("slow", "SKIP_RETURN_CODE=77"),
        ctest("slow", "SKIP_REGULAR_EXPRESSION_MATCHED"),
        ctest("slow", "Disabled", status="disabled"),
        '<testcase name="slow" classname="slow" status="disabled"><properties/></testcase>',
        '<testcase name="a" classname="A" status="notrun" result="suppressed"/>',
        '<testcase name="a" classname="A" status="run" result="skipped"/>',
        '<testcase name="a" classname="A" status="RUN" result="SKIPPED"><skipped message="no database"/></testcase>',
        '<testcase name="a" classname="A" status="NotRun"/>',
        '<testcase name="a" classname="A" status="not run"/>',
        '<testcase name="a" classname="A" result="skip"/>',
        '<testcase name="a" classname="a.bats"><skipped>not on this machine</skipped></testcase>',
        '<testcase name="a" classname="a"><skipped type="pytest.xfail" message=""/></testcase>',
    ],
)
def test_a_skipped_case_did_not_run(case: str) -> None:
    """By a child, by `status` or by `result`, in any letters; alone it is no data."""
    assert judge_junit(report(case)).outcome == "no_data"
    found = judge_junit(report(PASSED, case))
    assert (found.outcome, found.executed, found.skipped) == ("passed", 1, 1)


@pytest.mark.parametrize(
    "case",
    [
        '<testcase name="a" status="fail"/>',
        '<testcase name="a" result="Failed"/>',
        '<testcase name="a" status="run" result="interrupted"/>',
        '<testcase name="a"><failure/><rerunFailure/></testcase>',
        '<testcase name="a"><flakyFailure/><failure/></testcase>',
        '<testcase name="a"><skipped/><error/></testcase>',
        '<testcase name="a" status="run" result="skipped"><failure/></testcase>',
    ],
)
def test_a_failure_counts_however_it_is_written(case: str) -> None:
    """As a child or as a word; a skip or a healed run beside it changes nothing."""
    found = judge_junit(report(PASSED, case))
    assert (found.outcome, found.names) == ("failed", ("a",))


@pytest.mark.parametrize(
    ("suites", "outcome", "words"),
    [
        (report(FLAKY, PASSED, attributes='tests="3" failures="1"'), "passed", "2 of 2 tests ran, none failed, 1 flaky"),
        (report(FLAKY.replace("Failure", "Error"), attributes='errors="1"'), "passed", "1 flaky"),
        (report(FLAKY.replace("/></", "/><flakyFailure/></"), attributes='failures="2"'), "passed", "1 flaky"),
        (report(FLAKY, attributes='failures="0"'), "passed", "1 flaky"),
        (report(FLAKY, attributes='failures="2"'), "failed", "counts 1 failed tests that it does not list"),
        (report(f'<testsuite>{FLAKY}</testsuite><testsuite failures="1">{PASSED}</testsuite>'), "failed", "counts 1 failed"),
        (report(f'<testsuite failures="1">{FLAKY}</testsuite>', attributes='failures="1"'), "passed", "1 flaky"),
    ],
)
def test_a_healed_failure_explains_a_total_of_its_own_suite_alone(suites: bytes, outcome: str, words: str) -> None:
    """Surefire and nextest count what a rerun healed; a total beyond that is still a warning sign."""
    found = judge_junit(suites)
    assert found.outcome == outcome
    assert words in found.reason


@pytest.mark.parametrize(
    "never", ["1970-01-01T01:00:00.000", "1969-12-31T16:00:00", "0001-01-01T00:00:00Z", "1601-01-01T00:00:00Z", "1899-12-30"]
)
def test_a_date_that_means_never_is_not_one(never: str) -> None:
    """The other suites set the age, or the file does where there are none."""
    ran, fresh = f'<testsuite timestamp="{never}">{PASSED}</testsuite>', f'<testsuite timestamp="2026-01-01T11:00:00">{PASSED}</testsuite>'
    assert judge_junit(report(ran, fresh), max_age_hours=24, now=NOON).outcome == "passed"
    assert judge_junit(report(ran), max_age_hours=24, now=NOON, written_at=NOON - 3_600).outcome == "passed"
    assert judge_junit(report(ran), max_age_hours=24, now=NOON, written_at=NOON - 90_000).outcome == "failed"


def test_a_suite_in_which_nothing_ran_does_not_count_for_the_age() -> None:
    """An old date beside skipped cases is not that of a test; one beside a case that ran is."""
    old = '<testsuite timestamp="2025-01-01T11:00:00">{}</testsuite><testsuite timestamp="2026-01-01T11:00:00">' + PASSED + "</testsuite>"
    skipped = '<testcase name="x"><skipped/></testcase>'
    assert judge_junit(report(old.format(skipped)), max_age_hours=24, now=NOON).outcome == "passed"
    assert judge_junit(report(old.format(PASSED)), max_age_hours=24, now=NOON).outcome == "failed"


@pytest.mark.parametrize(
    "text",
    ["\x1b[31mno\x1b[0m", "\0", "\x08\x0c", "\ufffe", "&#27;[1m", "&#x1B;", "&#0;", "&#xD800;", "&#xFFFF;", "&#x110000;"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["<system-out>{}</system-out>", "<system-out><![CDATA[{}]]></system-out>", '<system-out at="{}"/>'])
def test_characters_that_xml_forbids_are_read_over(text: str, place: str) -> None:
    """Captured output holds what a program wrote to a terminal; the cases around it still count."""
    found = judge_junit(report(PASSED, place.format(text), '<testcase name="bad"><failure/></testcase>'))
    assert (found.executed, found.failed) == (2, 1)


def test_a_forbidden_character_does_not_hide_a_failure() -> None:
    """In a tag it leaves the report broken; split over two pieces a reference is still one."""
    assert judge_junit(b'<testsuite><testcase name="a"/><testcase name="b"><fail\x1bure/></testcase></testsuite>').outcome != "passed"
    for filler in range(65_400, 65_560):
        assert judge_junit(report(PASSED, f"<p>{'x' * filler}&#27;&lt;</p>")).outcome == "passed", filler


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (b'<?xml version="1.0" encoding="UTF-8"?><testsuite><testcase name="caf\xe9"/></testsuite>', "passed"),
        (b'<?xml version="1.0" encoding="utf-16"?><testsuite><testcase name="a"/></testsuite>', "passed"),
        ('<?xml version="1.0" encoding="utf-16"?><testsuite><testcase name="ä"/></testsuite>'.encode("utf-16"), "passed"),
        ('<?xml version="1.0" encoding="UTF-8"?><testsuite><testcase name="ä"/></testsuite>'.encode("utf-16-le"), "passed"),
        ('<?xml version="1.0" encoding="Windows-1252"?><testsuite><testcase name="“ä”"/></testsuite>'.encode("cp1252"), "passed"),
        ('<?xml version="1.0" encoding="shift_jis"?><testsuite><testcase name="試験"/></testsuite>'.encode("shift_jis"), "passed"),
        (b'\xef\xbb\xbf\n <?xml version="1.0"?><testsuite><testcase name="a"/></testsuite>', "passed"),
        (b'<?xml version="1.0" encoding="zip"?><testsuite><testcase name="a"/></testsuite>', "error"),
        (b'<?xml version="1.0" encoding="unicode_escape"?><testsuite><testcase name="a"/></testsuite>', "error"),
    ],
)
def test_an_encoding_may_lie(data: bytes, outcome: str) -> None:
    """The bytes decide where they can; an encoding that no file has is named."""
    assert judge_junit(data).outcome == outcome


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<a/>" * 1_100, "more than 1,000 elements"),
        ('<a b="1"/>' * 600, "more than 1,000 elements"),
        (f'<testcase name="{"x" * 300_000}"/>', "longer than"),
        (f"<!--{'x' * 300_000}-->", "longer than"),
    ],
)
def test_a_report_is_bounded_in_its_pieces(monkeypatch: pytest.MonkeyPatch, inside: str, words: str) -> None:
    """More elements, or a tag that a parser reads again and again, are refused with what to change."""
    monkeypatch.setattr(junit, "MAX_PIECES", 1_000)
    monkeypatch.setattr(junit, "MAX_TOKEN_BYTES", 100_000)
    found = judge_junit(report(PASSED, inside))
    assert found.outcome == "error"
    assert words in found.reason


def test_reading_ends_when_it_is_late() -> None:
    """Between two pieces of the file, the reader asks for the time."""
    asked = itertools.count()
    found = judge_junit(report(PASSED, "<p>x</p>" * 100_000), is_late=lambda: next(asked) >= 2)
    assert found.outcome == "error"
    assert "takes too long" in found.reason
    assert next(asked) == 3
