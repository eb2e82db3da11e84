"""A plan's data suites: one source each, with the databases that its moments need."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.rules.plan.file import Problem, read_plan
from tests.rules.plan.test_file import MINIMAL

TABLE = "{name: entries, suite: data/entries.yaml, table: entries, connection: {staging: credential/s, production: credential/p}}"


def problems_of(*suites: str, extra: str = "") -> list[Problem]:
    """Read the minimal plan with data suites."""
    lines = "".join(f"  - {suite}\n" for suite in suites)
    return read_plan(f"{MINIMAL}data:\n{lines}{extra}", name="shipway.yaml")[1]


@pytest.mark.parametrize(
    "suite",
    [
        TABLE,
        "{name: a, suite: a.yaml, query: SELECT 1, connection: {staging: credential/s}, when: [staging]}",
        "{name: a, suite: a.yaml, table: public.entries, connection: {production: credential/p}, when: [production, post_deploy]}",
        "{name: a, suite: a.json, csv: exports/*.csv, max_rows: 10}",
        "{name: a, suite: a.json, parquet: exports/day.parquet, show_values: true}",
    ],
)
def test_a_suite_names_its_data(suite: str) -> None:
    """A table or query with its connection, or files."""
    assert problems_of(suite) == []


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        ("{name: a, suite: a.yaml}", "the data to validate are not named"),
        ("{name: a, suite: a.yaml, csv: a.csv, parquet: b.parquet}", "csv and parquet are both given"),
        ("{name: a, suite: a.yaml, table: t}", "does not name a database for staging and production"),
        ("{name: a, suite: a.yaml, table: t, connection: {staging: credential/s}}", "does not name a database for production"),
        ("{name: a, suite: a.yaml, csv: a.csv, connection: {staging: credential/s}}", "files do not need a connection"),
        ("{name: a, suite: a.yaml, csv: ../a.csv}", "leads out"),
        ("{name: a, suite: /a.yaml, csv: a.csv}", "is not relative to the plan's folder"),
        ("{name: a, suite: a.yaml, csv: a.csv, when: []}", "at least 1"),
        ("{name: a, suite: a.yaml, csv: a.csv, when: [staging, staging]}", "listed twice"),
        ("{name: a, suite: a.yaml, csv: a.csv, when: [verify]}", "must be"),
        ("{name: a, suite: a.yaml, table: 't; DROP TABLE t', connection: {staging: credential/s}}", "does not fit"),
        ("{name: a, suite: a.yaml, table: t, connection: {staging: 'postgresql://me:hush@host/db'}}", "does not fit"),
    ],
)
def test_a_suite_that_cannot_be_judged_is_a_problem(suite: str, said: str) -> None:
    """The check says so before anything moves."""
    found = problems_of(suite)
    assert len(found) >= 1
    assert said in " ".join(map(str, found))
    assert all(problem.fix for problem in found)


def test_two_suites_of_one_name_are_a_problem() -> None:
    """Their pages and entries would be one."""
    assert "`entries` is listed twice" in str(problems_of(TABLE, TABLE)[0])


def test_the_environment_follows_from_the_moment() -> None:
    """After a deployment production is meant."""
    plan: Any = read_plan(f"{MINIMAL}data:\n  - {TABLE}\n", name="shipway.yaml")[0]
    (suite,) = plan.data
    assert [suite.credential_at(moment) for moment in suite.when] == ["credential/s", "credential/p", "credential/p"]
