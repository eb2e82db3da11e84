"""Tables judged by the real great-expectations, in its own process: SQLite, PostgreSQL 15, CSV, Parquet, samples."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tasks.data import expectations
from tasks.data.expectations import judge_tables
from tasks.data.suites import known_expectations
from tasks.rules.data.expectation_words import SHOWN
from tasks.rules.data.jobs import Job
from tasks.rules.data.samples_suite import samples_job
from tasks.rules.plan.data import Samples
from tests.rules.data.test_samples_suite import watched
from tests.tasks import postgres_15

NOT_NULL = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "author"}}
ANY_ROWS = {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 0}}
PG_ENTRIES = """
CREATE TABLE public.entries (id INTEGER PRIMARY KEY, author TEXT, stars INTEGER);
CREATE SEQUENCE spoilt;
INSERT INTO entries VALUES (1, 'ada', 5), (2, NULL, 4);
"""
ENTRIES = "CREATE TABLE entries (id INTEGER PRIMARY KEY, author TEXT, stars INTEGER); CREATE TABLE visits (id INTEGER);"
Found = dict[str, Any]


def job(name: str, source: dict[str, Any], *asked: dict[str, Any], show: bool = False) -> Job:
    """Make a job that asks for authors, unless it asks for something else."""
    return Job(name=name, title=name, timeout_seconds=60).over(source, {"expectations": list(asked or (NOT_NULL,))}, show=show)


@pytest.mark.faults
def test_what_one_expectation_of_fifty_needs_is_imported_for_that_one_alone() -> None:
    """A new great-expectations that needs it at its start would take twice as long."""
    code = """
import sys
from tasks.data.expectations_process import SELDOM_USED, _Later, _postpone
for name in SELDOM_USED:
    _postpone(name)
import great_expectations
assert all(type(sys.modules[name]) is _Later for name in SELDOM_USED)
assert sys.modules["scipy.stats"].norm.cdf(0) == 0.5 and sys.modules["altair"].Chart
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def sqlite_jobs(folder: Path) -> list[Job]:
    """Ask a SQLite file in every way."""
    database = sqlite3.connect(folder / "shop.db")
    database.executescript(ENTRIES)
    database.executemany("INSERT INTO entries VALUES (?, ?, ?)", [(n, None if n % 40 == 0 else "grete", n) for n in range(120)])
    database.commit()
    database.close()
    url = SecretStr(f"sqlite:///{folder / 'shop.db'}")
    stars = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "stars", "max_value": 118}}
    return [
        job("nulls", {"url": url, "table": "entries"}),
        job("some", {"url": url, "table": "entries"}, {**NOT_NULL, "kwargs": {"column": "author", "mostly": 0.9}}, ANY_ROWS),
        job("shown", {"url": url, "table": "entries"}, stars, show=True),
        job("no-table", {"url": url, "table": "visitors"}),
        job("no-column", {"url": url, "query": "SELECT id FROM entries;"}),
        job("empty", {"url": url, "table": "visits"}, {"type": "expect_column_to_exist", "kwargs": {"column": "id"}}),
        job("may-be-empty", {"url": url, "table": "visits"}, ANY_ROWS),
        job("unknown", {"url": url, "table": "entries"}, {"type": "expect_column_values_to_be_all_right", "kwargs": {"column": "id"}}),
        job("bad-kwargs", {"url": url, "table": "entries"}, {**NOT_NULL, "kwargs": {"column": "author", "mostly": 7}}),
        job("no-address", {"url": SecretStr("hush-hush"), "table": "entries"}),
    ]


