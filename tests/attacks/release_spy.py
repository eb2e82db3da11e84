"""Run the spy as a service of the local platform, a command of a plan and a script, and print what it found: `release_spy.py HOME`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from blocks.local.platform import LocalPlatform
from blocks.runner import service_runner, why_not
from blocks.script.platform import ScriptPlatform
from blocks.server import doctor, layout, settings
from tasks.process.commands import run_foreign_command

SPY = str(Path(__file__).with_name("spy.py"))


async def from_scripts(home: Path) -> list[dict[str, Any]]:
    """Give what scripts find: `status`, which only reads, and `deploy`, which its wrapper runs."""
    with tempfile.TemporaryDirectory() as name:
        await asyncio.to_thread(os.chmod, name, 0o777)
        read, deployed = Path(name, "read"), Path(name, "deployed")
        spy = [sys.executable, SPY, "-", str(home)]
        platform = ScriptPlatform(
            service="spy",
            address="http://127.0.0.1:1",
            scripts={
                "deploy": [*spy, str(deployed)],
                "status": [*spy, str(read), str(deployed)],
                "verify": ["true"],
                "rollback": ["true"],
            },
            working_directory="/",
            environment={"GIVEN": "yes"},
            folder=str(home / "scripts" / "spy"),
        )
        lease = await platform.acquire_lease("run-1")
        await platform.prepare("1.0", lease, timeout_seconds=20)
        await platform.shift(100, lease)
        return [json.loads(one.read_text()) for one in (read, deployed)]


async def main(home: Path) -> None:
    """Do as a release does."""
    layout.make_home(home, port=None, auth=None)
    os.environ |= settings.environment(home)
    platform = LocalPlatform(
        service="spy", folder=str(home / "local" / "x"), command=[sys.executable, SPY, "{port}", str(home)], environment={"GIVEN": "yes"}
    )
    lease = await platform.acquire_lease("run-1")
    try:
        await platform.prepare("1.0", lease, timeout_seconds=20)
        async with httpx.AsyncClient() as client:
            service = (await client.get((await platform.endpoints())["canary"])).json()
    finally:
        await platform.stop()
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, SPY, "-", str(home)]
        ended = await run_foreign_command(command, folder="/", timeout_seconds=20, scratch=Path(scratch), environment={"GIVEN": "yes"})
    said = doctor._users(home)
    mode = await asyncio.to_thread(home.stat)
    users = [one.uid for name in ("x", "y") if (one := service_runner(home / "local" / name, home / "local" / name / "data"))]
    found = {
        "users": users,
        "service": service,
        "command": json.loads(ended.output),
        "scripts": await from_scripts(home),
        "why": why_not(),
        "doctor": said.text,
        "mode": mode.st_mode,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
