"""Which error lines are new."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.outside_text import OutsideText, outside
from blocks.secret_text import mask_text
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.verification.log_lines import MOST_KINDS, ErrorSearch, NewErrors, hash_of, judge_logs, kind_of

PATTERN = r"\b(ERROR|CRITICAL)\b"
LINES = st.lists(
    st.builds("{} {} {}".format, st.sampled_from(["INFO", "ERROR"]), st.sampled_from(["disk full", "timeout", "lost"]), st.integers(0, 99)),
    max_size=20,
)


SECRETS = frozenset({"s3cr3t-token-abcdef", "postgres://u:passw0rd123@h/db", "hunter2hunter2", "AKIA1234567890ABCD"})


def letters(number: int) -> str:
    """Write a number as a word, so that lines are of different kinds."""
    return "".join(chr(97 + int(digit)) for digit in str(number))


def new_error_kinds(canary: Iterable[str], baseline: Iterable[str], *, pattern: str) -> list[tuple[str, int, OutsideText]]:
    """Search two logs."""
    search = ErrorSearch(pattern, canary="1.1", baseline="1.0")
    for version, lines in (("1.1", canary), ("1.0", baseline)):
        for line in lines:
            search.take(version, line)
    assert search.found().fault == ""
    return search.found().kinds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ERROR took 12 ms", "ERROR took 9000 ms"),
        ("ERROR user 'anna' unknown", "ERROR user 'ben o' unknown"),
        ('ERROR no "a.txt"', 'ERROR no "b.txt"'),
        ("ERROR request 6f1e2d3c4b5a failed", "ERROR request DEADBEEF failed"),
        ("ERROR at 2026-01-01T10:00:00Z\n", "ERROR at 2027-12-31T23:59:59Z"),
    ],
)
def test_lines_of_one_cause_are_one_kind(one: str, other: str) -> None:
    """Numbers, ids and quoted texts do not make a line new."""
    assert kind_of(one) == kind_of(other)
    assert "#" in kind_of(one)


def test_lines_of_two_causes_are_two_kinds() -> None:
    """Words tell causes apart."""
    assert kind_of("ERROR disk full 7") != kind_of("ERROR out of memory 7")


def test_only_what_the_baseline_never_logged_is_new() -> None:
    """The old version's errors are known; lines without the pattern do not count; one example is kept."""
    canary = ["ERROR timeout 3", "ERROR lost order 17", "INFO lost order 18", "ERROR lost order 19", "CRITICAL boom"]
    found = new_error_kinds(canary, ["ERROR timeout 99", "lost order"], pattern=PATTERN)
    assert found == [("ERROR lost order #", 2, "ERROR lost order 17"), ("CRITICAL boom", 1, "CRITICAL boom")]


@pytest.mark.parametrize("line", ["\x1b[31mERROR\x1b[0m lost", "\x1b[1;31mERR\x1b[4mOR\x1b[0m lost", "\x9b31mERROR\x9b0m lost"])
def test_a_coloured_error_is_an_error_of_the_same_kind(line: str) -> None:
    """Colours neither hide an error nor make a known one new."""
    assert new_error_kinds([line], [], pattern=PATTERN) == [("ERROR lost", 1, "ERROR lost")]
    assert new_error_kinds([line], ["ERROR lost"], pattern=PATTERN) == []
    assert new_error_kinds(["ERROR lost"], [line], pattern=PATTERN) == []


def test_a_pattern_may_name_a_tab_or_a_colour() -> None:
    """A line is matched as the service wrote it, too; what is said of it is clean."""
    assert new_error_kinds(["a\tERROR\tb"], [], pattern=r"\tERROR\t") == [("a ERROR b", 1, "a ERROR b")]
    assert new_error_kinds(["\x1b[31mlost"], [], pattern=r"\x1b\[31m") == [("lost", 1, "lost")]


@given(LINES)
def test_a_version_that_logs_like_the_old_one_has_nothing_new(lines: list[str]) -> None:
    """Compared with itself no version is worse."""
    assert new_error_kinds(lines, lines, pattern=PATTERN) == []


@given(LINES, LINES)
def test_every_new_error_is_counted_once(canary: list[str], baseline: list[str]) -> None:
    """The counts add up to the error lines of unknown kinds, the most frequent first."""
    found = new_error_kinds(canary, baseline, pattern=PATTERN)
    known = {kind_of(line) for line in baseline if "ERROR" in line}
    assert sum(count for _, count, _ in found) == sum("ERROR" in line and kind_of(line) not in known for line in canary)
    assert [count for _, count, _ in found] == sorted((count for _, count, _ in found), reverse=True)


@given(st.text(max_size=2_000))
def test_a_kind_is_bounded_whatever_the_line_is(line: str) -> None:
    """A service that logs a book a line does not fill the record."""
    assert len(kind_of(line)) <= 500


