"""Pictures of what was watched."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.entries import Entry, chain
from tasks.rules.record.picture import LEFT, RIGHT, WIDTH, in_words, picture
from tasks.rules.record.series import Series, series_of

NUMBERS = st.none() | st.integers(-5, 10**9) | st.floats() | st.just("nan")
VERDICTS = st.fixed_dictionaries(
    {"sli": st.just("availability"), "outcome": st.sampled_from(["passed", "failed", "watching", "no_data", "error"]), "reason": st.text()},
    optional={f"{side}_{name}": NUMBERS for side in ("canary", "baseline") for name in ("bad", "total", "low", "high")},
)
POINTS = st.lists(st.fixed_dictionaries({"at": NUMBERS, "verdicts": st.lists(VERDICTS, max_size=2)}), max_size=12)


def watched(points: Any, *, percent: int | None = 25, limit: Any = 0.05, version: str = "1.2.0") -> Entry:
    """Make the entry of one watched step."""
    slis = [{"name": "availability", "indicator": "errors", "tolerance": 0.02, "limit": limit}]
    evidence = {
        "started_at": 1_000.0, "slis": slis, "points": points,
        "versions": {"canary": version, "baseline": "1.1.0"}, "outcome": "failed",
    }  # fmt: skip
    return chain(
        None, at=datetime(2026, 1, 1, tzinfo=UTC), environment="production", step=percent, kind="samples", who="shipway", what="Watched."
    ).model_copy(update={"evidence": evidence})


def reading(second: float, bad: int, total: int, outcome: str = "watching") -> dict[str, Any]:
    """Make one reading of both revisions, with bounds."""
    verdict = {
        "sli": "availability", "outcome": outcome, "reason": f"{bad} of {total}", "canary_bad": bad, "canary_total": total,
        "baseline_bad": 1,
        "baseline_total": 10 * total, "canary_low": 0.0, "canary_high": 0.3, "baseline_low": 0.0, "baseline_high": 0.01,
    }  # fmt: skip
    return {"at": 1_000.0 + second, "verdicts": [verdict]}


FAILING = [reading(1, 0, 20), reading(2, 3, 40), reading(3, 9, 60, "failed"), reading(4, 14, 80, "failed")]


def one(entry: Entry, *others: Entry) -> Series:
    """Read the only series."""
    (series,) = series_of([entry, *others])
    return series


@given(POINTS, st.none() | st.integers(0, 100), NUMBERS, st.text())
def test_any_samples_give_well_formed_xml(points: list[Any], percent: int | None, limit: Any, version: str) -> None:
    """Missing, wild and hostile values still give a picture that parses."""
    series = one(watched(points, percent=percent, limit=limit, version=version))
    for style in ("page", "card"):
        text = picture(series, name="p", style=style)  # type: ignore[arg-type]
        ElementTree.fromstring(text)
        assert "nan" not in re.sub(r"<(title|desc|text)[^>]*>[^<]*", "", text).lower()


def test_the_moment_of_decision_is_the_first_reading_that_held() -> None:
    """A verdict that stayed is dated by its beginning, from the start of the watch."""
    (step,) = one(watched(FAILING)).steps
    assert step.decided is not None
    assert step.decided.seconds == 3.0


def test_an_undecided_watch_marks_no_moment() -> None:
    """Nothing is drawn that was not decided."""
    text = picture(one(watched(FAILING[:2])), name="p", style="page")
    assert '<line class="decision"' not in text
    assert "? inconclusive" in text


def test_steps_stand_side_by_side_without_the_pause_between_them() -> None:
    """A gate of an hour between two steps takes no room."""
    later = [{**point, "at": point["at"] + 3_600} for point in FAILING]
    first, second = watched(FAILING[:2], percent=5), watched(later, percent=25)
    second = second.model_copy(update={"evidence": {**second.evidence, "started_at": 4_600.0}})
    series = one(first, second)
    assert [(step.start_seconds, step.end_seconds) for step in series.steps] == [(0.0, 2.0), (2.0, 6.0)]
    assert picture(series, name="p", style="page").count('class="boundary"') == 1


def test_what_colour_says_is_said_again_in_words_and_lines() -> None:
    """Labels, line style, markers and hatching tell the revisions apart."""
    text = picture(one(watched(FAILING)), name="p", style="card")
    for expected in (
        "● canary 1.2.0",
        "□ baseline 1.1.0",
        "limit 5\u00a0%",
        "✕ failed",
        "stroke-dasharray:7 4",
        'id="p-hatch"',
        "25 % of traffic",
    ):
        assert expected in text
    assert in_words(one(watched(FAILING))).startswith("Share of requests that failed. 25 %: failed at 3 s; canary 1.2.0 ended at")


def test_a_line_that_ended_in_an_earlier_step_says_so() -> None:
    """Once all traffic goes to the canary, the baseline's last counts are named by their step."""
    alone = [{"at": 1_001.0, "verdicts": [{"sli": "availability", "outcome": "passed", "canary_bad": 0, "canary_total": 50}]}]
    text = picture(one(watched(FAILING, percent=50), watched(alone, percent=100)), name="p", style="page")
    assert "1 of 800 at 50 %" in text


@pytest.mark.parametrize("points", [[], [reading(1, 0, 0)], "broken", [{"at": 1}], [{"verdicts": 3, "at": 2}]])
def test_no_data_is_said_and_not_drawn(points: Any) -> None:
    """An empty picture is never a picture of health."""
    text = picture(one(watched(points)), name="p", style="page")
    assert "No requests were counted" in text
    assert "polyline" not in text


@pytest.mark.parametrize("count", [1, 2, 400, 5_000])
def test_few_and_many_readings_give_a_small_picture_inside_its_frame(count: int) -> None:
    """A picture stays under 40 KB, and its last reading is at the right edge."""
    text = picture(one(watched([reading(second, second // 20, 20 * second) for second in range(1, count + 1)])), name="p", style="page")
    assert len(text) < 40_000
    (line,) = re.findall(r'class="canary-line" points="([^"]+)"', text)
    assert float(line.split()[-1].split(",")[0]) == WIDTH - RIGHT
    assert float(line.split(",")[0]) > LEFT


def test_a_card_brings_its_own_colours_and_a_page_lends_them() -> None:
    """Only the card stands alone; only the page's picture follows light and dark."""
    card, page = (picture(one(watched(FAILING)), name="p", style=style) for style in ("card", "page"))  # type: ignore[arg-type]
    assert "var(" not in card
    assert 'class="card"' in card
    assert "var(--canary)" in page


@pytest.mark.parametrize(
    ("sli", "said"),
    [
        ({"indicator": "errors"}, "share of requests that failed"),
        ({"indicator": "latency", "threshold_seconds": 0.3}, "share of requests slower than 0.3 s"),
        ({"bad": "sum(lost)", "total": "sum(all)"}, "share of requests that were bad"),
    ],
)
def test_a_picture_says_what_its_ratio_is(sli: dict[str, Any], said: str) -> None:
    """Two expressions of a plan's own count something else than failures."""
    entry = watched(FAILING)
    shown = entry.model_copy(update={"evidence": entry.evidence | {"slis": [{"name": "availability", **sli}]}})
    assert said in picture(one(shown), name="p", style="page")
