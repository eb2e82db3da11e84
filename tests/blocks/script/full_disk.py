"""Deploy by scripts that fill the disk on which their runs are kept, and print what came of it: `full_disk.py PLACE FOLDER KIND`.

At PLACE a small file system is mounted, FOLDER is on a disk with room. KIND is `machine` or `host`: whose disk is full.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

from blocks import processes
from blocks.errors import RolloutFailed, Temporary
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from tests.blocks.script.hosts.farms import Farm
from tests.blocks.script.hosts.local_hosts import LocalHost

KEPT, UNKEPT, FAILS = "1.1", "1.2-unkept", "1.3-fails"
SCRIPT = """#!/bin/sh
set -eu
case $1 in
deploy)
    echo "begins with $2"
    (while sleep 0.1; do echo still here; done) & echo $! >pid
    echo "$2" >version
    case $2 in *unkept*) find "$PLACE" -name result.new -delete ;; esac
    cat /dev/zero 2>/dev/null >"$PLACE/filler" || true
    case $2 in *fails*) exit 3 ;; esac
    ;;
rollback) echo "$2" >version ;;
status) cat version ;;
esac
"""


def platform_of(kind: str, place: Path, folder: Path) -> ScriptPlatform | ScriptHosts:
    """Give the environment, whose runs are kept at the place."""
    fields: dict[str, Any] = {
        "scripts": {
            "deploy": ["./app.sh", "deploy", "{version}"],
            "status": ["./app.sh", "status"],
            "verify": ["./app.sh", "verify"],
            "rollback": ["./app.sh", "rollback", "{previous}"],
        },
        "working_directory": str(folder),
        "environment": {"PLACE": str(place)},
    }
    if kind == "host":
        return Farm(folder / "notes", {"web-1": LocalHost("web-1", place)}).platform(**fields, python=sys.executable)
    return ScriptPlatform(service="app", address="http://127.0.0.1:1", folder=str(place / "notes"), stop_seconds=0.2, **fields)


async def deployed(platform: ScriptPlatform | ScriptHosts, version: str, place: Path, folder: Path) -> dict[str, Any]:
    """Deploy a version that fills the disk; say what is left of its run a moment later."""
    lease = await platform.acquire_lease(version)
    await platform.prepare(version, lease, timeout_seconds=20)
    await platform.shift(100, lease)
    found = {"is_full": not has_room(place), "ended": result_of(newest_run(place))}
    await asyncio.sleep(0.7)  # some lines of the service
    found["lives"] = processes.start_time(int((folder / "pid").read_text())) is not None
    found["is_recorded"] = processes.recorded(newest_run(place) / "process.json") is not None
    free(place)
    await platform.promote(lease)
    await platform.release_lease(lease)
    end_service(folder)
    return found


async def main(place: Path, folder: Path, kind: str) -> None:
    """Fill the disk in each way, and roll back."""
    (folder / "app.sh").write_text(SCRIPT)
    (folder / "app.sh").chmod(0o755)
    (folder / "version").write_text("1.0\n")
    platform = platform_of(kind, place, folder)
    found: dict[str, Any] = {}
    try:
        for version in (KEPT, UNKEPT):
            found[version] = await deployed(platform, version, place, folder)
        lease = await platform.acquire_lease(FAILS)
        await platform.prepare(FAILS, lease, timeout_seconds=20)
        for what in (platform.shift(100, lease), roll_back(platform)):
            try:
                await what
            except (RolloutFailed, Temporary) as error:
                found.setdefault("errors", []).append(str(error))
        free(place)
        await roll_back(platform)
        found["at_last"] = (folder / "version").read_text().strip()
    finally:
        end_service(folder)
    sys.stdout.write(json.dumps(found))


async def roll_back(platform: ScriptPlatform | ScriptHosts) -> None:
    """Take the environment over, and have the script before serve."""
    await platform.abort(await platform.acquire_lease("rollback", takeover=True))


def newest_run(place: Path) -> Path:
    """Give the folder of the newest run at the place."""
    return max((path for path in place.rglob("runs/*") if path.name.isdigit()), key=lambda path: int(path.name))


def result_of(run: Path) -> int | None:
    """Give the exit code that was written down; None if there is none."""
    with suppress(FileNotFoundError):
        return int(json.loads((run / "result.json").read_text())["exit_code"])
    return None


def has_room(place: Path) -> bool:
    """Say whether a byte can be written."""
    try:
        (place / "byte").write_bytes(b"1")
    except OSError:
        return False
    finally:
        (place / "byte").unlink(missing_ok=True)
    return True


def free(place: Path) -> None:
    """Make room."""
    (place / "filler").unlink(missing_ok=True)


def end_service(folder: Path) -> None:
    """End what a script left running."""
    with suppress(OSError, ValueError):
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