@pytest.mark.parametrize("line", ["ERROR " + "'" * 100_000, 'ERROR "' + "a" * 100_000, "ERROR " + "f" * 100_000, "ERROR " + "1 " * 50_000])
def test_a_hostile_line_is_reduced_quickly(line: str) -> None:
    """No line makes the expression run away."""
    began = time.process_time()
    new_error_kinds([line] * 100, [], pattern=PATTERN)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("pattern", [r"(?i)error.*(failed|timeout)", r"(error )+!$", r"(a|aa)+$"])
def test_a_line_that_is_made_to_take_long_ends_the_search_and_is_said(pattern: str) -> None:
    """What a version logs holds its own release no longer than the search may take."""
    search, began = ErrorSearch(pattern, canary="1.1", baseline="1.0", seconds=0.3), time.monotonic()
    for line in ("error " * 10_000, "a" * 60_000 + "b"):
        search.take("1.1", line)
    assert time.monotonic() - began < 5
    assert "of 1.1 against `logs.error_pattern` takes too long" in search.found().fault
    assert judge_logs(search.found(), missing="", allowed=0, incomplete="warn")[0] is Outcome.ERROR


@pytest.mark.parametrize(
    "words", ["QUJD" * 16 + " ", "%2541\\u0041&#65; QUJDREVG 41:42 ", "a", "41 42 43 "], ids=["base64", "mixed", "plain", "hex"]
)
def test_whatever_error_lines_hold_their_search_ends_in_time_and_says_so(words: str) -> None:
    """What looks for secrets in a line counts, too, and no length costs time."""
    began, number = time.monotonic(), 0
    search = ErrorSearch("ERROR", canary="1.1", baseline="1.0", clean=lambda text: mask_text(text, SECRETS), seconds=0.2)
    while not search.take("1.1", f"ERROR {letters(number)} {words * (60_000 // len(words))}"):
        number += 1
        assert number < 5_000
    assert time.monotonic() - began < 3
    assert "the error lines of 1.1 take too long" in search.found().fault
    assert judge_logs(search.found(), missing="", allowed=10_000, incomplete="warn")[0] is Outcome.ERROR


def test_lines_of_one_kind_are_cleaned_once() -> None:
    """A service that logs the same error often is searched in time; what is said of it has no secret."""
    cleaned: list[str] = []

    def clean(text: str) -> str:
        cleaned.append(text)
        return text.replace("hunter2hunter2", "********")

    search = ErrorSearch("ERROR", canary="1.1", baseline="1.0", clean=clean)
    for number in range(1_000):
        search.take("1.1", f"ERROR login of hunter2hunter2 took {number} ms")
    assert search.found().kinds == [("ERROR login of ******** took # ms", 1_000, "ERROR login of ******** took 0 ms")]
    assert len(cleaned) == 1


@pytest.mark.parametrize("length", range(3_900, 4_000, 9))
def test_no_half_of_a_secret_is_left_where_a_long_line_is_cut(length: int) -> None:
    """Even if what stands before it becomes short, as digits in which a secret is."""
    secret = "correct-horse-battery-staple"
    digits = base64.b64encode((secret * 200).encode()).decode()[:length]
    search = ErrorSearch("ERROR", canary="1.1", baseline="1.0", clean=lambda text: mask_text(text, frozenset({secret})))
    search.take("1.1", f"ERROR {digits} {secret} {'y' * 5_000}")
    ((kind, _, example),) = search.found().kinds
    assert example.startswith("ERROR ********")
    assert "correct-" not in kind + example


def test_lines_of_other_versions_do_not_count() -> None:
    """Neither as the canary's nor as known."""
    search = ErrorSearch(PATTERN, canary="1.1", baseline="1.0")
    search.take("0.9", "ERROR lost")
    search.take("1.1", "ERROR lost")
    assert search.found() == NewErrors([("ERROR lost", 1, outside("ERROR lost"))], 1, "", [])


def test_a_version_that_is_the_baseline_already_has_nothing_to_be_compared_with() -> None:
    """Its errors are shown."""
    search = ErrorSearch(PATTERN, canary="1.1", baseline="1.1")
    search.take("1.1", "ERROR lost")
    assert len(search.found().kinds) == 1


def test_more_kinds_than_can_be_kept_are_said() -> None:
    """A pattern that matches everything is not an error pattern."""
    search = ErrorSearch("x", canary="1.1", baseline=None)
    for number in range(MOST_KINDS + 1):
        search.take("1.1", "x" + letters(number))
    assert "more than 10,000 kinds" in search.found().fault


