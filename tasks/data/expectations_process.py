"""Process that runs great-expectations: `python -m tasks.data.expectations_process` reads a job, and writes a finding a suite.

It is a separate process because the import costs seconds and hundreds of megabytes, and because a suite
cannot be interrupted otherwise. The job comes by standard input, since it holds the databases' addresses:

    {"folder": where findings and pages go, "release": its id, "suites": [a suite each]}

a suite being `{"name", "title", "timeout_seconds", "source", "suite", "show_values"}`,
with a `source` of one of `{"url", "table" or "query"}`, `{"csv" or "parquet": [files], "max_rows"}` and
`{"rows": {column: values}}`. The finding of suite 0 is `0.json`: `outcome`, `reason`, `rows`, `expectations`, `failed`, and its
page is `0.html`. Nothing that is written holds an address or its password.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
import types
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tasks.data.csv_tables import JobError, as_kind, read_csv, with_types
from tasks.data.data_docs import page_of
from tasks.rules.data.csv_columns import View, declared, view_of
from tasks.rules.data.exception_words import said_without_values
from tasks.rules.data.expectation_words import judge_findings, without_values
from tasks.rules.data.jobs import secrets_in_url
from tasks.rules.record.masking import mask

Table = Callable[[View | None], Any]
SHOWN_VALUES = 20
# Great-expectations imports these two for one expectation of fifty (a divergence and its plot), and half of its start is theirs.
SELDOM_USED = ("altair", "scipy.stats")


class _Later(types.ModuleType):
    """Lazy module, executed when an attribute is first used; `LazyLoader`'s are by the next import already.

    For a process with one thread: another would see it half initialised.
    """

    def __getattr__(self, name: str) -> Any:
        if self.__spec__ is None or self.__spec__.loader is None:
            raise AttributeError(name)
        self.__class__ = types.ModuleType  # type: ignore[assignment]
        self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def warm() -> None:
    """Import what validation needs, which takes seconds."""
    warnings.simplefilter("ignore")
    for name in SELDOM_USED:
        _postpone(name)
    for name in ("great_expectations", "great_expectations.render.renderer", "great_expectations.render.view"):
        _module(name)


def main() -> int:
    """Validate every suite of the job; one that fails to run does not block the others."""
    job = json.load(sys.stdin)
    warm()
    context = _module("great_expectations").get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = {"globally": False}
    limit: dict[str, float] = {}
    _bound_transactions(limit)
    if not all(asked["show_values"] for asked in job["suites"]):
        _be_quiet()
    for number, asked in enumerate(job["suites"]):
        limit["seconds"] = asked["timeout_seconds"]
        secrets = secrets_in_url(str(asked["source"].get("url", "")))
        try:
            found = _judge(context, asked, number=number, release=str(job.get("release", "")))
        except Exception as error:  # noqa: BLE001 - whatever went wrong, this suite was not judged, and that is said
            found = {"outcome": "error", "reason": _said(error, show_values=asked["show_values"])[:2_000]}
        folder, page = Path(job["folder"]), found.pop("page", "")
        if page:
            (folder / f"{number}.html").write_text(mask(page, secrets), encoding="utf-8")
        (folder / f"{number}.json").write_text(json.dumps(mask(found, secrets)), encoding="utf-8")
    return 0


def _be_quiet() -> None:
    """Write nothing more to standard error, whose end is shown if the process dies: libraries log what they fail on, values included."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _said(error: Exception, *, show_values: bool) -> str:
    """Say why a suite was not judged: what we say ourselves, and of other exceptions what may be said."""
    if isinstance(error, JobError):
        return " ".join(str(error).split())
    if show_values:
        return " ".join(f"{type(error).__name__}: {error}".split())
    return said_without_values(f"{type(error).__name__}: {error}", "".join(traceback.format_exception(error)))


