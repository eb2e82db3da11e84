"""From Prometheus's answers to counts: what is bad, which bucket is the threshold, and what cannot be."""

from __future__ import annotations

import contextlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput
from tasks.rules.analysis.prometheus_counts import choose_bound, expect_status, one_count, read_samples, series_name, whole, windows
from tasks.rules.analysis.scrapes import add_scrapes, no_lives
from tasks.rules.plan.plan import PrometheusSli

ERRORS = PrometheusSli(name="errors", source="prometheus", indicator="errors")
LATENCY = PrometheusSli(name="slow", source="prometheus", indicator="latency", threshold_seconds=0.3)


def series(value: Any, at: float = 1.0, **labels: str) -> Any:
    """Make one series of a matrix with one sample."""
    return {"__name__": "x", "job": "shop", "instance": "pod-1", **labels}, [(at, str(value))]


def counted(sli: PrometheusSli, *matrix: Any, bound: str | None = None) -> tuple[int, int]:
    """Count one answer."""
    lives = add_scrapes(no_lives(), *read_samples(sli, matrix, bound=bound))
    return lives["bad"], lives["total"]


@pytest.mark.parametrize(("bad_status", "bad"), [("5..", 3), ("5..|429", 10), ("50[0-9]", 2), ("2.*", 100), ("5", 0)])
def test_a_status_is_bad_by_its_whole_text(bad_status: str, bad: int) -> None:
    """The expression must match all of it, as in PromQL."""
    sli = ERRORS.model_copy(update={"bad_status": bad_status})
    found = counted(sli, series(100, status="200"), series(2, status="500"), series(1, status="599"), series(7, status="429"))
    assert found == (bad, 110)


def test_slow_answers_are_those_above_the_bucket() -> None:
    """The bucket next above the threshold stands for it, whatever way its bound is spelled."""
    buckets = [series(70, le="0.1"), series(80, le="0.25"), series(95, le="5e-1"), series(100, le="+Inf")]
    assert choose_bound(LATENCY, buckets) == "5e-1"
    assert counted(LATENCY, *buckets, bound="0.5") == (5, 100)
    assert choose_bound(LATENCY, []) is None


@pytest.mark.parametrize(
    ("sli", "matrix", "said"),
    [
        (ERRORS, [series("NaN", status="200")], "is NaN, which is not a count of events.*without rate"),
        (ERRORS, [series("+Inf", status="200")], r"is \\+Inf, which is not a count"),
        (ERRORS, [series(-1, status="200")], "is -1, which is not a count"),
        (ERRORS, [series(0.37, status="200")], "is 0.37, which is not a count"),
        (ERRORS, [series("1e300", status="200")], "not a count"),
        (LATENCY, [series(3, le="+Inf"), series(2, le="0.5"), series(2, le="half")], "half"),
        (LATENCY, [series(3, le="+Inf")], "has no bucket 0.5, by which this watch counts"),
        (LATENCY, [series(3, le="+Inf"), series(2, le="0.5", instance="pod-2")], "has no bucket 0.5"),
    ],
)  # fmt: skip
def test_what_cannot_be_counted_is_said(sli: PrometheusSli, matrix: Any, said: str) -> None:
    """Nothing is guessed: a label or a bucket that is not there would make every version look well, or ill."""
    with pytest.raises(BadInput, match=said.replace("\\\\", "\\")):
        counted(sli, *matrix, bound="0.5")


def test_a_counter_without_any_status_is_refused_and_one_with_some_is_not() -> None:
    """The error lists the labels that are there; a single series without the label is a request without an answer."""
    with pytest.raises(BadInput, match=r"has no label `status`, nor has any other.*of code, instance, job"):
        expect_status(ERRORS, [series(3, code="200"), series(3, status="")])
    expect_status(ERRORS, [series(3), series(3, status="200")])
    expect_status(ERRORS, [])
    expect_status(LATENCY, [series(3, le="1")])


@pytest.mark.parametrize(("missing", "found"), [("bad", (9, 112)), ("good", (4, 112)), ("ignore", (4, 107))])
def test_a_request_without_a_status_counts_as_the_plan_says(missing: str, found: tuple[int, int]) -> None:
    """An absent label and an empty one are the same to Prometheus."""
    sli = ERRORS.model_copy(update={"missing_status": missing})
    matrix = [series(103, status="200"), series(4, status="503"), series(2, error_type="timeout"), series(3, error_type="reset", status="")]
    assert counted(sli, *matrix) == found


def moving(values: dict[float, int], **labels: str) -> Any:
    """Make one series with its scrapes."""
    return {"__name__": "x", "job": "shop", "instance": "pod-1", **labels}, [(at, str(value)) for at, value in values.items()]


