"""Run the frame's benchmarks: `python -m benchmarks.frame [--part release|help|probe|waiting|all] [--runs N]`.

Each prints a ratio against a baseline of the same run, because machines differ and are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib

# Imported when it runs: Prefect reads its settings when it is imported, and the release part makes a server of its own first.
PARTS = {"release": ("release", "compare"), "waiting": ("release", "waiting"), "help": ("start", "compare"), "probe": ("probe", "compare")}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
parser.add_argument("--runs", type=int, default=3)
arguments = parser.parse_args()
for name, (module, function) in PARTS.items():
    if arguments.part in {name, "all"}:
        part = getattr(importlib.import_module(f"benchmarks.frame.{module}"), function)
        print(f"── {name}: {part.__doc__.splitlines()[0]}", flush=True)
        asyncio.run(part(runs=arguments.runs))
importlib.import_module("benchmarks.frame.bare").cleanup()