@pytest.mark.parametrize(
    ("kinds", "fault", "missing", "incomplete", "expected"),
    [
        (0, "", "", "fail", Outcome.PASSED),
        (0, "", "the first lines are lost", "fail", Outcome.NO_DATA),
        (0, "", "the first lines are lost", "warn", Outcome.PASSED),
        (2, "", "the first lines are lost", "fail", Outcome.FAILED),
        (0, "it takes too long", "", "warn", Outcome.ERROR),
        (2, "it takes too long", "", "fail", Outcome.FAILED),
        (1, "", "", "fail", Outcome.PASSED),
    ],
)
def test_a_log_of_which_lines_are_missing_is_no_data(kinds: int, fault: str, missing: str, incomplete: str, expected: Outcome) -> None:
    """Unless the plan says that it is enough to say so; what was found fails all the same."""
    found = NewErrors([(f"ERROR {n}", 1, outside("ERROR")) for n in range(kinds)], 7, fault, [])
    outcome, reason, judged = judge_logs(found, missing=missing, allowed=1, incomplete=incomplete)
    assert judged
    assert outcome is expected
    assert (missing or fault) in reason
    assert "in 7 lines, 1 allowed" in reason


@pytest.mark.parametrize(("incomplete", "expected"), [("warn", (Outcome.PASSED, False)), ("fail", (Outcome.NO_DATA, True))])
def test_a_log_of_which_no_line_was_read_is_not_judged(incomplete: str, expected: tuple[Outcome, bool]) -> None:
    """As of a platform that has none: it stops no release unless the plan says so, and is not said to have passed."""
    outcome, reason, judged = judge_logs(NewErrors([], 0, "", []), missing="scripts have none", allowed=0, incomplete=incomplete)
    assert ((outcome, judged), reason) == (expected, "no line was read: scripts have none")


def test_what_the_baseline_logged_before_it_was_retired_is_known_later() -> None:
    """Its pods are gone by then; kinds that it logs again are known once."""
    before = ErrorSearch(PATTERN, canary="1.1", baseline="1.0")
    for version, line in (("1.0", "ERROR cache 7 away"), ("1.0", "ERROR lost"), ("1.1", "ERROR new")):
        before.take(version, line)
    after = ErrorSearch(PATTERN, canary="1.1", baseline="1.0", known=before.found().known)
    for version, line in (("1.1", "ERROR cache 8 away"), ("1.1", "ERROR other"), ("1.0", "ERROR lost")):
        after.take(version, line)
    assert [kind for kind, _, _ in after.found().kinds] == ["ERROR other"]
    assert after.found().known == [hash_of("ERROR cache # away"), hash_of("ERROR lost")]


def test_all_kinds_of_a_baseline_are_known_later_however_many() -> None:
    """They are kept as hashes; cut to some hundreds, its rarer kinds counted as new where its pods were gone."""
    words = [letters(number) for number in range(3_000)]
    before = ErrorSearch("ERROR", canary="1.1", baseline="1.0")
    for word in words:
        before.take("1.0", f"ERROR {word}")
    after = ErrorSearch("ERROR", canary="1.1", baseline="1.0", known=before.found().known)
    for word in words:
        after.take("1.1", f"ERROR {word}")
    assert after.found().kinds == []


@pytest.mark.parametrize(
    ("in_part", "kinds", "incomplete", "expected"),
    [
        ("", 2, "warn", Outcome.FAILED),
        ("its log was turned over", 2, "warn", Outcome.PASSED),
        ("its log was turned over", 2, "fail", Outcome.NO_DATA),
        ("its log was turned over", 1, "fail", Outcome.PASSED),
    ],
)
def test_kinds_are_new_only_beside_a_baseline_that_is_known(in_part: str, kinds: int, incomplete: str, expected: Outcome) -> None:
    """Else a good version failed for lines that its baseline logged, too; the reason says what is not known."""
    found = NewErrors([(f"ERROR {number}", 1, outside("ERROR")) for number in range(kinds)], 10, "", [], in_part)
    outcome, reason, _ = judge_logs(found, missing="", allowed=1, incomplete=incomplete)
    assert outcome is expected
    assert ("known in part: its log was turned over" in reason) == (kinds > 1 and bool(in_part))


@pytest.mark.parametrize(
    ("baseline", "in_part"), [(None, "there is not a version before 1.1"), ("1.1", "there is not a version before 1.1"), ("1.0", "")]
)
def test_a_version_without_one_before_it_is_compared_with_nothing(baseline: str | None, in_part: str) -> None:
    """As the first of a service, or one that a target runs already."""
    search = ErrorSearch(PATTERN, canary="1.1", baseline=baseline)
    search.take("1.1", "ERROR new")
    assert search.found().in_part.startswith(in_part)
    assert bool(search.found().in_part) == bool(in_part)


def test_a_baseline_whose_log_takes_too_long_or_has_too_many_kinds_fails_no_canary() -> None:
    """It is known as far as it was read."""
    slow = ErrorSearch(r"(a|aa)+$", canary="1.1", baseline="1.0", seconds=0.2)
    slow.take("1.0", "a" * 60_000 + "b")
    slow.take("1.1", "fine")
    assert (slow.found().fault, slow.found().lines) == ("", 1)
    assert "takes too long" in slow.found().in_part
    many = ErrorSearch("x", canary="1.1", baseline="1.0")
    for number in range(MOST_KINDS + 1):
        many.take("1.0", "x" + letters(number))
    assert (many.found().fault, len(many.found().known)) == ("", MOST_KINDS)
    assert many.found().in_part
