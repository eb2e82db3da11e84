"""Start a home directory's database, ask it something through its socket, and end it: `python start_database.py HOME`.

A program of its own, so that a test can run it as another user and in other surroundings.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).parents[3]
sys.path.insert(0, str(PROJECT))

from blocks import processes  # noqa: E402 - the path comes first
from blocks.server import layout, postgres, settings, sockets  # noqa: E402

READY_SECONDS = 60


def main(home: Path) -> None:
    """Do as `shipway up` does, for the database alone."""
    layout.make_home(home, port=None, auth=None)
    postgres.check(home)
    postgres.initialise(home)
    log, env = home / "logs" / "database.log", settings.inherited()
    processes.start(postgres.command(home), name="database", run=home / "run", log=log, env=env, cwd=PROJECT)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not postgres.is_ready(home):
            if time.monotonic() > deadline:
                sys.exit(f"not ready: {log.read_text(errors='replace')}")
            time.sleep(0.05)
        sys.stdout.write(f"{asyncio.run(_ask(postgres.url(home)))}\n")
    finally:
        processes.stop(home / "run" / "database.pid", with_signal=postgres.STOP_SIGNAL, timeout_seconds=30)
        sockets.remove(home)


async def _ask(url: str) -> int:
    from sqlalchemy import text  # noqa: PLC0415 - slow to import
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415

    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = int((await connection.execute(text("select 6 * 7"))).scalar_one())
    await engine.dispose()
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
