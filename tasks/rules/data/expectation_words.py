"""Results of great-expectations, in numbers for an operator, and their outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.data.exception_words import said_without_values

Found = Mapping[str, Any]
SHOWN, LONGEST = 5, 300
ROW_COUNTS = {"expect_table_row_count_to_be_between": "min_value", "expect_table_row_count_to_equal": "value"}
UNSAID = {"column", "column_A", "column_B", "column_list", "batch_id", "mostly", "row_condition", "condition_parser"}


def judge_findings(found: Sequence[Found], *, rows: int | None) -> tuple[Outcome, str]:
    """Combine the results into one outcome.

    Args:
        found: An expectation each, as great-expectations gives it: `success`, `expectation_config`, `result`, `exception_info`.
        rows: How many rows the table has; None if not counted.

    Returns:
        The outcome and its reason. What could not be judged is an `error`; a table without rows is `no_data`, unless the suite
        itself expects that it may have none; only expectations of the severity `critical` fail a suite. One of these that holds
        because there was no value to judge is `no_data` too: great-expectations calls that a success.
    """
    broken = [one for one in found if fault_of(one)]
    if broken:
        told = "; ".join(f"{name_of(one)}: {fault_of(one)}" for one in broken[:SHOWN])
        return Outcome.ERROR, f"{len(broken)} of {len(found)} expectations could not be validated: {told}"
    if not found:
        return Outcome.ERROR, "nothing was validated"
    critical = [one for one in found if one.get("success") is not True and severity_of(one) == "critical"]
    others = [one for one in found if one.get("success") is not True and severity_of(one) != "critical"]
    aside = f"; {len(others)} that do not decide: {_listed(others)}" if others else ""
    if rows == 0 and not any(_takes_none(one) for one in found):
        return Outcome.NO_DATA, "the table has no rows, and no expectation allows that"
    if rows is None:
        return Outcome.ERROR, "the rows were not counted"
    if critical:
        return Outcome.FAILED, f"{_listed(critical)}{aside}"
    empty = [one for one in found if severity_of(one) == "critical" and _judged_nothing(one)] if rows else []
    if empty:
        return Outcome.NO_DATA, "; ".join(f"{_judged_nothing(one)}, so nothing was validated ({name_of(one)})" for one in empty[:SHOWN])
    return Outcome.PASSED, f"{len(found) - len(others)} of {len(found)} expectations hold for {rows:,} rows{aside}"


def fault_of(found: Found) -> str:
    """Return why an expectation could not be validated, or "" if it was."""
    if raised := _raised(found):
        return _short(str(raised[0].get("exception_message") or "it raised an exception"))
    if not isinstance(found.get("success"), bool):
        return "its result is neither success nor failure"
    return ""


def name_of(found: Found) -> str:
    """Name an expectation: its columns and its type."""
    config = found.get("expectation_config") or {}
    kwargs = config.get("kwargs") or {}
    columns = [str(kwargs[name]) for name in ("column", "column_A", "column_B") if kwargs.get(name)] + [
        str(column) for column in kwargs.get("column_list") or ()
    ]
    kind = str(config.get("type", "an expectation"))
    return f"column {', '.join(columns)}, {kind}" if columns else kind


def severity_of(found: Found) -> str:
    """Return an expectation's severity; what is not known decides."""
    said = (found.get("expectation_config") or {}).get("severity")
    return str(said) if said in {"warning", "info"} else "critical"


