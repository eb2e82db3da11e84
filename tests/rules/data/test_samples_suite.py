"""The samples of a step become a table with what can be derived, and a suite over it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.data.samples_suite import DERIVED, derive, quantile, samples_job
from tasks.rules.plan.data import Samples


def watched(*, canary: float = 0.05, readings: int = 30, requests: int = 20, hole_seconds: float = 0.0) -> dict[str, Any]:
    """Make the evidence of a watch."""
    draw, rows = random.Random(1), []
    for role, version, share in (("canary", "1.1", canary), ("baseline", "1.0", 0.05)):
        bad = total = 0
        for number in range(readings):
            bad, total = bad + sum(draw.random() < share for _ in range(requests)), total + requests
            at = 1_000 + number / 2 + (hole_seconds if number > readings // 2 else 0)
            rows.append({"at": at, "sli": "errors", "role": role, "version": version, "bad": bad, "total": total})
    draw.shuffle(rows)
    return {
        "samples": rows, "step_percent": 25, "started_at": 1_000.0, "versions": {"canary": "1.1", "baseline": "1.0"},
        "slis": [{"name": "errors", "deciding": True}],
    }  # fmt: skip


def job_of(evidence: dict[str, Any], *, seconds: float = 16, interval_seconds: float = 0.5, **rules: float) -> Any:
    """Make the job of a watch."""
    return samples_job(
        evidence, name="samples-25", ended_at=1_000 + seconds, interval_seconds=interval_seconds, rules=Samples.model_validate(rules)
    )


def asked_of(job: Any, column: str) -> dict[str, Any]:
    """Return the arguments of what is asked of a column."""
    return {one["type"]: one["kwargs"] for one in job.suite["expectations"] if one["kwargs"].get("column") == column}


def test_what_is_derived() -> None:
    """Gaps and increases within an SLI and role, in the order of time, and the share of bad ones where there are enough."""
    rows = [
        {"at": 2.0, "sli": "e", "role": "canary", "version": "1", "bad": 3, "total": 30},
        {"at": 1.0, "sli": "e", "role": "canary", "version": "1", "bad": 0, "total": 10},
        {"at": 3.0, "sli": "e", "role": "canary", "version": "1", "bad": 4, "total": 31},
        {"at": 1.5, "sli": "e", "role": "baseline", "version": "0", "bad": None, "total": 5},
    ]
    table = derive(rows)
    assert table["at"] == [1.5, 1.0, 2.0, 3.0]
    assert [table[name] for name in DERIVED] == [
        [None, None, 1.0, 1.0], [None, None, 3.0, 1.0], [None, None, 20.0, 1.0], [None, None, 0.15, None],
    ]  # fmt: skip


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_the_quantile_is_numpy_s(values: list[float], share: float) -> None:
    """Linear interpolation, as pandas and so great-expectations takes it."""
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-12)


@pytest.mark.parametrize(
    ("interval_seconds", "seconds", "limit_seconds"),
    [(0.5, 16, 15), (1, 300, 15), (5, 300, 50), (1, 86_400, 2_160)],
    ids=["never under 15 s", "nor here", "ten intervals", "a day keeps every so-manieth reading"],
)
def test_what_a_hole_is(interval_seconds: float, seconds: float, limit_seconds: float) -> None:
    """Ten intervals of the plan, or of what a long watch keeps, and at least what a busy machine may need."""
    job = job_of(watched(), seconds=seconds, interval_seconds=interval_seconds)
    assert asked_of(job, "gap_seconds")["expect_column_values_to_be_between"]["max_value"] == pytest.approx(limit_seconds)


def test_quantiles_are_compared_where_there_is_enough() -> None:
    """Few requests or readings make them a matter of luck; a baseline that no one asks has none."""
    kind = "expect_column_quantile_values_to_be_between"
    ranges = asked_of(job_of(watched()), "ratio")[kind]["quantile_ranges"]
    assert ranges["quantiles"] == [0.5, 0.75]
    assert all(0.25 <= high <= 0.4 for _, high in ranges["value_ranges"])
    lonely = watched()
    lonely["samples"] = [row for row in lonely["samples"] if row["role"] == "canary"]
    for thin in (watched(requests=3), watched(readings=6), lonely):
        assert asked_of(job_of(thin), "ratio") == {}


def test_what_only_shows_is_not_part_of_the_table() -> None:
    """An SLI on trial, which decided no step, takes no release back afterwards."""
    found = watched()
    found["samples"] += [{**row, "sli": "trial", "at": row["at"] + 500 * (row["bad"] > 9)} for row in found["samples"]]
    found["slis"].append({"name": "trial", "deciding": False})
    assert job_of(found).source == job_of(watched()).source
    alone = {**watched(), "slis": [{"name": "errors", "deciding": False}]}
    assert job_of(alone).found()["outcome"] == "no_data"


def test_a_hole_in_time_is_told_and_does_not_decide() -> None:
    """The counts go on behind it; whether a silence was too long the verdict has said."""
    severities = {
        one.get("severity")
        for one in job_of(watched(hole_seconds=500)).suite["expectations"]
        if "gap_seconds" in str(one["kwargs"].get("column"))
    }
    assert severities == {"warning"}


@pytest.mark.parametrize("samples", [None, [], "many", [1, 2]])
def test_a_watch_without_samples_is_no_data(samples: Any) -> None:
    """Absence is not a pass."""
    assert job_of({**watched(), "samples": samples}).found()["outcome"] == "no_data"


def test_a_watch_that_began_no_one_knows_when_is_an_error() -> None:
    """Its readings cannot be placed."""
    assert job_of({**watched(), "started_at": "soon"}).found()["outcome"] == "error"
