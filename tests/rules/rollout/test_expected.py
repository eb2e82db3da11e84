"""The expected end: by earlier releases with the very same steps alone, and said to be unknown where there are none."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.estimate.__main__ import LEAST_SHARE, MOMENTS, MOST_SHARE, coverage, made
from tasks.rules.rollout.expected import FEW, NO_PAST, Ahead, Expected, expected_end, expected_in_words, work_left
from tasks.rules.rollout.history import MOST, Measured, Took
from tests.rules.policy.test_rules import plan_of
from tests.rules.rollout.test_history import AT, BEGUN, ENDED, PLAN, WAVE, record, took

OTHER = plan_of(production={"platform": "local/shop-production", "steps": [{"percent": 100, "watch_seconds": 7}]})
PAST = [took(100.0 + 10 * number, days=number) for number in range(1, 11)]  # preparation 61 s, the wave 110 to 200 s


def end_at(seconds: float, *rows: tuple[float, str, str, str], past: list[Measured] | None = None) -> Expected:
    """Estimate a release so many seconds after it was asked for."""
    found = expected_end(record(*rows), PAST if past is None else past, at=AT + timedelta(seconds=seconds))
    assert found is not None
    return found


def test_all_phases_are_ahead_when_a_release_begins() -> None:
    """Median and ninetieth percentile of preparation and wave together."""
    found = end_at(1, *BEGUN[:2])
    assert [phase for phase, _, _ in found.left.phases] == ["preparation", "wave 1"]
    assert (found.left.found, found.left.middle, found.left.most) == (10, 61 + 155 - 1, 61 + 200 - 1)
    assert found.middle == AT + timedelta(seconds=61 + 155)


def test_what_is_over_does_not_count_any_more() -> None:
    """Of a wave under way what it has taken is taken off, and only those earlier ones count that took longer than that."""
    found = end_at(601 + 149, *BEGUN, *WAVE[:5])
    assert [phase for phase, _, _ in found.left.phases] == ["wave 1"]
    assert (found.left.found, found.left.counted, found.left.middle) == (10, 6, 175 - 149)


def test_a_release_that_waits_says_how_long_it_will_take_once_it_goes_on() -> None:
    """Not when: no past knows how long people take."""
    rows = record(*BEGUN)
    found = expected_end(rows, PAST, at=AT + timedelta(days=3), waits=True)
    assert found is not None
    assert (found.middle, found.most, found.left.middle) == (None, None, 155)
    assert expected_in_words(found) == (
        "once it goes on, 2 min 35 s of work are left (median; nine of ten within 3 min 20 s), by 10 earlier releases: wave 1 2 min 35 s"
    )


@pytest.mark.parametrize(
    ("past", "words"),
    [
        ([], NO_PAST),
        ([took(120, plan=OTHER)], NO_PAST),
        (PAST[:1], "expected to end at 12:02:51 UTC on 2026-11-30, without waits to come, by 1 earlier release: "),
        (PAST, "expected to end at 12:03:36 UTC on 2026-11-30 (median; nine of ten by 12:04:21), without waits to come"),
    ],
)
def test_people_read_by_how_many_releases_it_is_estimated(past: list[Measured], words: str) -> None:
    """Other steps are no past; of a few none is the ninetieth percentile."""
    assert expected_in_words(end_at(1, *BEGUN[:2], past=past)).startswith(words)


def test_a_phase_that_takes_longer_than_ever_has_no_expected_end() -> None:
    """Rather than one that is over."""
    found = end_at(601 + 500, *BEGUN, *WAVE[:5])
    assert (found.left.counted, found.middle) == (0, None)
    assert expected_in_words(found).startswith("this phase takes longer than it did in each of 10 earlier releases")


@pytest.mark.parametrize(
    "rows", [BEGUN[:1], (*BEGUN, *WAVE, *ENDED), (*BEGUN, *WAVE, ENDED[0]), (*BEGUN, *WAVE[:4], (640, "rollback", "", "decision"))]
)
def test_nothing_is_expected_before_the_steps_are_known_and_after_they_are_over(rows: tuple[tuple[float, str, str, str], ...]) -> None:
    """Nor of a release that is rolled back."""
    assert expected_end(record(*rows), PAST, at=AT) is None


@given(st.lists(st.floats(0.001, 10_000), max_size=60), st.floats(0, 10_000))
def test_an_estimate_is_never_over_and_its_bound_not_before_its_median(seconds: list[float], elapsed: float) -> None:
    """And without one that took longer there is none."""
    history = [Measured(run=f"{place}", at=AT, phases=(Took(phase="wave 1", seconds=one, steps="s"),)) for place, one in enumerate(seconds)]
    left = work_left(history, [Ahead("wave 1", "s")], elapsed)
    assert 0 <= left.middle <= left.most
    assert len(seconds) > MOST or left.counted == sum(one > elapsed for one in seconds)
    assert (left.most > 0) is (left.counted > 0)


@pytest.mark.parametrize("at", MOMENTS)
def test_the_ninetieth_percentile_covers_nine_of_ten(at: float) -> None:
    """On a made history, at the beginning and under way; `python -m benchmarks.estimate` is the whole backtest."""
    draw = random.Random(1)
    found = coverage([made(60, draw) for _ in range(12)], at=at)
    assert found.number > 300
    assert LEAST_SHARE <= found.most <= MOST_SHARE


def test_of_fewer_than_nine_no_rank_covers_nine_of_ten() -> None:
    """The n-th of n is exceeded by the next one in one of n + 1 cases."""
    assert (FEW - 1) / FEW < 0.9 <= FEW / (FEW + 1)
    assert PLAN.service == "shop"
