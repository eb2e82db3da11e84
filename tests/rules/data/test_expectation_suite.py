"""A suite's file is read whole or refused with its place, without great-expectations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.data.suites import known_expectations
from tasks.rules.data.expectation_suite import MAX_BYTES, read_suite

EXAMPLE = Path(__file__).parents[3] / "examples" / "guestbook" / "data" / "entries.yaml"
GOOD = "name: entries\nexpectations:\n  - type: expect_column_values_to_not_be_null\n    kwargs: {column: author}\n"
BETWEEN = "expectations: [{type: expect_column_values_to_be_between, kwargs: {column: id, %s}}]"


def problems_of(text: str) -> list[str]:
    """Read a suite that is expected to be broken."""
    suite, problems = read_suite(text.encode(), name="entries.yaml", schemas=known_expectations())
    assert suite is None
    assert problems
    return problems


def test_yaml_and_json_are_read() -> None:
    """Comments in the one, the other as great-expectations writes it itself."""
    written = {"name": "x", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}, "meta": {}, "id": None}]}
    for text in (f"# why\n{GOOD}", json.dumps(written, indent=2), BETWEEN % "min_value: 1, mostly: 0.999"):
        suite, problems = read_suite(text.encode(), name="entries", schemas=known_expectations())
        assert problems == []
        assert suite is not None


def test_the_example_s_suite_is_right() -> None:
    """Whoever copies it begins with one that works."""
    suite, problems = read_suite(EXAMPLE.read_bytes(), name="entries.yaml", schemas=known_expectations())
    assert problems == []
    assert suite is not None
    assert {one.severity for one in suite.expectations} == {"critical", "warning"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a suite"),
        ("- a", "is not a suite"),
        ("name: [", "this is not YAML"),
        ("name: a\nname: b\nexpectations: []", "entries.yaml:2:1"),
        ("name: empty", "expectations: is missing"),
        ("expectations: []", "could not fail"),
        ("expectations: [{kwargs: {}}]", "expectations[0].type: is missing"),
        (GOOD.replace("not_be_null", "be_all_right"), "is not an expectation of the installed great-expectations"),
        (GOOD.replace("expect_column_values_to_not_be_null", "os.system"), "is not the name of an expectation"),
        (GOOD.replace("column:", "colum:"), "entries.yaml:4:5 expectations[0].kwargs"),
        (GOOD.replace("column: author", ""), "'column' is a required property"),
        (GOOD + "    severity: fatal", "expectations[0].severity"),
        (GOOD + "    sevrity: warning", "is unknown here"),
        (GOOD.replace("author}", "author, catch_exceptions: true}"), "is not an argument here"),
        (BETWEEN % "min_value: 1, mostly: 7", "expectations[0].kwargs.mostly"),
        (BETWEEN % "min_value: 2020-01-01", "read as a date"),
        ("a: 1\n" * MAX_BYTES, "more than 1,000,000"),
    ],
)
def test_a_broken_suite_is_refused_with_its_place(text: str, said: str) -> None:
    """A suite that cannot be read, or could not fail, is not a pass."""
    assert said in "; ".join(problems_of(text))


def test_text_that_is_not_utf8_is_refused() -> None:
    """No one guesses."""
    assert "not UTF-8" in read_suite(b"\xff\xfe", name="x", schemas={})[1][0]


def test_reading_a_suite_does_not_import_great_expectations() -> None:
    """Its five seconds are for the process that judges."""
    code = "import sys; from tasks.data import expectations_process, suites; print(len(suites.known_expectations()), *sys.modules)"
    count, *modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(count) > 50
    assert not {"great_expectations", "pandas", "sqlalchemy"} & set(modules)
