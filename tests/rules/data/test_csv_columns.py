"""A CSV's text is what stands there, unless numbers write themselves back or the suite asks for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.data.csv_columns import booleans_of, declared, numbers_of, read_back, view_of


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2", "30"], [1, -2, 30]),
        (["0.5", "1.0", "1e-07"], [0.5, 1.0, 1e-07]),
        (["1", "2.5"], [1.0, 2.5]),
        (["True", "False"], [True, False]),
        (["007", "8"], None),
        (["1.10", "1.1"], None),
        (["1", "1.0", "2.5"], None),
        (["+1"], None),
        (["-0"], None),
        (["-0.0", "0.0"], None),
        (["1e400"], None),
        (["9007199254740993", "1.5"], None),
        (["99999999999999999999"], None),
        (["1,234"], None),
        (["1_000"], None),
        (["٣"], None),
        ([" 1"], None),
        (["1E5"], None),
        (["nan"], None),
        (["inf"], None),
        (["NA", "1"], None),
        (["true", "false"], None),
        (["True", "1"], None),
        ([], None),
    ],
)
def test_a_column_is_read_only_as_what_writes_itself_back(texts: list[str], values: list[Any] | None) -> None:
    """Leading zeros, trailing zeros, signs and words stay text."""
    assert read_back(texts, has_nulls=False) == values


@given(st.lists(st.one_of(st.integers(), st.floats(), st.text()).map(str), min_size=1, max_size=5), st.booleans())
def test_reading_loses_nothing(texts: list[str], has_nulls: bool) -> None:  # noqa: FBT001 - drawn
    """Two texts that differ stay different values, also as floats, which whole numbers beside a NULL become."""
    values = read_back(texts, has_nulls=has_nulls)
    if values is not None:
        assert len(set(map(float, values) if has_nulls else values)) == len(set(texts))


def test_a_suite_may_ask_for_numbers() -> None:
    """Zeros before and behind are no matter then; a word is not a number."""
    assert numbers_of(["007", " 8", "1.50", "1e3"]) == [7, 8, 1.5, 1000]
    assert numbers_of(["1", "NA"]) is None
    assert numbers_of(["inf"]) is None
    assert numbers_of(["1,5"]) is None
    assert booleans_of(["true", "FALSE"]) == [True, False]
    assert booleans_of(["yes"]) is None


@pytest.mark.parametrize(
    ("name", "kwargs", "view"),
    [
        ("column_values_to_match_regex", {"column": "a", "regex": "^1$"}, ("text", ("a",))),
        ("column_value_lengths_to_be_between", {"column": "a", "max_value": 3}, ("text", ("a",))),
        ("column_pair_values_to_be_equal", {"column_A": "a", "column_B": "b"}, ("text", ("a", "b"))),
        ("column_values_to_be_between", {"column": "a", "min_value": 1}, ("number", ("a",))),
        ("column_values_to_be_between", {"column": "a", "min_value": "2020-01-01"}, ("text", ("a",))),
        ("column_values_to_be_in_set", {"column": "a", "value_set": [1, 2]}, ("number", ("a",))),
        ("column_values_to_be_in_set", {"column": "a", "value_set": ["1", "2"]}, ("text", ("a",))),
        ("column_values_to_not_be_in_set", {"column": "a", "value_set": [True]}, ("boolean", ("a",))),
        ("column_values_to_be_in_set", {"column": "a", "value_set": [1, "NA"]}, None),
        ("column_distinct_values_to_equal_set", {"column": "a", "value_set": ["DE"]}, ("text", ("a",))),
        ("column_max_to_be_between", {"column": "a", "max_value": 3}, ("number", ("a",))),
        ("column_mean_to_be_between", {"column": "a", "max_value": 3}, ("number", ("a",))),
        ("column_values_to_be_increasing", {"column": "a"}, ("number", ("a",))),
        ("column_pair_values_a_to_be_greater_than_b", {"column_A": "a", "column_B": "b"}, ("number", ("a", "b"))),
        ("multicolumn_sum_to_equal", {"column_list": ["a", "b"], "sum_total": 3}, ("number", ("a", "b"))),
        ("column_values_to_be_unique", {"column": "a"}, None),
        ("column_unique_value_count_to_be_between", {"column": "a", "min_value": 3}, None),
        ("table_row_count_to_be_between", {"min_value": 3}, None),
    ],
)
def test_an_expectation_says_as_what_it_reads(name: str, kwargs: dict[str, Any], view: Any) -> None:
    """By what it compares with."""
    assert view_of({"type": f"expect_{name}", "kwargs": kwargs}) == view


def test_a_suite_gives_types() -> None:
    """By an expectation on the column's type; mixed lists give none."""
    of_type, in_list = "expect_column_values_to_be_of_type", "expect_column_values_to_be_in_type_list"
    suite: list[dict[str, Any]] = [
        {"type": of_type, "kwargs": {"column": "a", "type_": "int64"}},
        {"type": of_type, "kwargs": {"column": "b", "type_": "str"}},
        {"type": in_list, "kwargs": {"column": "c", "type_list": ["float64", "INTEGER"]}},
        {"type": in_list, "kwargs": {"column": "d", "type_list": ["float64", "object"]}},
    ]
    assert declared(suite) == {"a": "number", "b": "text", "c": "number"}


@pytest.mark.parametrize("what", ["unique", "non_null"])
def test_bounds_of_a_proportion_are_not_values_of_the_column(what: str) -> None:
    """`0042`, `042` and `42` are three codes, also where the suite asks for the share of those that differ."""
    asked = {"type": f"expect_column_proportion_of_{what}_values_to_be_between", "kwargs": {"column": "code", "min_value": 1.0}}
    assert view_of(asked) is None