CANARY = "4111 1111 1111 1111"
ONE = {"value_set": ["a"], "regex": "^a$", "regex_list": ["^a$"], "strftime_format": "%Y", "like_pattern": "a", "type_": "int64",
       "like_pattern_list": ["a"], "type_list": ["int64"], "json_schema": {"type": "number"}, "value": 3, "min_value": 1, "max_value": 9,
       "threshold": 1, "double_sided": True, "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[1, 2]]}}  # fmt: skip


def canary_jobs(folder: Path) -> list[Job]:
    """Ask a column with canaries in its cells by each expectation of one column; so few at once that each one's fault is told."""
    (folder / "canary.csv").write_text(f"amount,who\n{CANARY},a\n7,a\nn/a {CANARY},a\n,a\n")
    asked = []
    for kind, schema in known_expectations().items():
        known = schema.get("properties", {})
        if "column" in known and kind != "expect_column_kl_divergence_to_be_less_than":
            given = {name: value for name, value in ONE.items() if name in known}
            asked.append({"type": kind, "kwargs": {"column": "amount", **given}})
    table = {"csv": [str(folder / "canary.csv")], "max_rows": 9}
    return [job(f"canary-{number}", table, *asked[number : number + SHOWN]) for number in range(0, len(asked), SHOWN)]


def file_jobs(folder: Path) -> list[Job]:
    """Ask files."""
    import pandas as pd  # noqa: PLC0415 - only this test needs it

    for number in (1, 2):
        frame = pd.DataFrame({"author": ["ada", None if number == 2 else "grace"], "stars": [1, 2]})
        frame.to_csv(folder / f"{number}.csv", index=False)
        frame.to_parquet(folder / f"{number}.parquet")
    files = {kind: [str(folder / f"{number}.{kind}") for number in (1, 2)] for kind in ("csv", "parquet")}
    (folder / "broken.parquet").write_bytes(b"PAR1")
    return [
        *(job(kind, {kind: paths, "max_rows": 4}) for kind, paths in files.items()),
        *(job(f"large-{kind}", {kind: paths, "max_rows": 3}) for kind, paths in files.items()),
        job("broken-file", {"parquet": [str(folder / "broken.parquet")], "max_rows": 3}),
    ]


def postgres_jobs(server: postgres_15.Postgres) -> list[Job]:
    """Ask PostgreSQL: tables, queries, a query that would change something, and a wrong password."""
    server.run(PG_ENTRIES)
    url, wrong = SecretStr(server.url), SecretStr(server.url.replace("15@", "16@"))
    stars = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "stars", "min_value": 4, "max_value": 5}}
    return [
        job("pg-table", {"url": url, "table": "public.entries"}),
        job("pg-query", {"url": url, "query": "SELECT stars FROM entries WHERE author IS NOT NULL"}, stars),
        job("pg-writes", {"url": url, "query": "SELECT nextval('spoilt') AS author"}),
        replace(job("pg-slow", {"url": url, "query": "SELECT pg_sleep(30)::text AS author"}), timeout_seconds=0.5),
        job("pg-stranger", {"url": wrong, "table": "entries"}),
    ]


def sample_jobs() -> list[Job]:
    """Ask samples: good ones, a hole, a shift, and each impossible row."""
    harms: dict[str, Any] = {
        "s-null": {"bad": None}, "s-negative": {"bad": -1}, "s-over": {"bad": 10**6}, "s-falls": {"bad": 0, "total": 1},
        "s-fraction": {"total": 10.5}, "s-early": {"at": 0.0}, "s-stranger": {"version": "0.9"}, "s-column": {"what": 1},
    }  # fmt: skip
    kinds = {
        "s-good": watched(),
        "s-hole": watched(hole_seconds=20),
        "s-shift": watched(canary=0.5),
        "s-one": watched(readings=1),
        "s-shown": watched(),
    }
    kinds["s-shown"]["samples"].append({"at": 0.0, "sli": "shown", "role": "canary", "version": "1.1", "bad": 3, "total": 2})
    kinds["s-shown"]["slis"].append({"name": "shown", "deciding": False})
    for name, harm in harms.items():
        kinds[name] = watched()
        last = max(kinds[name]["samples"], key=lambda row: (row["role"], row["at"]))
        last.update(harm)
    kinds["s-lost-column"] = {**watched(), "samples": [{"at": 1_001.0, "sli": "errors"}]}
    return [samples_job(found, name=name, ended_at=1_040, interval_seconds=0.5, rules=Samples()) for name, found in kinds.items()]


OUTCOMES = [
    ("nulls", "failed", "3 of 120 rows have author NULL (column author, expect_column_values_to_not_be_null)"),
    ("some", "passed", "2 of 2 expectations hold for 120 rows"),
    ("shown", "failed", "1 of 120 rows do not fit, expected at most 118"),
    ("no-table", "error", "visitors"),
    ("no-column", "error", 'The column "author" in BatchData does not exist'),
    ("empty", "no_data", "no rows"),
    ("may-be-empty", "passed", "0 rows"),
    ("unknown", "error", "expectations[0] (expect_column_values_to_be_all_right)"),
    ("bad-kwargs", "error", "expectations[0] (expect_column_values_to_not_be_null)"),
    ("no-address", "error", "the secret is not a database address"),
    ("csv", "failed", "1 of 4 rows have author NULL"),
    ("parquet", "failed", "1 of 4 rows have author NULL"),
    ("large-csv", "error", "more rows than the 3 of max_rows"),
    ("large-parquet", "error", "4 rows, more than the 3"),
    ("broken-file", "error", "Parquet file size is 4 bytes"),
    ("pg-table", "failed", "1 of 2 rows have author NULL"),
    ("pg-query", "passed", "for 1 rows"),
    ("pg-writes", "error", "read-only transaction"),
    ("pg-slow", "error", "statement timeout"),
    ("pg-stranger", "error", "password authentication failed"),
    ("s-good", "passed", "60 rows"),
    ("s-hole", "passed", "1 that do not decide: 2 of 60 rows do not fit: No gap in time: at most 15 s"),
    ("s-shown", "passed", "60 rows"),
    ("s-one", "passed", "2 rows"),
    ("s-shift", "failed", "Quantiles 0.5, 0.75 of the canary's bad share of errors"),
    ("s-null", "failed", "have bad NULL"),
    ("s-negative", "failed", "column bad, expect_column_values_to_be_between"),
    ("s-over", "failed", "No more bad requests than requests"),
    ("s-falls", "failed", "Counts never fall within a step"),
    ("s-fraction", "failed", "column total, expect_column_values_to_be_in_type_list"),
    ("s-early", "failed", "column at, expect_column_values_to_be_between"),
    ("s-stranger", "failed", "column version, expect_column_values_to_be_in_set"),
    ("s-column", "failed", "expect_table_columns_to_match_set"),
    ("s-lost-column", "failed", "expect_table_columns_to_match_set"),
]


