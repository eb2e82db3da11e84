"""The guestbook's own unit tests: rules and storage, without a network."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import faults
import metrics
import pages
import pytest
import store


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database with the newest schema."""
    with contextlib.closing(store.connect(str(tmp_path / "guestbook.sqlite"))) as connection:
        store.migrate(connection, store.schema_of("1.1.0"))
        yield connection


def test_the_newest_entry_comes_first(database: sqlite3.Connection) -> None:
    """Entries are listed newest first."""
    store.add(database, {"name": "ada", "text": "one"})
    store.add(database, {"name": "grace", "text": "two"})
    assert [entry["text"] for entry in store.newest(database, 20)] == ["two", "one"]


def test_a_migration_runs_once(database: sqlite3.Connection) -> None:
    """Migrating again finds the schema and changes nothing."""
    assert store.migrate(database, store.schema_of("1.1.0")) == store.schema_of("1.1.0")


def test_the_older_version_works_on_the_newer_schema(database: sqlite3.Connection) -> None:
    """1.0 neither undoes the column `place` nor trips over it."""
    assert store.migrate(database, store.schema_of("1.0.0")) == 2
    store.add(database, pages.valid_entry({"name": "ada", "text": "hello", "place": "London"}, schema=1))
    assert store.newest(database, 1)[0]["place"] == ""


@pytest.mark.parametrize("fields", [{}, {"name": "ada"}, {"name": "ada", "text": "x" * 501}, {"name": "a\x00", "text": "x"}])
def test_an_unacceptable_entry_is_refused(fields: dict[str, str]) -> None:
    """Missing, long and unprintable fields are refused."""
    with pytest.raises(pages.Invalid):
        pages.valid_entry(fields, schema=2)


def test_a_name_of_only_spaces_is_refused() -> None:
    """Spaces are not a name."""
    with pytest.raises(pages.Invalid, match="name is missing"):
        pages.valid_entry({"name": "  ", "text": "hello"}, schema=2)


def test_what_visitors_write_is_escaped() -> None:
    """Markup in an entry stays text."""
    entry = {"name": "<b>", "text": "<script>", "place": "", "written": 0.0}
    assert "<script>" not in pages.html_entry(entry)


def test_the_place_is_shown() -> None:
    """An entry shows where its visitor wrote from."""
    entry = {"name": "ada", "text": "hello", "place": "London", "written": 0.0}
    assert "ada, London" in pages.html_entry(entry)


@pytest.mark.parametrize("text", ["0", "101", "-1", "many", ""])
def test_a_limit_out_of_bounds_is_refused(text: str) -> None:
    """Only 1 to 100 entries can be asked for."""
    with pytest.raises(pages.Invalid, match="limit"):
        pages.limit_of({"limit": text})


def test_the_histogram_is_cumulative() -> None:
    """Each bucket counts all faster answers too."""
    counts = metrics.Metrics()
    for seconds in (0.001, 0.25, 3.0):
        counts.observe("/", 200, seconds)
    lines = counts.render("1.1.0").splitlines()
    assert 'guestbook_request_duration_seconds_bucket{le="0.25"} 2' in lines
    assert 'guestbook_request_duration_seconds_bucket{le="+Inf"} 3' in lines


def test_the_same_seed_draws_the_same_faults() -> None:
    """Faults can be repeated."""
    fault = faults.Faults(error_ratio=0.5, slow_ratio=0.5)
    first, second = (faults.Injector(fault, seed=7) for _ in range(2))
    assert [first.draw() for _ in range(50)] == [second.draw() for _ in range(50)]
