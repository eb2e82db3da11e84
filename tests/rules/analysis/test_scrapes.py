"""Growth of many counters: every life counts once, in whatever pieces and order the scrapes arrive."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.scrapes import Lives, PairLife, Sample, Weight, add_pair, add_scrapes, newest, no_lives, no_pair

WEIGHTS = {"a-ok": Weight(0, 1), "a-bad": Weight(1, 1), "b-ok": Weight(0, 1), "b-bad": Weight(1, 1)}


def scrapes(target: str, *values: tuple[float, int | None, int | None]) -> list[Sample]:
    """Scrape one target: moment, fine requests, bad ones; None is not exposed."""
    found = []
    for at, fine, bad in values:
        pairs = ((f"{target}-ok", fine), (f"{target}-bad", bad))
        found += [Sample(target, series, at, value) for series, value in pairs if value is not None]
    return found


def counted(*values: list[Sample], after: Lives | None = None) -> tuple[int, int]:
    """Add scrapes one batch after the other and give bad and all events."""
    lives = after or no_lives()
    for batch in values:
        lives = add_scrapes(lives, batch, WEIGHTS)
    return lives["bad"], lives["total"]


@pytest.mark.parametrize(
    ("before", "later", "grown"),
    [
        (scrapes("a", (1, 100, 2)), scrapes("a", (2, 110, 3)), (1, 11)),
        (scrapes("a", (1, 100, 2)), scrapes("a", (1, 100, 2)), (0, 0)),
        (scrapes("a", (1, 100, 2)), scrapes("a", (2, 10, 1)), (1, 11)),
        (scrapes("a", (1, 100, 2)), scrapes("a", (2, 10, 3)), (3, 13)),
        (scrapes("a", (1, 100, 2)), scrapes("a", (2, 10, None), (3, 20, 4)), (4, 24)),
        (scrapes("a", (1, 100, None)), scrapes("a", (2, 110, 5)), (5, 15)),
        (scrapes("a", (1, 100, 0), (5, 120, 0)), scrapes("a", (3, 110, 0), (5, 120, 0), (6, 121, 0)), (0, 1)),
        (scrapes("a", (1, 100, 0)), scrapes("a", (2, 105, 0)) + scrapes("b", (2, 7, 1)), (1, 13)),
        (scrapes("a", (1, 100, 0)) + scrapes("b", (1, 50, 5)), scrapes("a", (2, 101, 0)), (0, 1)),
        (scrapes("a", (1, 100, 0)) + scrapes("b", (1, 50, 5)), scrapes("b", (2, 1, 1)) + scrapes("a", (2, 110, 0)), (1, 12)),
    ],
    ids=["growth", "known", "restart", "restart seen in one series", "restart while a series was away", "first error", "old scrapes",
         "a second pod", "a pod that ended", "one pod of two restarts"],
)  # fmt: skip
def test_what_counters_grew_by(before: list[Sample], later: list[Sample], grown: tuple[int, int]) -> None:
    """Every event after the beginning counts once, and none that was before."""
    begun = add_scrapes(no_lives(), before, WEIGHTS)
    bad, total = counted(later, after=begun)
    assert (bad - begun["bad"], total - begun["total"]) == grown


PROCESS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5), st.booleans()), min_size=1, max_size=12)


def lived(target: str, steps: list[tuple[int, int, bool]]) -> tuple[list[Sample], int, int]:
    """Let a process serve, fail and restart; give its scrapes, one a second, and what really happened."""
    samples: list[Sample] = []
    fine = wrong = bad = total = 0
    for at, (much, worse, restarts) in enumerate(steps):
        # A restart shows in a scrape only where some count is lower than before.
        more = min(much, fine - 1) if restarts and fine else much
        if restarts and fine:
            fine = wrong = 0
        fine, wrong, bad, total = fine + more, wrong + worse, bad + worse, total + more + worse
        samples += scrapes(target, (at, fine, wrong))
    return samples, bad, total


@given(PROCESS, PROCESS)
def test_two_processes_under_one_target_are_told_apart_by_their_moments(one: Any, other: Any) -> None:
    """Labels may not tell them apart; when one begins again the other's past is not counted a second time."""
    (first, bad, total), (second, more_bad, more_total) = lived("a", one), lived("b", other)
    samples = [sample._replace(target="both") for sample in first]
    samples += [sample._replace(target="both", at=sample.at + 0.5) for sample in second]
    assert counted(samples) == (bad + more_bad, total + more_total)