@pytest.mark.slow
@pytest.mark.skipif(not postgres_15.PROGRAMS.exists(), reason="there is no PostgreSQL 15 on this machine: apt-get install postgresql-15")
async def test_tables_of_every_kind_are_judged(tmp_path: Path) -> None:
    """Each has its outcome and its page; no page loads anything; neither a value, by any expectation, nor an address is kept."""
    jobs = [*sqlite_jobs(tmp_path), *file_jobs(tmp_path), *sample_jobs()]
    canaries = canary_jobs(tmp_path)
    (tmp_path / "postgres").mkdir()
    with postgres_15.running(tmp_path / "postgres") as server:
        jobs += postgres_jobs(server)
        judged = await judge_tables.fn([*jobs, *canaries], release="r1", storage=tmp_path)
    check_that_no_canary_is_kept(judged[len(jobs) :], record=tmp_path / "records" / "r1")
    found = {one.name: finding for one, finding in zip(jobs, judged[: len(jobs)], strict=True)}
    told = {name: (found[name]["outcome"], said if said in found[name]["reason"] else found[name]["reason"]) for name, _, said in OUTCOMES}
    assert told == {name: (outcome, said) for name, outcome, said in OUTCOMES}
    assert set(found) == set(told)
    pages = pages_of(tmp_path / "records" / "r1", found)
    assert not [name for name, page in pages.items() if "<script" in page or "http://" in page or "https://" in page]
    assert "values must never be null" in pages["nulls"]
    assert not [name for name, page in pages.items() if "__none__" in page or "release r1" not in page]
    assert not [name for name, page in pages.items() if not re.search(r"validated 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", page)]
    assert ">119<" in pages["shown"]
    kept = str(found) + "".join(pages.values())
    assert "grete" not in kept
    secrets = {secret for one in jobs for secret in one.secrets()}
    assert len(secrets) > 5
    assert not [secret for secret in secrets if secret in kept]


def check_that_no_canary_is_kept(found: list[Found], *, record: Path) -> None:
    """Look for what stood in the cells in findings and pages, and take the pages away."""
    pages = [record / one["docs"] for one in found]
    kept = [str(found), *(page.read_text() for page in pages)]
    assert len(kept) > 7
    assert not [text for text in kept if "4111" in text]
    assert "TypeError, whose text may quote values (show_values: false)" in kept[0]
    for page in pages:
        page.unlink()


def pages_of(record: Path, found: dict[str, Found]) -> dict[str, str]:
    """Read the pages, one for each table that was judged."""
    for name, finding in found.items():
        assert finding["docs"] == ("" if finding["rows"] is None else f"data/{name}.html"), name
    pages = {path.stem: path.read_text() for path in (record / "data").iterdir()}
    assert set(pages) == {name for name, finding in found.items() if finding["docs"]}
    return pages


async def test_what_is_not_judged_in_time_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process is ended, and the table is told as not judged."""
    monkeypatch.setattr(expectations, "IMPORT_SECONDS", -59.7)
    (found,) = await judge_tables.fn([job("late", {"rows": {"author": ["ada"]}})], release="r1", storage=tmp_path)
    assert found["outcome"] == "error"
    assert "timed out" in found["reason"]


async def test_a_process_that_ends_early_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are told, without the address."""
    monkeypatch.setattr(expectations, "ORDINARY", [sys.executable, "-c", "import sys; print('lost', sys.stdin.read()); sys.exit(3)"])
    (found,) = await judge_tables.fn([job("gone", {"url": SecretStr("x://me:hush@h/d"), "table": "t"})], release="r1", storage=tmp_path)
    assert "exited with 3" in found["reason"]
    assert "lost" in found["reason"]
    assert "hush" not in found["reason"]
