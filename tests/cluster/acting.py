"""Acts on a cluster in processes of its own, forked with the platform loaded, each of which may be told at which write to die.

Reads a JSON object a line: `platform` (the block's fields), `owner`, `takeover`, `acts` (what to do in turn, as ["shift", 25]), `done`
(a file that gets a line for every act that ended), `writes` (one for the points passed), and `kill_at` (the point at which the
process kills itself, 0 for never). Every write passes two points: before it is sent, and when its answer is there. Answers each with the
process's id.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from pathlib import Path
from typing import Any

from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.platform import KubernetesPlatform
from tests.forking import serve

READY_SECONDS = 60


def main() -> None:
    """Load, then fork for every line."""
    import kubernetes  # noqa: F401, PLC0415 - so that no fork loads it again

    serve(become, log="writes")


def become(request: dict[str, Any]) -> None:
    """Act to the end, or to death."""
    arm(Path(request["writes"]), kill_at=request["kill_at"])
    asyncio.run(act(request))


async def act(request: dict[str, Any]) -> None:
    """Claim, do what is asked in turn, and remember each act once it has ended, as a flow does."""
    platform = KubernetesPlatform(**request["platform"])
    lease = await platform.acquire_lease(request["owner"], takeover=request["takeover"])
    for name, *values in request["acts"]:
        if name == "prepare":
            await platform.prepare(values[0], lease, timeout_seconds=READY_SECONDS)
        elif name == "shift":
            await platform.shift(values[0], lease)
        else:
            await getattr(platform, name)(lease)
        remember(Path(request["done"]), f"{name} {' '.join(map(str, values))}")


def remember(file: Path, what: str) -> None:
    """Write a line."""
    with file.open("a") as lines:
        lines.write(f"{what}\n")


def arm(file: Path, *, kill_at: int) -> None:
    """Count both sides of every write, and die at one; Events, which tell a story and change nothing, are left out."""
    numbers, points, send = itertools.count(1), file.open("a", buffering=1), Cluster.send

    def pass_point(what: str) -> None:
        number = next(numbers)
        points.write(f"{number} {what}\n")
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(self: Cluster, method: str, path: str, **more: Any) -> Any:
        if method == "GET" or path.endswith("/events"):
            return send(self, method, path, **more)
        what = f"{method} {'/'.join(path.rsplit('/', 2)[1:])}"
        pass_point(f"before {what}")
        answer = send(self, method, path, **more)
        pass_point(f"after {what}")
        return answer

    Cluster.send = counted  # type: ignore[method-assign, assignment]


if __name__ == "__main__":
    main()
