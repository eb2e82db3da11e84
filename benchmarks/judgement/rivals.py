"""What others do, on the same scrapes: fixed thresholds, and the Mann-Whitney test.

- Argo Rollouts, as its documentation of analysis advises: a success rate of 95 % at least in each interval; the fourth
  failed measurement fails the rollout (`failureLimit: 3`).
- Flagger, as its documentation advises: a success rate of 99 % at least in each interval; the fifth failed check rolls
  back (`threshold: 5`).
- Kayenta's Mann-Whitney judge: at the end, the error ratios of all intervals of both; failed where the lower end of the
  98 % interval of their shift is above a quarter of the estimated shift (`tolerance = 0.25`, `confLevel = 0.98`).
"""

from __future__ import annotations

import numpy as np


def fixed_threshold(counts: np.ndarray, *, most_bad_ratio: float, failures: int) -> np.ndarray:
    """Find the interval in which a rule of fixed thresholds fails the canary.

    Args:
        counts: Of shape (streams, intervals, 4): canary bad, canary all, baseline bad, baseline all.
        most_bad_ratio: A higher ratio fails a measurement; an interval without a request fails none.
        failures: So many failed measurements fail the canary.

    Returns:
        Index of the interval by stream, or the number of intervals where it never failed.
    """
    bad = counts[:, :, 0] > most_bad_ratio * counts[:, :, 1] + 1e-12
    reached = bad.cumsum(axis=1) >= failures
    return np.where(reached.any(axis=1), reached.argmax(axis=1), counts.shape[1])


def mann_whitney(counts: np.ndarray, *, tolerance: float = 0.25, z: float = 2.326) -> np.ndarray:
    """Say which canaries the rank test fails at the end of all intervals.

    The interval of the shift is read from the ordered differences of all pairs (Hodges & Lehmann 1963), with the normal
    approximation of the rank sum.
    """
    n = counts.shape[1]
    canary, baseline = (counts[:, :, bad] / np.maximum(counts[:, :, bad + 1], 1) for bad in (0, 2))
    rank = max(0, int(n * n / 2 - z * np.sqrt(n * n * (2 * n + 1) / 12)))
    failed = np.zeros(len(counts), dtype=bool)
    for stream in range(len(counts)):
        differences = np.sort((canary[stream][:, None] - baseline[stream][None, :]).ravel())
        failed[stream] = differences[rank] > tolerance * abs(np.median(differences))
    return failed
