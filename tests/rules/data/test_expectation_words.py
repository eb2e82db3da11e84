"""What great-expectations found becomes an outcome and a sentence with numbers."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.rules.data.expectation_words import in_words, judge_findings, without_values
from tasks.rules.data.jobs import Job, secrets_in_url


def found(kind: str, *, success: Any = True, severity: str = "critical", result: Any = None, info: Any = None, **kwargs: Any) -> Any:
    """Make a finding as great-expectations gives it."""
    description = kwargs.pop("description", None)
    config = {"type": kind, "kwargs": kwargs, "severity": severity, "description": description}
    return {"success": success, "expectation_config": config, "result": result or {}, "exception_info": info or {"raised_exception": False}}


NULLS = found("expect_column_values_to_not_be_null", success=False, column="author", result={"element_count": 120, "unexpected_count": 3})
LATE = found("expect_column_max_to_be_between", success=False, column="id", max_value=50.0, result={"observed_value": 120})
RANGE = "expect_column_values_to_be_between"
VOID = found(RANGE, column="written", result={"element_count": 3, "missing_count": 3, "unexpected_count": 0})
UNMET = found(RANGE, column="written", result={"element_count": 0, "missing_count": 0, "unexpected_count": 0})
ROWS = found("expect_table_row_count_to_be_between", min_value=0, result={"observed_value": 0})


@pytest.mark.parametrize(
    ("findings", "rows", "outcome", "said"),
    [
        ([ROWS], 5, "passed", "1 of 1 expectations hold for 5 rows"),
        ([ROWS, NULLS], 120, "failed", "3 of 120 rows have author NULL (column author, expect_column_values_to_not_be_null)"),
        ([LATE], 120, "failed", "found 120, expected at most 50 (column id, expect_column_max_to_be_between)"),
        ([found("expect_column_to_exist", column="a")], 0, "no_data", "no rows"),
        ([found("expect_table_row_count_to_be_between", max_value=9)], 0, "no_data", "no rows"),
        ([ROWS], 0, "passed", "0 rows"),
        ([found("expect_table_row_count_to_equal", value=0)], 0, "passed", "0 rows"),
        ([NULLS | {"success": None}], 120, "error", "its result is neither success nor failure"),
        ([NULLS | {"exception_info": {"raised_exception": True, "exception_message": "no column"}}], 120, "error", "no column"),
        ([NULLS | {"exception_info": {"a metric": {"raised_exception": True, "exception_message": "no column"}}}], 9, "error", "no column"),
        ([], 120, "error", "nothing was validated"),
        ([ROWS], None, "error", "were not counted"),
        ([ROWS, VOID], 3, "no_data", "every value is NULL, so nothing was validated (column written, expect_column_values_to_be_between)"),
        ([ROWS, UNMET], 3, "no_data", "its condition leaves no row, so nothing was validated"),
        ([ROWS, UNMET], 0, "passed", "0 rows"),
        ([VOID, NULLS], 120, "failed", "3 of 120 rows"),
        ([found(RANGE, column="written", result={"element_count": 3, "missing_count": 2})], 3, "passed", "1 of 1"),
        ([found(RANGE, column="written", severity="warning", result={"element_count": 3, "missing_count": 3})], 3, "passed", "1 of 1"),
        ([found("expect_column_values_to_be_null", column="a", result={"element_count": 3})], 3, "passed", "1 of 1"),
    ],
)
def test_findings_become_one_outcome(findings: list[Any], rows: int | None, outcome: str, said: str) -> None:
    """What could not be judged, and a table without rows, are never a pass."""
    judged = judge_findings(findings, rows=rows)
    assert judged[0] == outcome
    assert said in judged[1]


@pytest.mark.parametrize("severity", ["warning", "info"])
def test_what_does_not_decide_is_told(severity: str) -> None:
    """A warning is in the reason of a pass."""
    mild = found("expect_column_max_to_be_between", success=False, severity=severity, column="id", max_value=50)
    outcome, reason = judge_findings([ROWS, mild], rows=120)
    assert outcome == "passed"
    assert "1 that do not decide" in reason


def test_a_severity_that_no_one_knows_decides() -> None:
    """Fail closed."""
    assert judge_findings([NULLS | {"expectation_config": {"type": "x", "severity": "mild"}}], rows=1)[0] == "failed"


def test_the_suite_s_own_words_are_used() -> None:
    """A description says more than a type."""
    told = in_words(LATE | {"expectation_config": {**LATE["expectation_config"], "description": "Ids are small"}})
    assert told == "found 120: Ids are small (column id, expect_column_max_to_be_between)"


def test_values_of_the_data_are_taken_out() -> None:
    """Counts stay; names of columns stay; what stands in the rows goes."""
    result = {
        "unexpected_count": 1,
        "partial_unexpected_list": ["ada"],
        "details": {"value_counts": [["ada", 1]]},
        "observed_value": ["ada"],
    }
    bare = without_values(found("expect_column_distinct_values_to_be_in_set", success=False, result=result))
    assert "ada" not in str(bare)
    assert bare["result"]["unexpected_count"] == 1
    columns = found("expect_table_columns_to_match_set", success=False, result={"observed_value": ["id", "name"]})
    assert without_values(columns)["result"]["observed_value"] == ["id", "name"]


GX = "great_expectations.exceptions.exceptions"
QUOTED = "Could not convert '4111 1111 1111 1111' to numeric"
NO_TABLE = "no such table: visitors"
SQL = "[SQL: SELECT author FROM entries]"
HIDDEN = ", whose text may quote values (show_values: false)"


@pytest.mark.parametrize(
    ("raised", "message", "said"),
    [
        ([f"TypeError: {QUOTED}", f"{GX}.MetricResolutionError: {QUOTED}"], QUOTED, f"TypeError{HIDDEN}"),
        (["pyarrow.lib.ArrowInvalid: 4111"], "4111", f"ArrowInvalid{HIDDEN}"),
        (["TypeError: a\nsqlalchemy.exc.OperationalError: 4111"], "4111", f"TypeError{HIDDEN}"),
        (["psycopg.errors.InvalidDatetimeFormat: 4111", "sqlalchemy.exc.DataError: 4111"], "4111", f"InvalidDatetimeFormat{HIDDEN}"),
        (["psycopg.errors.RaiseException: 4111", "sqlalchemy.exc.InternalError: 4111"], "4111", f"RaiseException{HIDDEN}"),
        (["psycopg.errors.UndefinedColumn: x\nDETAIL:  4111", "sqlalchemy.exc.ProgrammingError: x"], f"no x\nDETAIL:  4111\n{SQL}", "no x"),
        (["sqlite3.OperationalError: a", "sqlalchemy.exc.OperationalError: a"], f"{NO_TABLE}\n{SQL}", NO_TABLE),
        ([f"{GX}.InvalidMetricAccessorDomainKwargsKeyError: Error"], 'The column "a" does not exist', 'The column "a" does not exist'),
        ([], "4111", f"an exception{HIDDEN}"),
    ],
)
def test_of_an_exception_that_may_quote_a_value_the_type_alone_is_said(raised: list[str], message: str, said: str) -> None:
    """Whatever is behind it: pandas and databases name the value that they cannot convert."""
    trace = "\n\nDuring that:\n\n".join(f"Traceback (most recent call last):\n  a line\n{one}\n" for one in raised)
    info = {"a metric of 4111": {"raised_exception": True, "exception_message": message, "exception_traceback": trace}}
    bare = without_values(found("expect_column_mean_to_be_between", success=False, info=info))
    assert "4111" not in str(bare)
    assert bare["exception_info"]["exception_message"] == said


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("postgresql://me:p%40ss&word@host/db", ["p%40ss&word", "p@ss&word", "p@ss&amp;word"]),
        ("mssql+pyodbc://host/db?password=geheim1&x=1", ["geheim1"]),
        ("postgresql://[broken:hush", ["postgresql://[broken:hush"]),
    ],
)
def test_an_address_s_secrets_are_known_in_every_spelling(url: str, secret: list[str]) -> None:
    """As written, as decoded, as HTML."""
    assert {url, *secret} <= set(secrets_in_url(url))


def test_files_that_are_not_there_are_no_data() -> None:
    """And a job that no one judged is an error."""
    job = Job(name="a", title="A", timeout_seconds=1)
    assert job.over({"csv": []}, {}, show=False).found()["outcome"] == "no_data"
    assert job.found()["outcome"] == "error"
