"""Roll a canary back on a full disk, and print what happened: `fill_disk.py FOLDER`, in which a small file system is mounted."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from blocks.errors import Temporary
from blocks.local.platform import LocalPlatform
from blocks.local.state.file import load_state
from tests.local_environments import SERVICE
from tests.waiting import until


async def main(folder: Path) -> None:
    """Bring a canary to 50 %, fill the disk, roll back."""
    platform = LocalPlatform(service="full", folder=str(folder / "x"), command=[sys.executable, str(SERVICE), "{port}", "fine"])
    lease = await platform.acquire_lease("run-1")
    try:
        await platform.prepare("1.0", lease, timeout_seconds=20)
        await platform.promote(lease)
        await platform.prepare("1.1", lease, timeout_seconds=20)
        await platform.shift(50, lease)
        await asyncio.to_thread(fill, folder / "filler")
        found = {"refused": await refused(platform, lease)}
        rescue = await platform.acquire_lease("rollback", takeover=True)
        await platform.abort(rescue)
        async with httpx.AsyncClient() as client:
            public = (await platform.endpoints())["public"]
            found["answers"] = Counter([(await client.get(public)).text for _ in range(20)])
        found["position"] = await platform.current()
        found["written_while_full"] = written(folder)
        await asyncio.to_thread((folder / "filler").unlink)
        await until(lambda: written(folder) is None, timeout_seconds=10)
    finally:
        (folder / "filler").unlink(missing_ok=True)
        await platform.stop()
    sys.stdout.write(json.dumps(found))


async def refused(platform: LocalPlatform, lease: object) -> str:
    """Give the canary more, which must not be possible now."""
    try:
        await platform.shift(75, lease)  # type: ignore[arg-type]
    except Temporary as error:
        return str(error)
    return ""


def written(folder: Path) -> str | None:
    """Give the canary that the file names."""
    state = load_state(folder / "x")
    return state["canary"] if state else "none"


def fill(file: Path) -> None:
    """Write until nothing more fits."""
    with file.open("wb", buffering=0) as filler:
        for size in (65_536, 4_096, 1):
            try:
                while True:
                    filler.write(os.urandom(size))
            except OSError:
                continue


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
