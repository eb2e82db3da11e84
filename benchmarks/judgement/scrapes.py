"""Scrapes of a service whose ratios move: steady, drifting, by the hour of the day, in bursts."""

from __future__ import annotations

import numpy as np

from benchmarks.judgement.cases import Case

INTERVALS = 60
SHAPES = ("steady", "drift", "diurnal", "bursts")


def shape(name: str, rng: np.random.Generator, streams: int) -> np.ndarray:
    """Make the factor by which both ratios move, of shape (streams, INTERVALS)."""
    time = np.linspace(0, 1, INTERVALS)
    if name == "drift":
        return np.tile(1 + 4 * time, (streams, 1))
    if name == "diurnal":
        return 1 + 0.9 * np.sin(2 * np.pi * (2 * time[None, :] + rng.random((streams, 1))))
    if name == "bursts":
        return np.where(rng.random((streams, INTERVALS)) < 0.05, 20.0, 1.0)
    return np.ones((streams, INTERVALS))


def scrape(case: Case, moving: str, *, requests: float, streams: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the counts of each interval.

    Args:
        case: The ratios when steady, and the split.
        moving: One of `SHAPES`.
        requests: Mean requests of the canary an interval.
        streams: How many streams.
        rng: Source of chance.

    Returns:
        Of shape (streams, INTERVALS, 4): canary bad, canary all, baseline bad, baseline all.
    """
    factor = shape(moving, rng, streams)
    volume = requests * (factor if moving == "diurnal" else np.ones_like(factor))
    n, m = rng.poisson(volume), rng.poisson(volume * (1 - case.share) / case.share)
    a = rng.binomial(n, np.minimum(1, case.canary * factor))
    b = rng.binomial(m, np.minimum(1, case.baseline * factor))
    return np.stack([a, n, b, m], axis=2).astype(float)