def test_series_without_a_weight_count_nothing() -> None:
    """The other buckets of a histogram are read and left out."""
    assert counted([Sample("a", "other", 1, 5)]) == (0, 0)
    assert newest(no_lives()) is None


@given(PROCESS, PROCESS, st.integers(1, 5), st.randoms(use_true_random=False))
def test_every_event_counts_once_however_the_scrapes_arrive(one: Any, other: Any, size: int, random: Any) -> None:
    """Processes that restart at will are counted as if someone had watched each request, in batches of any size, each in any order."""
    (first, bad, total), (second, more_bad, more_total) = lived("a", one), lived("b", other)
    samples = first + second
    batches = [[sample for sample in samples if sample.at // size == number] for number in range(len(samples))]
    for batch in batches:
        random.shuffle(batch)
    assert counted(*batches) == counted(samples) == (bad + more_bad, total + more_total)


@given(PROCESS)
def test_memory_survives_as_json(steps: Any) -> None:
    """A watch that starts again goes on from what was written down."""
    samples = [one for at, (fine, bad, _) in enumerate(steps) for one in scrapes("a", (at, fine, bad))]
    half = add_scrapes(no_lives(), samples[: len(samples) // 4 * 2], WEIGHTS)
    assert counted(samples, after=json.loads(json.dumps(half))) == counted(samples)


def paired(*reads: tuple[int, int] | None) -> PairLife:
    """Read a pair once a second, and take what lasts three seconds for an end."""
    life = no_pair()
    for at, read in enumerate(reads):
        life = add_pair(life, read, at=float(at), patience_seconds=3)
    return life


@pytest.mark.parametrize(
    ("reads", "grown"),
    [
        ([(3, 150)], (2, 50)),
        ([None, (3, 150)], (2, 50)),
        ([(0, 60), (0, 65), (0, 70), (0, 75), (1, 80)], (1, 5)),
        ([(0, 100), (0, 110), (0, 120), (0, 130), (0, 140)], (0, 10)),
        ([(0, 60), (2, 120)], (1, 20)),
        ([(0, 60), (0, 62), (2, 120)], (1, 20)),
        ([(0, 60), (0, 65), (0, 30), (0, 60), (2, 120)], (1, 20)),
        ([(0, 60), (0, 61)], (0, 0)),
    ],
    ids=[
        "growth",
        "a gap",
        "a pod of a sum ended",
        "bad alone fell",
        "a missed scrape",
        "two missed scrapes",
        "one after the other",
        "fallen",
    ],
)
def test_a_sum_that_falls_is_gone_on_from_once_that_lasts(reads: list[tuple[int, int] | None], grown: tuple[int, int]) -> None:
    """What a process counted before is not counted a second time, neither when it is back nor when it is gone."""
    life = paired((1, 100), *reads)
    assert (life["bad"] - 1, life["total"] - 100) == grown


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=30), st.booleans())
def test_a_missed_scrape_counts_nothing_twice(steps: list[tuple[int, bool]], other: bool) -> None:  # noqa: FBT001
    """Of two processes one is missed now and then, never for long: in the end every event counted once."""
    rests, moves, missed_before = 1_000, 50, True
    reads = [(0, rests + moves)]
    for more, missed in steps:
        moves += more
        missed_before = missed and not missed_before
        reads.append((0, (rests if other else moves) if missed_before else rests + moves))
    life = paired(*reads, (0, rests + moves))
    assert (life["total"], life["fell_at"]) == (rests + moves, None)


def test_a_pair_that_appears_later_counts_from_zero() -> None:
    """A version that no one had asked anything yet has no series; its first events count."""
    assert paired(None, (1, 12)) == {"bad": 1, "total": 12, "last": [1, 12], "low": None, "fell_at": None}
