"""The report: what moved, what failed and why, and what took long, of a made month with known answers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.metrics import Selection
from tasks.rules.metrics.report import LATER, MOST_BINS, MOST_SERVICES, OTHER, Report, bin_seconds, bins_of, periods_of, report_of
from tasks.rules.metrics.report_page import MOST_BROKEN, page_of, to_markdown
from tasks.rules.rollout.history import Measured, Took
from tests.rules.metrics.made import HOUR, at, released, rolled_back

DAY = 24 * HOUR
SPAN = Selection("shop", "production", at(4 * DAY), at(8 * DAY))
FACTS = [
    released("a", 0), released("b", 4 * DAY, version="1.1"), released("c", 5 * DAY, version="1.2", outcome="rolled_back"),
    released("d", 6 * DAY, version="1.3"), rolled_back("e", 6 * DAY + 3 * HOUR, bad="1.3"),
    released("f", 7 * DAY, version="1.4", outcome="cancelled"),
    released("g", 7 * DAY, version="1.5", outcome="refused"), released("other", 5 * DAY, service="mail", outcome="failed"),
    released("open", 7 * DAY + HOUR, version="1.6", outcome="open"),
]  # fmt: skip


def measured(run: str, **seconds: float) -> tuple[str, Measured]:
    """Give the measured phases of a release of the shop."""
    phases = tuple(Took(phase=name.replace("_", " "), seconds=took) for name, took in seconds.items())
    return "shop", Measured(run=run, at=at(0), phases=phases)


def made(facts: list[Facts] = FACTS, selection: Selection = SPAN) -> Report:
    """Make the report of the history."""
    times = [measured("b", preparation=60, wave_1=600), measured("d", preparation=120, wave_1=300), measured("a", wave_1=9_999)]
    return report_of(facts, times, selection, broken=1)


def test_each_day_of_the_span_counts_what_ended_in_it() -> None:
    """In three classes; refused and open releases are in none."""
    assert [(f"{one.begin:%m-%d}", one.deployed, one.back, one.failed) for one in made().periods] == [
        ("11-06", 1, 0, 0), ("11-07", 0, 1, 0), ("11-08", 1, 0, 0), ("11-09", 0, 0, 1),
    ]  # fmt: skip


def test_what_failed_has_its_causes_the_newest_first() -> None:
    """Also a deployment that a rollback on demand left; what has no known cause says so and is not left out."""
    found = made()
    assert [(one.facts.run, one.causes) for one in found.failed] == [("f", ("cancelled",)), ("d", (LATER,)), ("c", (OTHER,))]
    assert (found.failed_in_all, dict(found.causes)) == (3, {"cancelled": 1, LATER: 1, OTHER: 1})


def test_the_cause_is_what_people_were_told() -> None:
    """A release may have several."""
    told = [one.model_copy(update={"alerts": ("health_check_failed", "error_rate_high")}) if one.run == "c" else one for one in FACTS]
    assert made(told).failed[-1].causes == ("health check failed", "error rate high")


def test_the_slowest_phase_comes_first_of_what_was_deployed_in_the_span() -> None:
    """By nine of ten; the release before the span does not count."""
    assert [(one.phase, one.took.count, one.took.p90_seconds) for one in made().phases] == [("wave 1", 2, 600), ("preparation", 2, 120)]


def test_the_span_before_is_compared_only_if_the_records_reach_over_it() -> None:
    """Else it would look as if nothing had been deployed."""
    assert (before := made().before)
    assert (before.deployments, before.selection.since) == (1, at(0))
    assert made([one for one in FACTS if one.run != "a"]).before is None


def test_without_a_record_every_part_says_that_there_is_nothing() -> None:
    """No figure is 0 % or 100 %."""
    page = page_of(report_of([], [], Selection("", "production", None, at(0))), broken=(), at=at(0), style="card")
    assert {one.value for one in page.figures} == {"no data"}
    assert all(one.words.startswith("No ") for one in page.pictures)


@pytest.mark.parametrize(("days", "width"), [(1, 1), (45, 1), (46, 7), (400, 7), (3_000, 28)])
def test_longer_spans_are_drawn_in_wider_parts(days: int, width: int) -> None:
    """Days, weeks from Mondays on, four weeks."""
    found = periods_of([], Selection("", "production", at(0), at(days * DAY)))
    assert {after.begin - one.begin for one, after in pairwise(found)} <= {timedelta(days=width)}
    assert width == 1 or found[0].begin.weekday() == 0


@given(
    st.integers(0, 60 * 24 * 365),
    st.floats(0.01, 4_000),
    st.lists(st.floats(0, 1, exclude_max=True), max_size=30),
)
def test_every_release_of_the_span_is_in_one_period(minutes: int, days: float, places: list[float]) -> None:
    """None is lost at an edge, or between two."""
    begin = at(minutes)
    end = begin + timedelta(days=days)
    ended = [FACTS[0].model_copy(update={"ended": begin + (end - begin) * place}) for place in places]
    assert sum(one.deployed for one in periods_of(ended, Selection("", "production", begin, end))) == len(places)


@given(st.lists(st.floats(0, 10_000_000), max_size=60))
def test_every_duration_is_in_one_bar_of_few(seconds: list[float]) -> None:
    """Whatever they are, and nine of ten are not in the bar of the rest."""
    counts = bins_of(seconds, width=bin_seconds(seconds))
    assert sum(counts) == len(seconds)
    assert len(counts) <= MOST_BINS + 1
    assert len(counts) <= MOST_BINS or counts[-1] <= len(seconds) / 10


def test_the_artifact_carries_its_pictures_and_nothing_that_a_record_says_can_act() -> None:
    """No HTML, no link, and no line that is broken."""
    told = [one.model_copy(update={"why": "<b>bad</b>\n| [x](https://evil.example) |"}) if one.run == "c" else one for one in FACTS]
    text = to_markdown(page_of(made(told), broken=["r1"], at=at(8 * DAY), style="card"))
    assert text.count("](data:image/svg+xml;base64,") == text.count("](") == 4
    assert "<b>" not in text
    assert "Records that cannot be trusted: 1." in text
    assert len([line for line in text.splitlines() if re.match(r"- 2026.*\(run [a-z]+\)$", line)]) == 3


def test_of_many_records_that_cannot_be_trusted_all_are_counted_and_the_first_named() -> None:
    """The number is the same wherever it stands."""
    runs = [f"r{number:03}" for number in range(MOST_BROKEN + 23)]
    page = page_of(made(FACTS), broken=runs, at=at(8 * DAY), style="card")
    assert (
        f"Records that cannot be trusted: {len(runs)}.** They are in no figure: {', '.join(runs[:MOST_BROKEN])} and 23 more."
        in to_markdown(page)
    )


def test_of_all_services_each_stands_by_itself_the_worst_first() -> None:
    """So that it is seen whose releases fail; a report of one service has no such part."""
    everything = made(selection=replace(SPAN, service=""))
    page = page_of(everything, broken=(), at=at(8 * DAY), style="card")
    assert [(row.service, row.releases, row.success) for row in page.services] == [("shop", "4", "50\u00a0%"), ("mail", "1", "0\u00a0%")]
    assert "### By service" in to_markdown(page)
    assert made().services == ()


def test_many_services_are_counted_and_the_best_are_left_out() -> None:
    """The table stays short."""
    many = [released(f"r{place}", 5 * DAY, service=f"s{place:02}") for place in range(MOST_SERVICES + 3)]
    page = page_of(made([*FACTS, *many], replace(SPAN, service="")), broken=(), at=at(8 * DAY), style="card")
    assert (len(page.services), page.more_services, page.services[0].service) == (MOST_SERVICES, 5, "shop")
