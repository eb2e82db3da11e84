"""The worker of a work queue, which refuses what needs no process. Run as `python -m flows.worker HOME QUEUE`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from blocks.server import port, worker

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun


async def refuse(run: FlowRun) -> bool:
    """Refuse a release of a service that another run holds, as its plan says; imported late, since the server starts faster alone."""
    from tasks.refusal import refuse_if_busy  # noqa: PLC0415

    return await refuse_if_busy(run)


if __name__ == "__main__":
    home, queue = Path(sys.argv[1]), sys.argv[2]
    port.hold(home)
    with contextlib.suppress(asyncio.CancelledError, KeyboardInterrupt):
        asyncio.run(worker.work(home, queue, refuse=refuse))
