"""What is seen of a local environment from outside, and the running side of a revision that it is seen of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from blocks.local.state.counts import Tally
from blocks.local.state.file import State


class RunView(TypedDict):
    """What is seen of one revision: `role` is baseline, canary or leaving; `accepting` says whether requests reach it now.

    `stranger` names what else listens on its port, or is empty.
    """

    id: str
    version: str
    role: str
    port: int
    pid: int | None
    accepting: bool
    exits: int
    last_exit: str
    stranger: str
    failed: str | None
    in_flight: int


class View(TypedDict):
    """What is seen of an environment; `change` rises whenever any of it changed."""

    change: int
    service: str
    port: int
    admin_port: int
    owner: str | None
    generation: int
    baseline: str | None
    canary: str | None
    percent: int
    previous: str | None
    runs: list[RunView]


@dataclass
class Run:
    """The running side of one revision."""

    id: str
    tally: Tally
    accepting: asyncio.Event = field(default_factory=asyncio.Event)
    doubted: asyncio.Event = field(default_factory=asyncio.Event)
    retiring: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: int = 0
    exits: int = 0
    last_exit: str = ""
    stranger: str = ""
    listening: frozenset[int] | None = None
    began: int = 0

    def doubt(self) -> None:
        """Let no further request in until it is known that the revision still listens itself."""
        self.accepting.clear()
        self.doubted.set()

    def enter(self) -> None:
        """Note a request that is on its way through this revision."""
        self.in_flight += 1
        self.idle.clear()

    def leave(self) -> None:
        """Note that it is done."""
        self.in_flight -= 1
        if not self.in_flight:
            self.idle.set()


def view(state: State, runs: Mapping[str, Run], *, change: int) -> View:
    """Describe an environment for its clients; with no runs it is one that was stopped."""
    versions = {key: revision["version"] for key, revision in state["revisions"].items()}
    return View(
        change=change,
        service=state["service"],
        port=state["port"],
        admin_port=state["admin_port"],
        owner=state["owner"],
        generation=state["generation"],
        baseline=versions.get(state["baseline"] or ""),
        canary=versions.get(state["canary"] or ""),
        percent=state["percent"],
        previous=state["previous"],
        runs=[_run_view(state, key, runs.get(key)) for key in state["revisions"]],
    )


def _run_view(state: State, key: str, run: Run | None) -> RunView:
    revision = state["revisions"][key]
    role = "baseline" if key == state["baseline"] else "canary" if key == state["canary"] else "leaving"
    return RunView(
        id=key,
        version=revision["version"],
        role=role,
        port=revision["port"],
        pid=revision["pid"],
        accepting=bool(run and run.accepting.is_set()),
        exits=run.exits if run else 0,
        last_exit=run.last_exit if run else "",
        stranger=run.stranger if run else "",
        failed=revision["failed"],
        in_flight=run.in_flight if run else 0,
    )


def in_words(seen: View) -> list[str]:
    """Say in a few lines for an operator what is seen."""
    metrics = f", metrics on http://127.0.0.1:{seen['admin_port']}/metrics" if seen["admin_port"] else ""
    head = f"{seen['service']} on http://127.0.0.1:{seen['port']}{metrics}; canary at {seen['percent']} %"
    return [head, *(_run_in_words(run) for run in seen["runs"])]


def _run_in_words(run: RunView) -> str:
    condition = "is serving" if run["accepting"] else f"has failed: {run['failed']}" if run["failed"] else "is not ready"
    condition += f" ({run['stranger']})" if run["stranger"] else ""
    exits = f", exited {run['exits']} time(s), last {run['last_exit']}" if run["exits"] else ""
    return f"{run['version']} ({run['role']}) {condition}: process {run['pid'] or 'none'}, {run['in_flight']} request(s) in flight{exits}"
