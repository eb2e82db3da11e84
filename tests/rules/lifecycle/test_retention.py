"""Retention: what is removed is old by the file, and never needed or part of an open release."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.lifecycle.retention import Deployed, Item, Kind, Retention, needed_records, read_retention, why_it_stays

NOW = datetime(2026, 11, 30, tzinfo=UTC)
RULES = Retention(retention=1, records_days=400, runs_days=90, artifacts_days=60)
MOMENTS = st.none() | st.datetimes(datetime(2020, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - with a zone
KINDS = st.sampled_from(["record", "run", "artifact", "report"])


def ago(days: float) -> datetime:
    """Give a moment so many days ago."""
    return NOW - timedelta(days=days)


@pytest.mark.parametrize(
    ("kind", "days", "is_removed"),
    [
        ("record", 399, False), ("record", 401, True), ("run", 89, False), ("run", 91, True),
        ("artifact", 59, False), ("artifact", 61, True), ("report", 61, True), ("record", -1, False),
    ],
)  # fmt: skip
def test_each_kind_has_its_days(kind: Kind, days: float, *, is_removed: bool) -> None:
    """By the end of its run; one of the future is young."""
    assert (why_it_stays(Item(kind, "r1", ago(days)), RULES, now=NOW, oldest_open=None) == "") is is_removed


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (Item("record", "r1", ago(999), is_open=True), "its run is open"),
        (Item("run", "r1", ago(999), is_open=True), "its run is open"),
        (Item("record", "r1", None), "it is not known when it ended"),
        (Item("record", "r1", ago(999), needed="a rollback may need it"), "a rollback may need it"),
        (Item("run", "r1", ago(100)), "a run that is open was made before"),
    ],
)
def test_what_stays_says_why(item: Item, why: str) -> None:
    """Whatever its age."""
    assert why_it_stays(item, RULES, now=NOW, oldest_open=ago(200)).startswith(why)


@given(KINDS, MOMENTS, MOMENTS, st.booleans(), st.sampled_from(["", "needed"]), st.none() | st.integers(30, 900))
def test_nothing_of_an_open_release_is_removed(
    kind: Kind, at: datetime | None, oldest: datetime | None, is_open: bool, needed: str, days: int | None  # noqa: FBT001 - drawn
) -> None:  # fmt: skip
    """Nor what is young, needed, without a date, or of a kind that the file does not name."""
    rules = Retention(retention=1, records_days=days, runs_days=days)
    if why_it_stays(Item(kind, "r1", at, "", is_open, needed), rules, now=NOW, oldest_open=oldest):
        return
    assert days is not None
    assert at is not None
    assert at < ago(days)
    assert not is_open
    assert not needed
    assert kind == "record" or oldest is None or at < oldest


def test_the_newest_versions_of_each_place_stay_and_so_do_contracts() -> None:
    """A version that was deployed again counts by its last time."""
    known = [Deployed("shop", f"1.{number}", "production", f"r{number}", f"2026-01-0{number}") for number in range(1, 6)]
    known += [Deployed("shop", "1.1", "production", "again", "2026-01-09"), Deployed("shop", "1.0", "staging", "r0", "2025-01-01")]
    assert sorted(needed_records(known, ["r2"], versions=2)) == ["again", "r0", "r2", "r5"]


def test_the_version_that_serves_after_rollbacks_stays_whatever_was_deployed_since() -> None:
    """Versions that a rollback left do not count, and what it brought back stays, however old."""
    known = [Deployed("shop", f"1.{number}", "production", f"r{number}", f"2026-01-0{number}") for number in range(1, 8)]
    after = [one._replace(is_left=one.run in {"r5", "r6", "r7"}, is_back=one.run == "r1") for one in known]
    assert sorted(needed_records(after, [], versions=2)) == ["r1", "r3", "r4", "r6", "r7"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("retention: 1\nrecords_days: 1\n", "records_days"),
        ("retention: 1\nrecord_days: 400\n", "records_days"),
        ("retention: 2\n", "retention"),
        ("retention: 1\nruns_days: 40\nartifacts_days: 50\n", "artifacts go with their run"),
        ("", "Begin with `retention: 1`."),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(text: str, words: str) -> None:
    """A word that is not known could mean something else than `for ever`."""
    rules, problems = read_retention(text, name="retention.yaml")
    assert rules is None
    assert words in " ".join(map(str, problems))


def test_what_the_file_does_not_name_is_kept_for_ever() -> None:
    """Artifacts go with their runs."""
    rules, _ = read_retention("retention: 1\nruns_days: 40\n", name="retention.yaml")
    assert rules
    assert [rules.days(kind) for kind in ("record", "run", "artifact", "report")] == [None, 40, 40, 40]