def _postpone(name: str) -> None:
    """Let a module be imported without being executed, until it is used."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None or name in sys.modules:
        return
    module = _Later(name)
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    module.__path__ = list(spec.submodule_search_locations or ())
    sys.modules[name] = module


def _judge(context: Any, asked: dict[str, Any], *, number: int, release: str) -> dict[str, Any]:
    suite = asked["suite"]
    table = _table(context, asked["source"], suite["expectations"], name=f"{number}-{asked['name']}")
    counted = table(None).compute_metrics(_module("great_expectations.metrics.batch.row_count").BatchRowCount())
    rows = counted.value if isinstance(counted.value, int) else None
    if rows is None:
        message, trace = (str(getattr(counted.value, f"exception_{name}", None) or "") for name in ("message", "traceback"))
        raise JobError(f"the rows cannot be counted: {message if asked['show_values'] else said_without_values(message, trace)}")
    results = _validate(suite, table, name=asked["name"], views="csv" in asked["source"], shown=SHOWN_VALUES if asked["show_values"] else 0)
    for result in results.results:
        _make_plain(result, show_values=asked["show_values"])
    found = [result.to_json_dict() for result in results.results]
    outcome, reason = judge_findings(found, rows=rows)
    failed = [one["expectation_config"]["type"] for one in found if one["success"] is not True]
    told = {"outcome": outcome, "reason": reason, "rows": rows, "expectations": len(found), "failed": failed}
    try:
        return {**told, "page": page_of(results, title=asked["title"], told=told, release=release)}
    except Exception as error:  # noqa: BLE001 - a page that cannot be drawn changes nothing of what was found
        return {**told, "reason": f"{reason} (without a page, which could not be drawn: {type(error).__name__})"}


def _make_plain(result: Any, *, show_values: bool) -> None:
    """Convert numpy's values to plain ones, which great-expectations' pages need, and remove what must not be shown."""
    found = result.to_json_dict() if show_values else without_values(result.to_json_dict())
    result.success = found["success"] if found["success"] is None else bool(found["success"])
    result.result = json.loads(json.dumps(found["result"], default=str))
    result.exception_info = _without_traceback(found["exception_info"])
    if "unexpected_percent" not in result.result:
        result.result.pop("unexpected_count", None)  # not of rows; the page's own code takes it for one of rows, and fails


def _validate(asked: dict[str, Any], table: Table, *, name: str, views: bool, shown: int) -> Any:
    """Validate each expectation over its view of the table, and join the results in the suite's order."""
    expected = _suite(asked, name=name).expectations  # all of them are checked before one is validated
    wanted = [view_of(one) if views else None for one in asked["expectations"]]
    found: dict[int, Any] = {}
    for view in dict.fromkeys(wanted):
        places = [place for place, one in enumerate(wanted) if one == view]
        part = _module("great_expectations").ExpectationSuite(name=asked.get("name") or name)
        part.expectations += [expected[place] for place in places]
        results = table(view).validate(part, result_format={"result_format": "SUMMARY", "partial_unexpected_count": shown})
        found |= {int(one.expectation_config.id): one for one in results.results}
    if sorted(found) != list(range(len(wanted))):
        raise JobError(f"{len(wanted)} expectations were requested, and {len(found)} results came")
    results.results = [found[place] for place in sorted(found)]
    held = sum(bool(one.success) for one in results.results)
    results.success = held == len(wanted)
    results.statistics = {
        "evaluated_expectations": len(wanted),
        "successful_expectations": held,
        "unsuccessful_expectations": len(wanted) - held,
        "success_percent": 100 * held / len(wanted),
    }
    return results


def _suite(asked: dict[str, Any], *, name: str) -> Any:
    """Build great-expectations' own suite, and raise for an expectation that it rejects."""
    configuration = _module("great_expectations.expectations.expectation_configuration").ExpectationConfiguration
    suite = _module("great_expectations").ExpectationSuite(name=asked.get("name") or name)
    for number, one in enumerate(asked["expectations"]):
        try:
            kept = {key: value for key, value in one.items() if value is not None and key != "id"}
            suite.expectations.append(configuration(**kept, id=str(number)).to_domain_obj())
        except Exception as error:
            raise JobError(f"expectations[{number}] ({one.get('type')}): {' '.join(str(error).split())}") from error
    return suite


