"""A long watch keeps a bounded picture, and the record takes the picture of any plan."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.record.store import store_entry
from tasks.rules.analysis.downsampling import Thinned, most_points
from tasks.rules.analysis.observation import Count, Seen
from tasks.rules.analysis.step import Step
from tasks.rules.plan.judgement import Judgement, PlatformSli


@given(st.integers(1, 3_000), st.integers(20, 400))
def test_a_long_watch_keeps_a_bounded_picture_with_its_first_and_last_point(number: int, most: int) -> None:
    """The moment of decision is always in it, its points lie evenly, and no more than twice as many are ever held."""
    thinned = Thinned[int](most)
    for at in range(number):
        thinned.add(at)
        assert len(thinned.kept) <= 2 * most
    points = thinned.points()
    assert len(points) <= most + 1
    assert len(points) >= min(number, most // 2)
    assert (points[0], points[-1]) == (0, number - 1)
    assert len({later - earlier for earlier, later in pairwise(points[:-1])}) <= 1


@pytest.mark.parametrize(("slis", "points"), [(0, 400), (1, 400), (10, 400), (50, 80), (1_000, 20)])
def test_the_more_slis_the_fewer_points(slis: int, points: int) -> None:
    """What they come to is about the same."""
    assert most_points(slis) == points


@pytest.mark.parametrize("number", [1, 10, 50])
async def test_the_record_takes_the_whole_of_a_long_watch(number: int, tmp_path: Path) -> None:
    """Evidence that is too long is cut, and a step without samples would be no data, which takes the release back."""
    slis = [PlatformSli(name=f"an-indicator-with-a-long-name-{one:02d}", indicator="errors") for one in range(number)]
    step = Step(Judgement(slis=[*slis]), version="2026.11.26-1+build.4711", baseline="2026.11.25", percent=25, began=(0.0, {}))
    points, samples = [], []
    for point in range(most_points(number) + 1):
        at, total = 1_795_000_000.123456 + point, 1_000_000 + 137 * point
        seen = {sli.name: Seen({"canary": Count(point, total), "baseline": Count(point, total)}, "failed") for sli in slis}
        verdicts = step.judge(seen, at=at)
        points.append({"at": at, "verdicts": [asdict(one) for one in verdicts]})
        samples += step.rows(verdicts, at=at)
    evidence: dict[str, Any] = {"points": points, "samples": samples}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    entry, _ = await store_entry(tmp_path, "r1", kind="samples", who="shipway", what="Watched", evidence=evidence, at=now)
    assert len(entry.evidence["samples"]) == len(samples)
