"""Runs flow runs in processes of their own, forked with Prefect and our flows loaded; one of them may be told where to die.

Reads a JSON object a line: `run` (flow run id), `flow` (module:name), `points` (a file that gets a line for every point passed), `kill_at`
(the point at which the process kills itself: its number, or how its name begins or ends; 0 for never; behind `stop ` it stops there until
SIGCONT instead). Answers each with the process's id.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect import Flow, Task, get_client
from prefect.client.orchestration import PrefectClient
from prefect.flow_engine import run_flow

import tasks.record.journal
from blocks.git.work_copy import WorkCopy
from blocks.kubernetes.api.client import Cluster
from blocks.local.client import LocalClient
from blocks.local.platform import LocalPlatform
from tests.forking import serve

FLOWS = ("release", "staging", "production", "rollback", "rehearse", "settle", "keeper")
EFFECTS = ("prepare", "promote", "abort")  # those that go on after their order was taken
CHANGES = ("set_flow_run_state", "update_flow_run", "update_flow_run_labels", "create_variable")


def main() -> None:
    """Load, then fork for every line."""
    for name in FLOWS:
        importlib.import_module(f"flows.{name}")
    serve(become, log="points")


def become(request: dict[str, Any]) -> None:
    """Run one flow run to its end, or to its death."""
    arm(Path(request["points"]), kill_at=request["kill_at"])
    asyncio.run(execute(request["run"], request["flow"]))


async def execute(run: str, name: str) -> None:
    """Do what Prefect's engine does with a run of a deployment."""
    module, _, attribute = name.partition(":")
    flow = getattr(importlib.import_module(module), attribute)
    async with get_client() as client:
        flow_run = await client.read_flow_run(run)
    found: Any = run_flow(flow, flow_run=flow_run, parameters=flow_run.parameters, return_type="state")
    await found


def arm(file: Path, *, kill_at: int | str) -> None:
    """Count every point behind an effect on the world, on the server or on the store, and die at one.

    Tasks that only read pass none: between two points nothing changes that another process could see.
    """
    count = itertools.count(1)
    points = file.open("a", buffering=1)
    place = kill_at.removeprefix("stop ") if isinstance(kill_at, str) else ""

    def passed(name: str) -> None:
        number = next(count)
        points.write(f"{number} {name}\n")
        if number == kill_at or (isinstance(kill_at, str) and place and (name.startswith(place) or name.endswith(f" {place}"))):
            os.kill(os.getpid(), signal.SIGSTOP if isinstance(kill_at, str) and place != kill_at else signal.SIGKILL)

    ours = ((LocalPlatform, EFFECTS), (LocalClient, ("order",)), (Cluster, ("call",)), (WorkCopy, ("push", "push_side")))
    for owner, names in ((PrefectClient, CHANGES), *ours):
        for name in names:
            setattr(owner, name, counted(getattr(owner, name), f"{owner.__name__}.{name}", passed))
    Task.__call__ = counted(Task.__call__, "task", passed)  # type: ignore[method-assign]
    Flow.__call__ = counted(Flow.__call__, "flow", passed)  # type: ignore[method-assign]
    tasks.record.journal.store_entry = counted(tasks.record.journal.store_entry, "entry", passed)


def counted(original: Callable[..., Any], name: str, passed: Callable[[str], None]) -> Callable[..., Any]:
    """Pass a point whenever a call has succeeded."""

    async def wait(found: Any, label: str) -> Any:
        result = await found
        if name != "entry" or result[1]:  # what was told before is not a point of its own
            passed(label)
        return result

    def call(*positional: Any, **named: Any) -> Any:
        found = original(*positional, **named)
        observes = isinstance(positional[0], Task) and not positional[0].persist_result
        label = f"{name} {describe(positional, named)}"
        return found if observes or not inspect.isawaitable(found) else wait(found, label)

    return call


def describe(positional: tuple[Any, ...], named: dict[str, Any]) -> str:
    """Name a call for people."""
    if positional and isinstance(positional[0], Task | Flow):
        return str(positional[0].name)
    if "kind" in named:
        share = "" if named["step"] is None else f"{named['step']} %"
        return " ".join(word for word in (named["kind"], named["environment"], share, named["name"]) if word)
    state = next((one.name for one in (*positional, *named.values()) if hasattr(one, "state_details")), "")
    words = [one for one in positional[1:] if isinstance(one, str | int)]
    return f"{state}{' '.join(map(str, words))} {named.get('key', '')}".strip()


if __name__ == "__main__":
    main()
