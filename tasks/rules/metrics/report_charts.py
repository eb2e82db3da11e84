"""The pictures of a report: trend, distribution, causes, slowest phases; each in words, too."""

from __future__ import annotations

from typing import NamedTuple

from tasks.rules.metrics.charts import Bar, Chart, Mark, in_words, lying, upright
from tasks.rules.metrics.numbers import Spread
from tasks.rules.metrics.report import MOST_BINS, PhaseTimes, Report, bin_seconds, bins_of
from tasks.rules.record.axis import duration
from tasks.rules.record.svg import Style

DAY_SECONDS = 86_400
WHAT_FAILED = "What failed"
LENGTHS = {1: "day", 7: "week, named by its Monday", 28: "span of four weeks, named by its first day"}


class Picture(NamedTuple):
    """A picture: under which heading it stands, what it shows in words, and as SVG."""

    heading: str
    words: str
    svg: str


def pictures_of(report: Report, *, style: Style) -> list[Picture]:
    """Draw a report.

    Args:
        report: What is drawn.
        style: Where the pictures will stand, as `drawing` takes it.
    """
    trend, spread, causes, phases = (make(report) for make in (trend_of, spread_of, causes_of, phases_of))
    return [
        Picture("Trend", in_words(trend), upright(trend, name="trend", style=style)),
        Picture("Distribution", in_words(spread), upright(spread, name="spread", style=style)),
        Picture(WHAT_FAILED, in_words(causes), lying(causes, name="causes", style=style)),
        Picture("Slowest phases", in_words(phases), lying(phases, name="phases", style=style, in_seconds=True)),
    ]


def trend_of(report: Report) -> Chart:
    """Describe how many releases ended how, over the span."""
    periods = report.periods
    days = round((periods[1].begin - periods[0].begin).total_seconds() / DAY_SECONDS) if len(periods) > 1 else 1
    bars = tuple(Bar(f"{one.begin:%m-%d}", (one.deployed, one.back, one.failed)) for one in periods)
    return Chart(
        title="Releases by how they ended",
        layers=("deployed", "rolled back, or deployed in part", "failed or cancelled"),
        bars=bars,
        below=f"each {LENGTHS.get(days, 'period')}, UTC; the first and the last may be incomplete",
        empty="No release ended in this span.",
    )


def spread_of(report: Report) -> Chart:
    """Describe how long the work of deployed releases took."""
    seconds = report.work_seconds
    width, spread = bin_seconds(seconds), Spread.of(seconds)
    counts = bins_of(seconds, width=width)
    bars = tuple(Bar(duration(number * width), (float(count),)) for number, count in enumerate(counts))
    rest = f"; the last bar has all that took longer than {duration(MOST_BINS * width)}" if len(counts) > MOST_BINS else ""
    marks = [(spread.median_seconds, "median"), (spread.p90_seconds, "nine of ten within")]
    return Chart(
        title="Work of deployed releases, without waits",
        layers=("deployed",),
        bars=bars,
        below=f"each bar is {duration(width)} wide{rest}",
        empty="No release was deployed in this span.",
        marks=tuple(Mark(min(len(counts), at / width), f"{what} {duration(at)}") for at, what in marks if at is not None),
        at_edges=True,
    )


def causes_of(report: Report) -> Chart:
    """Describe for which causes releases failed."""
    bars = tuple(Bar(cause, (float(number),), f"{number} of {report.failed_in_all}") for cause, number in report.causes)
    return Chart(
        title="Why releases failed; one may have several causes",
        layers=("releases",),
        bars=bars,
        below="releases",
        empty="No release failed in this span.",
    )


def phases_of(report: Report) -> Chart:
    """Describe which phases took longest."""
    return Chart(
        title="The slowest phases of deployed releases",
        layers=("up to the median", "from there, nine of ten"),
        bars=tuple(map(_bar, report.phases)),
        below="time",
        empty="No phase was measured in this span.",
    )


def _bar(one: PhaseTimes) -> Bar:
    middle, most = one.took.median_seconds or 0.0, one.took.p90_seconds or 0.0
    words = f"{duration(middle)}, {duration(most)} (of {one.took.count})"
    return Bar(f"{one.service}: {one.phase}", (middle, max(0.0, most - middle)), words)
