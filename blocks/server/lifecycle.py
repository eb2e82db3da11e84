"""Start and end the server stack, and say when it is ready; all of it may be done twice."""

from __future__ import annotations

import signal
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from blocks import processes
from blocks.errors import Permanent, Refused
from blocks.server import api, keeper_watch, layout, postgres, problems, settings, sockets, supervisor, worker
from blocks.server import port as port_of

GRACE_SECONDS = 10
DOWN_SECONDS = 90
LOOK_AGAIN_SECONDS = 0.5


def start(home: Path, *, port: int | None = None, auth: bool | None = None) -> layout.Facts:
    """Make the home directory if there is none and start its supervisor; returns at once.

    Args:
        home: The home directory, absolute.
        port: Port of the server; None keeps the remembered one, or takes a free one.
        auth: Whether the API asks for a password; None keeps it.

    Returns:
        The facts; the port is another one if the remembered one was taken while the stack was down.

    Raises:
        Refused: The folder is not ours, the asked port is taken, the stack runs with other settings, or SHIPWAY_KEY_FILE contradicts.
        Permanent: The database cannot run on this machine.
    """
    running = is_running(home)
    before = layout.read_facts(home) if running else None
    facts = layout.make_home(home, port=port, auth=auth) if before is None else before
    layout.expect_same_key(home)
    layout.set_modes(home)  # of a running one, too: the user for services may be new
    if before is not None and ((port or before["port"]) != before["port"] or (before["auth"] if auth is None else auth) != before["auth"]):
        message = f"the server stack in {home} runs with other settings; end it with `shipway down` first"
        raise Refused(message)
    if processes.recorded(home / "run" / "server.pid") is None and not port_of.is_free(facts["port"]):
        if port is not None:
            message = f"port {port} is taken; leave --port away, or choose another one"
            raise Refused(message)
        facts = layout.make_home(home, port=layout.free_port(), auth=auth)
    _supervise(home)
    return facts


def _supervise(home: Path) -> None:
    pid = home / "run" / "supervisor.pid"
    if problems.hopeless(home) is not None:  # the cause may be fixed: a new supervisor tries at once, and adopts what runs
        processes.stop(pid, with_signal=signal.SIGKILL, timeout_seconds=5)
    if processes.recorded(pid) is None:
        postgres.check(home)
        problems.forget(home)
        argv = [sys.executable, "-m", "blocks.server.supervisor", str(home)]
        log = home / "logs" / "supervisor.log"
        processes.start(argv, name="starting", run=home / "run", log=log, env=settings.inherited(), cwd=settings.PROJECT)


def check(home: Path) -> None:
    """See if the server stack can still become ready.

    Raises:
        Permanent: It cannot; carries the supervisor's reason.
    """
    reason = problems.hopeless(home)
    if reason is not None:
        raise Permanent(reason)
    if not _is_supervised(home):
        time.sleep(LOOK_AGAIN_SECONDS)  # of two that start at once one gives way before the other has written itself down
    if not _is_supervised(home):
        log = home / "logs" / "supervisor.log"
        message = f"the supervisor has ended; see {log}. Its last line: {_last_lines(log, lines=1)}"
        raise Permanent(message)


def _is_supervised(home: Path) -> bool:
    return any(processes.recorded(home / "run" / f"{name}.pid") is not None for name in ("starting", "supervisor"))


def is_running(home: Path) -> bool:
    """Say if any process of the server stack lives."""
    names = ["supervisor", *(service.name for service in supervisor.SERVICES)]
    return any(processes.recorded(home / "run" / f"{name}.pid") is not None for name in names)


def wait_for_server(home: Path, *, timeout_seconds: float) -> None:
    """Return once the API answers.

    Raises:
        Permanent: It does not in time; carries the last lines of its log.
    """
    _wait(home, "server", api.is_healthy, timeout_seconds=timeout_seconds)


def wait_for_worker(home: Path, *, timeout_seconds: float) -> None:
    """Return once the workers that run now have reported to the server.

    Raises:
        Permanent: It does not in time; carries the last lines of its log.
    """
    deadline = time.monotonic() + timeout_seconds
    for name in worker.WORKERS:
        _wait(home, name, partial(_worker_is_online, name=name), timeout_seconds=deadline - time.monotonic())


def _wait(home: Path, name: str, ready: Any, *, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not ready(home):
        check(home)
        if time.monotonic() > deadline:
            log = home / "logs" / f"{name}.log"
            message = f"the {name} was not ready within {timeout_seconds:.0f} s; see {log}. Its last lines:\n{_last_lines(log, lines=15)}"
            raise Permanent(message)
        time.sleep(0.1)


def _last_lines(log: Path, *, lines: int) -> str:
    words = log.read_text(errors="replace").strip().splitlines()[-lines:] if log.exists() else []
    return "\n".join(words) or "it wrote nothing"


def _worker_is_online(home: Path, *, name: str) -> bool:
    try:
        begun = (home / "run" / f"{name}.pid").stat().st_mtime
        seen = worker.last_seen(home, worker.WORKERS[name])
    except (OSError, ValueError):
        return False
    if seen is None or seen["status"] != "ONLINE" or processes.recorded(home / "run" / f"{name}.pid") is None:
        return False
    return datetime.fromisoformat(seen["last_heartbeat_time"]).astimezone(UTC).timestamp() >= begun


def runs_under_way(home: Path) -> list[str]:
    """Name the flow runs that hold a process, or should, with id and state; empty if the server is down.

    Those of the keeper are left out: they may be killed at any moment.
    """
    states = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}
    asked = {"flow_runs": {"state": states, "parent_task_run_id": {"is_null_": True}}, "limit": 100}
    try:
        runs = api.ask(home, "/flow_runs/filter", asked)
        flows = {flow["id"]: flow["name"] for flow in api.ask(home, "/flows/filter", {"flows": {"id": {"any_": _flows_of(runs)}}})}
    except (OSError, ValueError):
        return []
    named = [(flows.get(run["flow_id"], ""), run) for run in runs]
    return [f"{_name(flow, run['name'])} ({run['id'][:8]}, {run['state_name']})" for flow, run in named if flow != keeper_watch.FLOW]


def _name(flow: str, run: str) -> str:
    """Name a run with its flow: the run itself has a random name until it begins."""
    return run if flow in run else f"{flow} {run}"


def _flows_of(runs: list[dict[str, Any]]) -> list[str]:
    return sorted({run["flow_id"] for run in runs})


def stop(home: Path, *, now: bool) -> None:
    """End the server stack; its data stay.

    Args:
        home: The home directory.
        now: End runs that are under way too; they stay Running at the server, and the keeper puts them back to work after the next start.

    Raises:
        Refused: The folder is not a Shipway home, or runs are under way and `now` is false.
    """
    layout.read_facts(home)
    deadline = time.monotonic() + GRACE_SECONDS
    while not now and (runs := runs_under_way(home)):
        if time.monotonic() > deadline:
            message = f"{len(runs)} run(s) are under way: {', '.join(runs)}; wait for them, cancel them, or use `shipway down --now`"
            raise Refused(message)
        time.sleep(0.5)
    processes.stop(home / "run" / "supervisor.pid", with_signal=signal.SIGTERM, timeout_seconds=DOWN_SECONDS)
    supervisor.stop_services(home)
    processes.stop(home / "run" / "starting.pid", with_signal=signal.SIGTERM, timeout_seconds=5)
    sockets.remove(home)
