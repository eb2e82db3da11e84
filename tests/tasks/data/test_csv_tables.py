"""CSV files as pandas, Excel and csvkit write them, judged by the real great-expectations; and pages that hold no HTML of the data's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tasks.data.csv_tables import JobError, read_csv
from tasks.data.expectations import judge_tables
from tests.tasks.data.test_expectations import job

ORDERS = """code,country,price,paid,version,count
0042,NA,2.50,true,1.9,1
042,,10.00,false,1.90,
42,None,9.75,true,2.0,30
420,null,100.00,TRUE,2.00,4
"""
HOSTILE = '<meta http-equiv="refresh" content="0;url=//evil">'
ASKED: list[tuple[str, str, dict[str, Any], str]] = [
    ("codes-differ", "column_values_to_be_unique", {"column": "code"}, "passed"),
    ("codes-as-numbers", "column_values_to_be_between", {"column": "code", "min_value": 42, "max_value": 420}, "passed"),
    ("codes-by-shape", "column_values_to_match_regex", {"column": "code", "regex": "^[0-9]{4}$"}, "failed"),
    ("versions-differ", "column_values_to_be_unique", {"column": "version"}, "passed"),
    ("a-country-is-missing", "column_values_to_not_be_null", {"column": "country"}, "failed"),
    ("words-are-values", "column_values_to_be_in_set", {"column": "country", "value_set": ["NA", "None", "null"]}, "passed"),
    ("words-are-judged", "column_values_to_be_in_set", {"column": "country", "value_set": ["NA"]}, "failed"),
    ("prices", "column_sum_to_be_between", {"column": "price", "min_value": 122.25, "max_value": 122.25}, "passed"),
    ("prices-two-digits", "column_values_to_match_regex", {"column": "price", "regex": r"^\d+\.\d\d$"}, "passed"),
    ("price-above-count", "column_pair_values_a_to_be_greater_than_b", {"column_A": "price", "column_B": "count"}, "failed"),
    ("counts", "column_max_to_be_between", {"column": "count", "max_value": 30}, "passed"),
    ("counts-by-words", "column_values_to_be_in_set", {"column": "count", "value_set": ["1", "30", "4"]}, "passed"),
    ("paid", "column_values_to_be_in_set", {"column": "paid", "value_set": [True, False]}, "passed"),
    ("countries-as-numbers", "column_values_to_be_between", {"column": "country", "min_value": 1}, "error"),
    ("with-a-condition", "column_values_to_match_regex",
     {"column": "code", "regex": "^0", "row_condition": "count == 1", "condition_parser": "pandas"}, "passed"),
]  # fmt: skip


@pytest.mark.faults
async def test_what_stands_in_a_csv_is_judged(tmp_path: Path) -> None:
    """Each expectation reads text or numbers as it asks; the page lists all of a suite in its order, and no value is HTML."""
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "hostile.csv").write_text(f"name\n{HOSTILE.replace(chr(34), chr(39))}\n<b>x</b>&amp;\n")
    source, hostile = ({"csv": [str(tmp_path / name)], "max_rows": 10} for name in ("orders.csv", "hostile.csv"))
    each = [{"type": f"expect_{name}", "kwargs": kwargs} for _, name, kwargs, _ in ASKED]
    jobs = [job(asked[0], source, one) for asked, one in zip(ASKED, each, strict=True)]
    together = job("together", source, *[one for asked, one in zip(ASKED, each, strict=True) if asked[3] != "error"])
    never = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "name", "value_set": [HOSTILE]}, "description": HOSTILE}
    most = {"type": "expect_column_most_common_value_to_be_in_set", "kwargs": {"column": "name", "value_set": ["<i>"]}, "notes": HOSTILE}
    none = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": HOSTILE}}
    attacks = job("attacks", hostile, never, most, none, show=True)
    *judged, joined, attacked = await judge_tables.fn([*jobs, together, attacks], release="r1", storage=tmp_path)
    told = {asked[0]: found["outcome"] for asked, found in zip(ASKED, judged, strict=True)}
    assert told == {asked[0]: asked[3] for asked in ASKED}
    assert (joined["expectations"], joined["outcome"]) == (14, "failed")
    assert joined["failed"] == [f"expect_{asked[1]}" for asked in ASKED if asked[3] == "failed"]
    page = (tmp_path / "records" / "r1" / attacked["docs"]).read_text()
    assert "&lt;meta" in page
    assert "&lt;b&gt;x" in page
    assert not re.search(r"<(meta http-equiv=.refresh|b>x|i>)", page.replace("&amp;", "&"))


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ('"id","name"\r\n1,"a, ""b"""\r\n', [["1", 'a, "b"']]),
        ("\ufeffid,name\n1,x\n", [["1", "x"]]),
        ('id,name\n1,"two\nlines"\n\n', [["1", "two\nlines"]]),
        (",a\n0,1\n", [["0", "1"]]),
        ("id,name\n", []),
        ("id,name\n 1,NULL\n", [[" 1", "NULL"]]),
        ('id,name\n"="01"",#N/A\n', [['=01""', "#N/A"]]),
    ],
)
def test_a_csv_is_read_as_its_text(tmp_path: Path, content: str, rows: list[list[str]]) -> None:
    """Quotes, a byte order mark, Excel's line ends and pandas' nameless index are those programs', the rest is text."""
    (tmp_path / "a.csv").write_bytes(content.encode())
    assert read_csv(str(tmp_path / "a.csv"), most=10).to_numpy().tolist() == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,näme\n".encode("latin-1"), "a.csv is not UTF-8"),
        ("id,name\n1,x\n".encode("utf-16"), "a.csv is not UTF-8"),
        (b"id,name\n1,x,y\n", "Expected 2 fields in line 2, saw 3; each line has as many fields"),
        (b"id,name,id\n1,x,2\n", "column id more than once"),
    ],
)
def test_what_is_not_a_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    """Nothing is shifted, dropped or guessed: the file and the fix are named."""
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(JobError, match=said):
        read_csv(str(tmp_path / "a.csv"), most=10)
