"""How long the command line takes to start."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path


async def compare(*, runs: int) -> None:
    """`shipway --help` against a Python that does nothing; at most 0.3 s is asked for."""
    program = Path(sys.executable).with_name("shipway")
    ours = _median([str(program), "--help"], runs=max(runs, 5))
    nothing = _median([sys.executable, "-c", "pass"], runs=max(runs, 5))
    print(f"   shipway --help {ours:.3f} s, python -c pass {nothing:.3f} s, ratio {ours / nothing:.1f}")


def _median(command: list[str], *, runs: int) -> float:
    times = []
    for _ in range(runs + 1):
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:])