def in_words(found: Found) -> str:
    """Return what an expectation found.

    Args:
        found: One that does not hold.

    Returns:
        "3 of 120 rows do not fit (column author, expect_column_values_to_not_be_null)".
    """
    result, config = found.get("result") or {}, found.get("expectation_config") or {}
    kwargs, kind = config.get("kwargs") or {}, str(config.get("type", ""))
    bad, of = result.get("unexpected_count"), result.get("element_count")
    observed = result.get("observed_value")
    wanted = _told(config)
    if isinstance(bad, int) and isinstance(of, int):
        known = {
            "expect_column_values_to_not_be_null": f"have {kwargs.get('column')} NULL",
            "expect_column_values_to_be_unique": "are doubles",
        }
        what = known.get(kind, "do not fit") + (wanted if config.get("description") or kind not in known else "")
        mostly = kwargs.get("mostly")
        some = f", {1 - mostly:.3g} of them may" if isinstance(mostly, int | float) and mostly < 1 else ""
        said = f"{bad:,} of {of:,} rows {what}{some}"
    elif observed is not None:
        said = f"found {_plain(observed)}{wanted}"
    else:
        said = f"does not hold{wanted}"
    return f"{said} ({name_of(found)})"


def _told(config: Mapping[str, Any]) -> str:
    """Return what was expected: the suite's description if it has one."""
    if config.get("description"):
        return f": {_short(str(config['description']))}"
    wanted = _wanted(config.get("kwargs") or {})
    return f", expected {wanted}" if wanted else ""


def without_values(found: Found) -> dict[str, Any]:
    """Remove the data's own values from a finding, its exceptions' texts, too; counts, numbers and names of columns stay."""
    given = found.get("result") or {}
    result: dict[str, Any] = {name: value for name, value in given.items() if value is None or isinstance(value, int | float)}
    if "observed_value" in given and "observed_value" not in result:
        about_columns = str((found.get("expectation_config") or {}).get("type", "")).startswith("expect_table_")
        result["observed_value"] = given["observed_value"] if about_columns else "not shown (show_values: false)"
    return {**found, "result": result, "exception_info": _info_without_values(found)}


def _info_without_values(found: Found) -> dict[str, Any]:
    """Give one exception in the place of all: their keys, too, have what was computed from the data."""
    if not (raised := _raised(found)):
        return {"raised_exception": False, "exception_message": "", "exception_traceback": ""}
    message, trace = (str(raised[0].get(name) or "") for name in ("exception_message", "exception_traceback"))
    return {"raised_exception": True, "exception_message": said_without_values(message, trace), "exception_traceback": ""}


def _raised(found: Found) -> list[Mapping[str, Any]]:
    info = found.get("exception_info") or {}
    several = [info] if "raised_exception" in info else [one for one in info.values() if isinstance(one, Mapping)]
    return [one for one in several if one.get("raised_exception")]


def _listed(found: Sequence[Found]) -> str:
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(in_words(one) for one in found[:SHOWN]) + more


def _judged_nothing(found: Found) -> str:
    """Return why an expectation had no value to validate; "" if it had values, or does not need any."""
    result = found.get("result") or {}
    if result.get("element_count") == 0:
        return "its condition leaves no row"
    return (
        "every value is NULL" if result.get("element_count") is not None and result.get("missing_count") == result["element_count"] else ""
    )


def _takes_none(found: Found) -> bool:
    """Return whether an expectation about the number of rows allows 0."""
    config = found.get("expectation_config") or {}
    named = (config.get("kwargs") or {}).get(ROW_COUNTS.get(str(config.get("type")), ""))
    return named == 0 and found.get("success") is True


def _wanted(kwargs: Mapping[str, Any]) -> str:
    low, high = (_number(kwargs.get(name)) for name in ("min_value", "max_value"))
    if low and high:
        return f"{low} to {high}"
    if low or high:
        return f"at least {low}" if low else f"at most {high}"
    rest = {name: value for name, value in kwargs.items() if name not in UNSAID and value is not None}
    return _short(", ".join(f"{name} {_plain(value)}" for name, value in rest.items()))


def _plain(value: Any) -> str:
    """Write a value without Python's quotes."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return _short(", ".join(_plain(one) for one in value) or "none")
    return str(value).lower() if isinstance(value, bool) else _number(value) or "any"


def _number(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, int | float) else "" if value is None else str(value)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[:LONGEST] + " …"
