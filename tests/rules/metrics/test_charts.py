"""Charts: well-formed whatever is drawn, and readable without colour."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.metrics.charts import CHARACTER_WIDTH, UPRIGHT_HEIGHT, Bar, Chart, Mark, in_words, lying, upright

PARTS = st.lists(st.integers(0, 10_000).map(float), min_size=1, max_size=3).map(tuple)
BARS = st.lists(st.builds(Bar, st.text(), PARTS, st.text()), max_size=20).map(tuple)
MARKS = st.lists(st.builds(Mark, st.floats(0, 20), st.text()), max_size=2).map(tuple)
LAYERS = ("good", "bad", "worst")


def chart(bars: Any, *, title: str = "How they ended", marks: Any = ()) -> Chart:
    """Make a chart of three layers."""
    return Chart(title, LAYERS, bars, "days", "Nothing to draw.", marks)


@given(BARS, MARKS, st.text())
def test_any_chart_is_well_formed(bars: Any, marks: Any, title: str) -> None:
    """Empty, wild and hostile values, too; on a page it brings no script and no address."""
    for draw in (upright, lying):
        svg = draw(chart(bars, title=title, marks=marks), name="trend", style="card")
        ElementTree.fromstring(svg)
        assert not re.search(r"<script|<image|<foreignObject| on\w+=", svg)


@pytest.mark.parametrize("draw", [upright, lying])
def test_what_colour_says_is_said_by_patterns_too(draw: Any) -> None:
    """Each layer has a fill of its own, with a key that names it; the numbers stand in the description."""
    svg = draw(chart((Bar("Monday", (3, 2, 1)),)), name="trend", style="page")
    boxes = re.findall(r'<rect class="layer layer-(\d)"( fill="url\(#trend-\1\)")?', svg)
    assert {(layer, bool(fill)) for layer, fill in boxes} == {("0", False), ("1", True), ("2", True)}
    assert len(boxes) == 6, "three in the key, three in the bar"
    assert all(f">{layer}</text>" in svg for layer in LAYERS)
    assert "Monday: 3 good, 2 bad, 1 worst." in svg


def test_a_chart_of_nothing_says_so() -> None:
    """Also if there are bars of no length."""
    for bars in ((), (Bar("Monday", (0, 0, 0)),)):
        assert in_words(chart(bars)) == "Nothing to draw."
        assert ">Nothing to draw.</text>" in upright(chart(bars), name="x", style="card")


def test_bars_are_as_long_as_their_counts() -> None:
    """Twice as many is twice as high, and no bar leaves the picture."""
    svg = upright(chart((Bar("a", (1,)), Bar("b", (2,)))), name="x", style="card")
    high = [float(number) for number in re.findall(r'class="layer layer-0"[^>]*height="([\d.]+)"', svg)[1:]]
    assert high[1] == pytest.approx(2 * high[0])
    assert high[1] <= UPRIGHT_HEIGHT


def test_the_labels_of_a_histogram_do_not_run_into_one_another() -> None:
    """The longest one decides how many are left out."""
    bars = tuple(Bar(f"{number} h {number} min", (1,)) for number in range(10, 23))
    svg = upright(chart(bars), name="x", style="card")
    places = [float(place) for place in re.findall(r'<text class="tick middle" x="([\d.]+)"[^>]*>\d+ h', svg)]
    assert min(after - before for before, after in pairwise(places)) > CHARACTER_WIDTH * len(bars[0].label)


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    """As the phases of one service do."""
    svg = lying(chart(tuple(Bar(f"{'a-service-' * 5}: {phase}", (1,)) for phase in ("preparation", "wave 1"))), name="x", style="card")
    assert re.search("…[^<]*: wave 1<", svg)
    assert re.search("…[^<]*: preparation<", svg)