def _table(context: Any, source: dict[str, Any], expectations: list[dict[str, Any]], *, name: str) -> Table:
    """Return a table's batch by the view of it; only a CSV has several."""
    if "url" in source:
        batch = _of_database(context, source, name=name)
        return lambda _: batch
    frame = _frame(source)
    typed = with_types(frame, declared(expectations)) if "csv" in source else frame

    @cache
    def _viewed(view: View | None) -> Any:
        kind, columns = view or ("text", ())
        shown = typed.assign(**{column: as_kind(frame[column], kind) for column in columns if column in typed})
        called = f"{name}-{kind}-{'-'.join(columns)}"
        asset = context.data_sources.add_pandas(called).add_dataframe_asset("table")
        return asset.add_batch_definition_whole_dataframe("whole").get_batch(batch_parameters={"dataframe": shown})

    return _viewed


def _of_database(context: Any, source: dict[str, Any], *, name: str) -> Any:
    database = context.data_sources.add_sql(name, connection_string=_driven(source["url"]), create_temp_table=False)
    if "query" in source:
        asset = database.add_query_asset("query", query=source["query"].strip().rstrip(";"))
        return asset.add_batch_definition_whole_table("whole").get_batch()
    schema, _, table = source["table"].rpartition(".")
    asset = database.add_table_asset(source["table"], table_name=table, schema_name=schema or None)
    return asset.add_batch_definition_whole_table("whole").get_batch()


def _driven(url: str) -> str:
    """Name the driver that is installed for PostgreSQL, and keep `$` from being read as a variable."""
    scheme, rest = url.split("://", 1) if "://" in url else (url, "")
    if not rest:
        raise JobError("the secret is not a database address; write it as SQLAlchemy does: postgresql://user:password@host/name")
    driven = "postgresql+psycopg" if scheme in {"postgresql", "postgres"} else scheme
    return f"{driven}://{rest if scheme.startswith('sqlite') else rest.replace('$', '%24')}"


def _frame(source: dict[str, Any]) -> Any:
    """Read a table into memory, within its bound."""
    pd = _module("pandas")
    if "rows" in source:
        frame = pd.DataFrame(source["rows"])
        return frame.astype(dict.fromkeys((name for name in source.get("numbers", ()) if name in frame), float))
    most = source["max_rows"]
    if "csv" in source:
        frames, read = [], 0
        for path in source["csv"]:
            frames.append(read_csv(path, most=most + 1 - read))
            read += len(frames[-1])
            if read > most:  # stop before reading more
                break
    else:
        rows = sum(_rows_of(path) for path in source["parquet"])
        frames = [pd.read_parquet(path) for path in source["parquet"]] if rows <= most else []
        if not frames:
            raise JobError(f"the files have {rows:,} rows, more than the {most:,} of max_rows")
    frame = pd.concat(frames, ignore_index=True)
    if len(frame) > most:
        raise JobError(f"the files have more rows than the {most:,} of max_rows")
    return frame


def _rows_of(path: str) -> int:
    """Count the rows of a Parquet file by its metadata, which are read before any value is."""
    try:
        return int(_module("pyarrow.parquet").ParquetFile(path).metadata.num_rows)
    except Exception as error:
        raise JobError(f"{Path(path).name} cannot be read: {error}") from error


def _bound_transactions(limit: dict[str, float]) -> None:
    """Make every transaction of this process read only, with a statement time-out, as far as the database supports it.

    A suite's query must not change anything, and must not continue in the database after this process was killed.

    Args:
        limit: `seconds` that a statement of the suite under way may take.
    """
    sqlalchemy, event = _module("sqlalchemy"), _module("sqlalchemy.event")

    def _begin(connection: Any) -> None:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(1000 * limit['seconds']))}")

    def _connect(raw: Any, _record: Any) -> None:
        if hasattr(raw, "set_authorizer"):  # only SQLite's connections have one
            raw.execute("PRAGMA query_only = ON")

    event.listen(sqlalchemy.Engine, "begin", _begin)
    event.listen(sqlalchemy.Engine, "connect", _connect)


def _module(name: str) -> Any:
    """Import late, and without types: great-expectations' own do not say what its functions take."""
    return importlib.import_module(name)


def _without_traceback(info: Any) -> Any:
    """Keep the message of an exception; its traceback does not help an operator."""
    if isinstance(info, dict):
        return {key: "" if key == "exception_traceback" else _without_traceback(value) for key, value in info.items()}
    return info


if __name__ == "__main__":
    sys.exit(main())
