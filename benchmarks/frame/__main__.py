"""Run the frame's benchmarks: `python -m benchmarks.frame [--part release|help|probe|waiting|all] [--runs N]`.

Each prints a ratio against a baseline of the same run, because machines differ and are noisy.
"""

from __future__ import annotations

import argparse
import asyncio

from benchmarks.frame import bare, probe, release, start

PARTS = {"release": release.compare, "help": start.compare, "probe": probe.compare, "waiting": release.waiting}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
parser.add_argument("--runs", type=int, default=3)
arguments = parser.parse_args()
for name, part in PARTS.items():
    if arguments.part in {name, "all"}:
        print(f"── {name}: {part.__doc__.splitlines()[0]}", flush=True)
        asyncio.run(part(runs=arguments.runs))
bare.cleanup()
