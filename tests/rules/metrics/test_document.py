"""Metrics as people and programs read them, and the spans that people name."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from blocks.errors import BadInput
from tasks.rules.metrics.document import document_of, lines_of
from tasks.rules.metrics.metrics import Selection, measure
from tasks.rules.metrics.span import read_moment, read_span
from tests.rules.metrics.made import HOUR, at, released, rolled_back

DAY = 24 * HOUR
WHOLE = Selection("shop", "production", None, at(10 * DAY))
FACTS = [
    released("a", 0, commits=(("c1", -60.0),)), released("b", DAY, version="1.1", outcome="rolled_back"),
    released("c", 2 * DAY, version="1.2", outcome="refused"), rolled_back("d", 3 * DAY, bad="1.0"),
]  # fmt: skip


def test_people_read_what_the_figures_cover_and_each_figure_with_its_counts() -> None:
    """One line a metric, after what was counted; then what is in no figure."""
    assert lines_of(measure(FACTS, WHOLE, broken=1)) == [
        (
            "shop, production: 3 releases ended from 2026-11-02 00:00 to 2026-11-12 00:00 UTC (1 deployed, 1 refused, 1 rolled back); "
            "the records begin 2026-11-02 00:00."
        ),
        "success rate          50\u00a0% (1 of 2)",
        "duration              median 1 h, nine of ten within 1 h, of 1",
        "  work                median 50 min, nine of ten within 50 min, of 1",
        "  wait for people     median 10 min, nine of ten within 10 min, of 1",
        "  wait for windows    median 0 s, nine of ten within 0 s, of 1",
        "  wait for the lock   median 0 s, nine of ten within 0 s, of 1",
        "deployment frequency  0.2 a day: 2 in 10 days",
        "change fail rate      100\u00a0% (2 of 2); 1 found by their own release",
        "recovery time         median 5 min, nine of ten within 5 min, of 2",
        "lead time             median 1 h 50 min, nine of ten within 1 h 50 min, of 1 commits",
        "rework rate           0\u00a0% (0 of 2)",
        "health after          100\u00a0% (1 of 1 checks)",
        "errors after          0.1\u00a0% (1 of 1,000 requests)",
        "alerts                deployment failed 1, rolled back 2, refused 1, deployed 1, approval waiting 2",
        "In no figure: 1 refused, 1 with a record that cannot be trusted.",
    ]


def test_where_there_is_nothing_people_read_no_data_and_programs_null() -> None:
    """Neither reads 0 or 100 %."""
    empty = measure([], WHOLE)
    first, *rows = lines_of(empty)
    assert first == "shop, production: no record of a release ended before 2026-11-12 00:00 UTC."
    assert {row[22:] for row in rows} == {"no data"}
    document = json.loads(json.dumps(document_of(empty), default=str))
    assert [
        name for name, value in document.items() if isinstance(value, dict) and value.get("value", value.get("median")) is not None
    ] == []
    assert document["deployments_per_day"] is None


def test_programs_read_the_same_figures_with_their_counts() -> None:
    """Ratios are from 0 to 1, durations in seconds."""
    found = document_of(measure(FACTS, WHOLE))
    assert found["success_rate"] == {"value": 0.5, "part": 1, "whole": 2}
    assert found["duration_seconds"]["people"] == {"count": 1, "median": 600, "p90": 600}
    assert found["change_fail_rate"] == {"value": 1, "part": 2, "whole": 2, "in_release": 1}
    assert (found["releases"], found["left_out"]["refused"], found["service"]) == (3, 1, "shop")


def test_of_a_service_that_no_record_names_no_count_is_zero() -> None:
    """A wrong name is not a service without releases."""
    found = document_of(measure(FACTS, Selection("shpo", "production", None, at(10 * DAY))))
    left = found["left_out"]
    assert [found["releases"], found["deployments"], left["open"], left["refused"], left["skipped"]] == [None] * 5
    assert document_of(measure(FACTS, Selection("shop", "staging", None, at(10 * DAY))))["deployments"] == 0


NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", datetime(2026, 10, 31, 12, tzinfo=UTC)),
        ("12 h", datetime(2026, 11, 30, 0, tzinfo=UTC)),
        ("4w", datetime(2026, 11, 2, 12, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01T10:00+02:00", datetime(2026, 11, 1, 8, tzinfo=UTC)),
        (None, None),
    ],
)
def test_a_moment_is_how_long_ago_it_was_or_a_time(text: str | None, moment: datetime | None) -> None:
    """In UTC where no zone is named."""
    assert read_moment(text, NOW, field="--since") == moment


def test_days_to_come_are_not_days_without_a_deployment() -> None:
    """What has ended did so before now; what was asked for may be scheduled."""
    assert read_span("2026-11-01", "2026-12-31", NOW, ended=True)[1] == NOW
    assert read_span("2026-11-01", "2026-12-31", NOW)[1] == datetime(2026, 12, 31, tzinfo=UTC)
    with pytest.raises(BadInput, match="--since"):
        read_span("2026-12-01", "2026-12-31", NOW, ended=True)


@pytest.mark.parametrize(
    ("since", "until"), [("yesterday", None), (None, "9999w x"), ("0001-01-01T00:00+14:00", None), ("1d", "2d"), ("0d", None)]
)
def test_what_is_not_a_span_is_refused_with_its_option(since: str | None, until: str | None) -> None:
    """And with what to write."""
    with pytest.raises(BadInput, match=r"--since|--until"):
        read_span(since, until, NOW)
