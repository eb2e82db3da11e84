"""CSV columns: text, unless the values convert to numbers and back exactly, or the suite requires numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Kind = Literal["text", "number", "boolean"]
View = tuple[Kind, tuple[str, ...]]
INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
NUMBER = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")
LARGEST_EXACT = 2**53  # beyond it two whole numbers share one float
LARGEST_INTEGER = 2**63 - 1
OF_TEXT = re.compile(
    r"regex|like_pattern|value_lengths|strftime|dateutil|json|values_to_be_equal|within_record|multicolumn_values_to_be_unique"
)
OF_NUMBERS = re.compile(
    r"_(mean|median|stdev|sum|quantile_values|value_z_scores|values_to_be_(in|de)creasing|a_to_be_greater|not_be_outliers)"
)
OF_VALUES = re.compile(
    r"(?<!unique_)(?<!null_)values_to_be_between|column_(max|min)_to_be_between|(distinct|column)_values_to_.*set$|most_common_value"
)
OF_TYPES = re.compile(r"values_to_be_(of_type|in_type_list)")
NAMES_OF_NUMBERS = re.compile(r"(?i)int|float|double|decimal|numeric|number")
NAMES_OF_TEXT = re.compile(r"(?i)str|object|text|char")


def read_back(texts: Iterable[str], *, has_nulls: bool) -> list[Any] | None:
    """Read a column's texts as values that convert back to the same text.

    Args:
        texts: The column's texts; NULLs are left out.
        has_nulls: Whether some were; then whole numbers must be exact as floats.

    Returns:
        Booleans (`True`, `False`), whole numbers or floats in their order; None if the column stays text: `0123`, `1.10` and `NA`.
    """
    known = list(texts)
    if known and all(text in {"True", "False"} for text in known):
        return [text == "True" for text in known]
    if not known or not all(NUMBER.fullmatch(text) for text in known):
        return None
    if all(INTEGER.fullmatch(text) for text in known):
        whole = [int(text) for text in known]
        most = LARGEST_EXACT if has_nulls else LARGEST_INTEGER
        return whole if all(str(value) == text and abs(value) <= most for value, text in zip(whole, known, strict=True)) else None
    numbers = [float(text) for text in known]
    forms = [repr(number) for number in numbers], [repr(number).removesuffix(".0") for number in numbers]
    is_exact = all(math.isfinite(number) and (number or math.copysign(1, number) > 0) for number in numbers)
    return numbers if is_exact and known in forms else None


def numbers_of(texts: Iterable[str]) -> list[float] | list[int] | None:
    """Read a column's texts as numbers, which the suite requires; None if one is not a number, such as `NA`, `1,5` and `inf`."""
    known = [text.strip() for text in texts]
    if not all(NUMBER.fullmatch(text) for text in known):
        return None
    if all(INTEGER.fullmatch(text) for text in known) and all(abs(int(text)) <= LARGEST_INTEGER for text in known):
        return [int(text) for text in known]
    return [float(text) for text in known]


def booleans_of(texts: Iterable[str]) -> list[bool] | None:
    """Read a column's texts as booleans, in any letters; None if one is neither `true` nor `false`."""
    known = [text.strip().lower() for text in texts]
    return [text == "true" for text in known] if set(known) <= {"true", "false"} else None


def view_of(expectation: Mapping[str, Any]) -> View | None:
    """Return the type in which an expectation reads its columns.

    Args:
        expectation: `type` and `kwargs`.

    Returns:
        The kind and the columns: what compares with text reads text, what compares with numbers reads numbers. None if it asks
        for neither, and takes each column as the whole suite does.
    """
    kwargs, kind = expectation.get("kwargs") or {}, _kind(str(expectation.get("type")), expectation.get("kwargs") or {})
    named = [kwargs.get(name) for name in ("column", "column_A", "column_B")]
    columns = tuple(str(name) for name in [*named, *(kwargs.get("column_list") or [])] if name is not None)
    return (kind, columns) if kind and columns else None


def declared(expectations: Sequence[Mapping[str, Any]]) -> dict[str, Kind]:
    """List the columns whose type the suite gives, by an expectation on their type; the first one counts."""
    kinds: dict[str, Kind] = {}
    for one in expectations:
        kwargs = one.get("kwargs") or {}
        if OF_TYPES.search(str(one.get("type"))) and kwargs.get("column"):
            names = [str(name) for name in kwargs.get("type_list") or [kwargs.get("type_")]]
            if all(NAMES_OF_NUMBERS.search(name) for name in names):
                kinds.setdefault(str(kwargs["column"]), "number")
            elif all(NAMES_OF_TEXT.search(name) for name in names):
                kinds.setdefault(str(kwargs["column"]), "text")
    return kinds


def _kind(name: str, kwargs: Mapping[str, Any]) -> Kind | None:
    if OF_TEXT.search(name):
        return "text"
    if OF_NUMBERS.search(name):
        return "number"
    if not OF_VALUES.search(name) or "pair_values" in name:
        return None
    values = [kwargs.get("min_value"), kwargs.get("max_value"), *(kwargs.get("value_set") or [])]
    known = [value for value in values if value is not None]
    kinds: dict[Kind, type | tuple[type, ...]] = {"boolean": bool, "text": str, "number": (int, float)}
    return next((kind for kind, types in kinds.items() if known and all(isinstance(value, types) for value in known)), None)
