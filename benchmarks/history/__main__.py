"""How long the past takes: `python -m benchmarks.history [--releases N] [--runs N]`.

Each command is a process of its own, as people start it. The baseline of the same run is a Python that imports Prefect and reads every file
that was kept of these releases, without looking into it. At most 10 s and 500 MB are asked for, with 10,000 releases, on a
machine that does nothing else; the seconds of the processor tell what a busy one adds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MOST_SECONDS, MOST_MB = 10.0, 500.0
BASELINE = """
import sys, pathlib, prefect
print(sum(len(path.read_bytes()) for name in ("facts", "heads") for path in pathlib.Path(sys.argv[1], name).iterdir()))
"""
COMMANDS = (
    ["history"],
    ["history", "--limit", "10000", "--csv"],
    ["history", "--service", "service-7", "--outcome", "rolled_back"],
    ["metrics"],
    ["metrics", "--since", "30d", "--html", "{home}/report.html"],
)


async def compare(*, releases: int, runs: int) -> None:
    """Make the past on a server of its own, and measure each command."""
    from blocks.server import lifecycle
    from blocks.server.settings import enter
    from flows.commands import up

    folder = Path(tempfile.mkdtemp(prefix="shipway-bench-"))
    home = folder / "home"
    try:
        await asyncio.to_thread(up.start_stack, home, auth=False)
        enter(home)
        from benchmarks.history.past import list_on_server, make

        begun = time.perf_counter()
        await list_on_server(home, await make(home / "storage", releases))
        print(f"   {releases:,} releases were made in {time.perf_counter() - begun:.0f} s", flush=True)
        base, base_cpu, _ = _measured([sys.executable, "-c", BASELINE, str(home / "keys")], runs=runs)
        print(f"   baseline {base:.2f} s ({base_cpu:.2f} s of the processor)", flush=True)
        for words in COMMANDS:
            command = [str(Path(sys.executable).with_name("shipway")), *(word.format(home=home) for word in words), "--home", str(home)]
            seconds, cpu, megabytes = _measured(command, runs=runs)
            is_good = seconds <= MOST_SECONDS and megabytes < MOST_MB
            took = f"{seconds:.2f} s ({cpu:.2f} s of the processor), {megabytes:.0f} MB"
            said = f"shipway {' '.join(words)}: {took}; ratio {seconds / base:.1f} ({cpu / base_cpu:.1f})"
            print(f"   {said}{'' if is_good else ': MORE THAN IS ASKED FOR'}", flush=True)
    finally:
        await asyncio.to_thread(lifecycle.stop, home, now=True)
        shutil.rmtree(folder, ignore_errors=True)


def _measured(command: list[str], *, runs: int) -> tuple[float, float, float]:
    """Give the medians of the seconds that a command takes, in all and of the processor, and the most memory that it held, in MB."""
    seconds, cpu, memory = [], [], 0.0
    for _ in range(runs):
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(time.perf_counter() - begun)
        cpu.append(used.ru_utime + used.ru_stime)
        assert process.returncode == 0, command
        memory = max(memory, used.ru_maxrss / 1024)
    return statistics.median(seconds), statistics.median(cpu), memory


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(compare(releases=arguments.releases, runs=arguments.runs))