@pytest.mark.parametrize(
    ("first", "second"), [("2", "2.0"), ("0.30", "3e-1"), ("5e-1", "0.5"), ("2.0", "2")], ids=["upgrade", "zeros", "exponent", "downgrade"]
)
@pytest.mark.parametrize("overlap", [0, 1, 3])
@pytest.mark.parametrize("split", [0, 2, 4, 8])
def test_a_bound_that_is_written_anew_goes_on(first: str, second: str, overlap: int, split: int) -> None:
    """Eight scrapes, 50 requests and one slow one each; from the fifth on the bucket has another spelling, for a while beside the old one.

    Read at once, or in two readings, in whatever order the series come.
    """
    scrapes = [(10.0 * number, 50 * number) for number in range(1, 9)]
    old = {at: total - total // 50 for at, total in scrapes[: 4 + overlap]}
    new = {at: total - total // 50 for at, total in scrapes[4:]}
    matrix = [moving(new, le=second), moving(dict(scrapes), le="+Inf"), moving(old, le=first)]
    for order in (matrix, matrix[::-1]):
        lives = no_lives()
        for part in (slice(0, split), slice(split, None)):
            chosen = {at for at, _ in scrapes[part]}
            seen = [(labels, [one for one in values if one[0] in chosen]) for labels, values in order]
            lives = add_scrapes(lives, *read_samples(LATENCY, [one for one in seen if one[1]], bound=first))
        assert (lives["bad"], lives["total"]) == (8, 400)


def test_an_upgrade_in_mid_watch_that_spells_a_bound_anew_leaves_17_bad_of_1_700() -> None:
    """As reported (https://github.com/prometheus/prometheus/issues/14485): a scrape each 15 s, `1` until 45 s and `1.0` after it."""
    sli = LATENCY.model_copy(update={"threshold_seconds": 1.0})
    scrapes = [(15.0 * number, number) for number in range(8)]
    old = moving({at: 990 + 99 * number for at, number in scrapes if at <= 45}, le="1")
    new = moving({at: 990 + 99 * number for at, number in scrapes if at >= 60}, le="1.0")
    everything = moving({at: 1_000 + 100 * number for at, number in scrapes}, le="+Inf")
    for matrix in ((old, new, everything), (everything, new, old)):
        assert choose_bound(sli, matrix) in {"1", "1.0"}
        assert counted(sli, *matrix, bound="1") == (17, 1_700)


def test_a_restart_behind_a_new_spelling_is_a_restart() -> None:
    """The counters of the new process begin at zero, whatever they are called."""
    everything = moving({10.0: 100, 20.0: 200, 30.0: 10, 40.0: 20}, le="+Inf")
    matrix = [moving({10.0: 90, 20.0: 180}, le="1"), moving({30.0: 9, 40.0: 18}, le="1.0"), everything]
    assert counted(LATENCY, *matrix, bound="1") == (22, 220)


def test_a_status_that_is_written_as_a_fraction_is_the_same_status() -> None:
    """Exporters that keep numbers write 503.0; a series that is renamed goes on."""
    assert counted(ERRORS, series(3, status="503.0"), series(7, status="200.0")) == (3, 10)
    renamed = [moving({10.0: 5}, status="503"), moving({20.0: 6}, status="503.0"), moving({10.0: 5, 20.0: 9}, status="200")]
    assert counted(ERRORS, *renamed) == (6, 15)


def test_series_have_their_usual_names() -> None:
    """A plan names the counter, or the histogram without its endings, or neither."""
    named = LATENCY.model_copy(update={"metric": "shop_seconds_bucket"})
    assert [series_name(one) for one in (ERRORS, LATENCY, named)] == [
        "http_requests_total", "http_request_duration_seconds_bucket", "shop_seconds_bucket",
    ]  # fmt: skip


def test_an_expression_gives_one_count() -> None:
    """None is none, two are one too many."""
    assert one_count([], what="bad") is None
    assert one_count([({}, 1.0, "7")], what="bad") == 7
    with pytest.raises(BadInput, match=r"`bad` gives 2 series where one is expected: \{a=\"1\"\} and \{a=\"2\"\}.*sum"):
        one_count([({"a": "1"}, 1.0, "7"), ({"a": "2"}, 1.0, "8")], what="bad")


@given(st.text(max_size=12) | st.floats().map(str) | st.integers(0, 2**60).map(str))
def test_no_value_breaks_the_count(text: str) -> None:
    """It is a count, or it is refused."""
    with contextlib.suppress(BadInput):
        assert whole(text, what="x") >= 0


@given(st.floats(0, 200_000), st.integers(1, 3_000), st.integers(0, 60))
def test_windows_leave_no_gap(elapsed: float, most: int, margin: int) -> None:
    """Together they reach from before the last reading to now, each of bounded length, the oldest first."""
    spans = windows(elapsed, most_seconds=most, margin_seconds=margin)
    covered = {second for length, end in spans for second in (end, end + length)}
    assert max(covered, default=0) >= elapsed
    assert all(length <= most + 1 for length, _ in spans)
    assert [end for _, end in spans] == sorted((end for _, end in spans), reverse=True)
    assert all(older_end <= newer_end + length for (_, older_end), (length, newer_end) in pairwise(spans))
    assert not spans or spans[-1][1] == 0
