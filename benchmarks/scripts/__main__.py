"""What scripts cost: `python -m benchmarks.scripts [--part hosts|release] [--hosts 100] [--at-once 25] [--seconds N] [--runs 1]`.

hosts: the platform deploys a version to all hosts in batches, as a release's one step does: prepared, deployed, read by `status` and
`verify`, promoted; 10 s of script. Against it, in turn: a loop of asyncssh that connects to the hosts of a batch, runs the same script, and
learns its exit code. All hosts are addresses of this machine, so what a host's own processor does is paid here, by both.
release: a release by scripts of this machine, staging and production without watch times, 15 s of script in each. Against it, in turn: the
same script run by hand in both, each with one look at the version that is served.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import asyncssh

from benchmarks.scripts import release
from benchmarks.scripts.farm import Farm, raised


async def bare(farm: Farm, version: str, *, at_once: int) -> float:
    """Deploy as a loop does."""
    begun = time.perf_counter()
    options = {
        "username": farm.user, "client_keys": [asyncssh.import_private_key(farm.key)], "config": None, "agent_path": None,
        "known_hosts": asyncssh.import_known_hosts("\n".join(farm.known_hosts) + "\n"),
    }  # fmt: skip

    async def deploy(host: str) -> None:
        address, _, port = host.partition(":")
        async with asyncssh.connect(address, int(port), **options) as connection:
            await connection.run(f'cd "$HOME" && ./app.sh deploy {version}', check=True)

    for begin in range(0, len(farm.hosts), at_once):
        await asyncio.gather(*(deploy(host) for host in farm.hosts[begin : begin + at_once]))
    return time.perf_counter() - begun


async def ours(farm: Farm, version: str, *, at_once: int, folder: Path) -> float:
    """Deploy by the platform."""
    from blocks.script.hosts.platform import ScriptHosts

    scripts = {"deploy": ["./app.sh", "deploy", "{version}"], "status": ["./app.sh", "status"]}
    scripts |= {"verify": ["./app.sh", "verify", "{version}"], "rollback": ["./app.sh", "deploy", "{previous}"]}
    access = {"hosts": farm.hosts, "user": farm.user, "key": farm.key, "known_hosts": farm.known_hosts, "at_once": at_once}
    fields = {"service": "app", "address": "http://app", "scripts": scripts, "folder": str(folder / "notes")}
    platform = ScriptHosts.model_validate({**fields, **access})
    begun = time.perf_counter()
    lease = await platform.acquire_lease("benchmark")
    await platform.prepare(version, lease, timeout_seconds=60)
    await platform.shift(100, lease)
    await platform.promote(lease)
    await platform.release_lease(lease)
    return time.perf_counter() - begun


async def compare(*, hosts: int, at_once: int, seconds: float, runs: int) -> None:
    """In turn; at most 1.5 is asked for."""
    whole, loop = [], []
    with tempfile.TemporaryDirectory(prefix="shipway-bench-") as place, raised(Path(place), hosts, seconds=seconds) as farm:
        for number in range(runs):
            loop.append(await bare(farm, f"2.{number}", at_once=at_once))
            for host in farm.hosts:
                (Path(place) / host.partition(":")[0] / "version").write_text("1.0\n" if number == 0 else f"3.{number - 1}\n")
            whole.append(await ours(farm, f"3.{number}", at_once=at_once, folder=Path(place)))
            load = os.getloadavg()[0]
            print(f"   run {number}: platform {whole[-1]:.1f} s, loop {loop[-1]:.1f} s, load {load:.1f}", flush=True)
    ratio = statistics.median(whole) / statistics.median(loop)
    print(f"   {hosts} hosts, {at_once} at once, {seconds:g} s of script: ratio {ratio:.2f} (1.5 is asked for)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["hosts", "release", "all"], default="all")
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=25)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--runs", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.part in {"hosts", "all"}:
        seconds = arguments.seconds or 10
        asyncio.run(compare(hosts=arguments.hosts, at_once=arguments.at_once, seconds=seconds, runs=arguments.runs))
    if arguments.part in {"release", "all"}:
        asyncio.run(release.compare(seconds=arguments.seconds or 15, runs=arguments.runs))
