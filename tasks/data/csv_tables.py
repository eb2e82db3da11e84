"""CSV files as tables: the text itself, and views of it with typed columns."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.rules.data.csv_columns import Kind, booleans_of, numbers_of, read_back


class JobError(Exception):
    """A suite's data or expectations cannot be validated; the message names why."""


def read_csv(path: str, *, most: int) -> Any:
    """Read a CSV as text; only empty fields are NULL.

    Args:
        path: The file, UTF-8, with a header line.
        most: At most this many rows are read.

    Returns:
        A frame of texts and NaN.

    Raises:
        JobError: It is not UTF-8, not a table, or names a column twice.
    """
    pd, name = importlib.import_module("pandas"), Path(path).name
    try:
        frame = pd.read_csv(path, header=None, dtype=object, keep_default_na=False, na_values=[""], nrows=most + 1, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobError(f"{name} is not UTF-8 ({error.reason} at byte {error.start:,}); save it as `CSV UTF-8`") from None
    except pd.errors.ParserError as error:
        raise JobError(
            f"{name} cannot be read: {str(error).rpartition('error:')[2].strip()}; each line has as many fields as the first"
        ) from None
    header = [f"Unnamed: {place}" if text != text else str(text) for place, text in enumerate(frame.iloc[0])]  # noqa: PLR0124 - NaN
    doubles = sorted({text for text in header if header.count(text) > 1})
    if doubles:
        raise JobError(f"{name} has the column {doubles[0]} more than once; name each column once")
    return frame.iloc[1:].set_axis(header, axis=1).reset_index(drop=True)


def with_types(frame: Any, kinds: Mapping[str, Kind]) -> Any:
    """Read the columns of a frame of texts whose type the suite gives, or whose values write themselves back."""

    def _read(column: Any) -> Any:
        if column.name in kinds:
            return as_kind(column, kinds[column.name])
        return _with_values(column, read_back(column.dropna(), has_nulls=bool(column.isna().any())))

    return frame.assign(**{name: _read(frame[name]) for name in frame})


def as_kind(column: Any, kind: Kind) -> Any:
    """Read a column of texts as the kind that is asked for; one that cannot be read so stays text."""
    if kind == "text":
        return column
    return _with_values(column, (numbers_of if kind == "number" else booleans_of)(column.dropna()))


def _with_values(column: Any, values: list[Any] | None) -> Any:
    """Put values in the place of a column's texts; NULL stays, and None leaves the texts."""
    if values is None or not values:
        return column
    read = importlib.import_module("pandas").Series(values, index=column.dropna().index)
    return read.reindex(column.index) if len(values) < len(column) else read
