"""Print how often the judgement errs and how soon it decides: `python -m benchmarks.judgement --streams 2000`."""

from __future__ import annotations

import argparse
import time

from benchmarks.judgement import tables

PARTS = {
    "speed": ("Speed", lambda _: tables.speed()),
    "alarms": ("False alarms: a canary exactly as bad as allowed, looked at after every request", tables.false_alarms),
    "requests": ("The same, drawn one request at a time with every question asked after each", tables.every_request),
    "detection": ("Detection: canary requests until failed, looked at after every request", tables.detection),
    "passing": ("Passing: a canary like its baseline, tolerance 1 point", tables.passing),
    "others": ("Beside fixed thresholds and a rank test", tables.beside_others),
}


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=10_000, help="streams a case (default 10,000; about 40 minutes on 2 slow cores)")
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    arguments = parser.parse_args()
    for name, (title, table) in PARTS.items():
        if arguments.part in (name, "all"):
            began = time.perf_counter()
            print(f"\n## {title}\n", flush=True)
            for line in table(arguments.streams):
                print(line, flush=True)
            print(f"\n{arguments.streams:,} streams a case, {time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
