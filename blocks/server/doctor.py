"""What can be wrong with a server stack and its machine: one finding a line, each with its fix."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal

from blocks import processes
from blocks.errors import Refused
from blocks.runner import NAME, closed_to_it, runner, why_not
from blocks.server import api, automations, deployed, keeper_watch, layout, port, postgres, problems, result_block, supervisor, worker

PREFECT_VERSION = "3.9.1"
LEAST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 500_000_000
WORKER_LATE_SECONDS = 30
DRIFT_SECONDS = 2


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `fix` says what to do if it is not well."""

    level: Literal["ok", "warn", "fail"]
    subject: str
    text: str
    fix: str = ""


def examine(home: Path) -> Iterator[Finding]:
    """Look at everything, in the order in which it depends on each other; a check that itself breaks is a failure."""
    checks: list[Callable[[Path], Finding]] = [_python, _prefect, _git, _home, _users, _storage, _supervisor, _database, _port, _server]
    yield from (guarded(check, home) for check in checks)
    if api.is_healthy(home):
        there = (_clock, _pool, _queues, _deployments, _automations, _server_storage, _result_block, _worker, _urgent_worker, _keeper)
        yield from (guarded(check, home) for check in there)


def guarded(check: Callable[[Path], Finding], home: Path) -> Finding:
    """Make a check; one that itself breaks is a failure."""
    try:
        return check(home)
    except urllib.error.HTTPError as error:
        fix = "compare keys/api.auth with the server's password; `shipway down` and `shipway up` use the same one"
        return Finding("fail", check.__name__.strip("_"), f"the server answered {error.code}", fix)
    except Exception as error:  # noqa: BLE001 - a doctor goes on to the next organ
        return Finding("fail", check.__name__.strip("_"), f"could not be checked: {error}", f"look at {home / 'logs'}")


def _python(_home: Path) -> Finding:
    version, running = platform.python_version(), tuple(sys.version_info)
    if running >= LEAST_PYTHON:
        return Finding("ok", "python", version)
    return Finding("fail", "python", version, "use Python 3.11 or newer")


def _prefect(_home: Path) -> Finding:
    version = importlib.metadata.version("prefect")
    if version == PREFECT_VERSION:
        return Finding("ok", "prefect", version)
    return Finding("warn", "prefect", f"{version}; tried with {PREFECT_VERSION}", "install from requirements.lock")


def _git(_home: Path) -> Finding:
    path = shutil.which("git")
    return Finding("ok", "git", path) if path else Finding("fail", "git", "not found", "install git; change logs are read with it")


def _home(home: Path) -> Finding:
    layout.read_facts(home)
    mode = 0o711 if runner() else 0o700
    if home.stat().st_mode & 0o777 & ~mode:
        return Finding("warn", "home", f"{home} is open to others", f"chmod {mode:o} {home}")
    return Finding("ok", "home", str(home))


def _users(home: Path) -> Finding:
    why = why_not()
    if (closed := closed_to_it(home / "local" / "NAME")) is not None:
        fix = f"shipway up --home {home} opens it to those who only pass" if closed.is_relative_to(home) else ""
        text = f"{NAME}, which runs the services, cannot pass {closed}"
        return Finding("fail", "users", text, fix or "choose another home directory with --home")
    if not why:
        text = f"a plan's commands run as {NAME}, each local environment's services under an id of their own; they can read no key"
        return Finding("ok", "users", text)
    text = f"one user ({why}): the code under release and its tests can read the approval key, so no approval protects against them"
    return Finding("ok", "users", text)


def _storage(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    probe = home / "storage" / f".probe-{os.getpid()}"
    with probe.open("x") as file:  # "x" follows no link that others may have put there
        file.write("probe")
    probe.unlink()
    if free < LEAST_FREE_BYTES:
        return Finding("warn", "storage", f"{free // 1_000_000} MB free", "free some disk; a full one stops the database")
    return Finding("ok", "storage", f"writable, {free // 1_000_000_000} GB free")


def _supervisor(home: Path) -> Finding:
    missing = [name for name in ("supervisor", *_services()) if processes.recorded(home / "run" / f"{name}.pid") is None]
    if missing:
        reason = problems.hopeless(home)
        text = f"not running: {', '.join(missing)}{f'; {reason}' if reason else ''}"
        return Finding("fail", "processes", text, f"shipway up --home {home}")
    return Finding("ok", "processes", f"supervisor and {', '.join(_services())}")


def _services() -> list[str]:
    return [service.name for service in supervisor.SERVICES]


def _database(home: Path) -> Finding:
    if postgres.is_ready(home):
        return Finding("ok", "database", "takes connections")
    return Finding("fail", "database", "takes no connections", f"look at {home / 'logs' / 'database.log'}, then shipway up --home {home}")


def _port(home: Path) -> Finding:
    number = layout.read_facts(home)["port"]
    fix = f"shipway up --home {home} takes another one and says so"
    try:
        port.hold(home)
    except Refused as error:
        return Finding("fail", "port", str(error), fix)
    if processes.recorded(home / "run" / "server.pid") is None and not port.is_free(number):
        return Finding("warn", "port", f"{number} is held by another program of this user", fix)
    return Finding("ok", "port", str(number))


def _server(home: Path) -> Finding:
    begun = time.monotonic()
    if api.is_healthy(home):
        return Finding("ok", "server", f"{layout.api_url(home)} answers in {(time.monotonic() - begun) * 1000:.0f} ms")
    return Finding("fail", "server", f"{layout.api_url(home)} does not answer", f"look at {home / 'logs' / 'server.log'}")


def _clock(home: Path) -> Finding:
    there = parsedate_to_datetime(api.date_header(home)).timestamp()
    drift = there - time.time()
    if abs(drift) > DRIFT_SECONDS:
        return Finding(
            "fail", "clock", f"the server's clock is {drift:+.0f} s from ours", "set both by NTP; times of answers and windows depend on it"
        )
    return Finding("ok", "clock", "agrees with the server")


def _pool(home: Path) -> Finding:
    pool = api.ask(home, f"/work_pools/{worker.POOL}")
    if pool["is_paused"]:
        return Finding("fail", "pool", f"{worker.POOL} is paused", f"prefect work-pool resume {worker.POOL}")
    return Finding("ok", "pool", f"{worker.POOL}, {pool['status'] or 'no status yet'}")


def _queues(home: Path) -> Finding:
    pool, found = api.ask(home, f"/work_pools/{worker.POOL}"), api.ask(home, f"/work_pools/{worker.POOL}/queues/filter", {})
    queues = {one["name"]: one for one in found if one["name"] in worker.PRIORITIES}
    if missing := ", ".join(sorted({*worker.PRIORITIES} - {*queues})):
        return Finding("fail", "queues", f"{worker.POOL} has no queue {missing}", f"shipway up --home {home} makes it")
    if paused := [name for name, one in queues.items() if one["is_paused"]]:
        fix = "; ".join(f"prefect work-queue resume {name} --pool {worker.POOL}" for name in paused)
        return Finding("fail", "queues", f"paused: {', '.join(paused)}; its runs are not started", fix)
    if pool["concurrency_limit"] is not None:
        text = f"the pool {worker.POOL} has the concurrency limit {pool['concurrency_limit']}, which holds rollbacks up, too"
        return Finding("fail", "queues", text, f"prefect work-pool clear-concurrency-limit {worker.POOL}")
    if (limit := queues[worker.URGENT]["concurrency_limit"]) is not None:
        text = f"{worker.URGENT} has the concurrency limit {limit}, which holds rollbacks up"
        return Finding("fail", "queues", text, f"prefect work-queue clear-concurrency-limit {worker.URGENT} --pool {worker.POOL}")
    if queues[worker.RELEASES]["concurrency_limit"] == 0:
        fix = f"prefect work-queue set-concurrency-limit {worker.RELEASES} {worker.RELEASES_AT_ONCE} --pool {worker.POOL}"
        return Finding("fail", "queues", f"{worker.RELEASES} has the concurrency limit 0: no release is started", fix)
    return Finding("ok", "queues", ", ".join(queues))


def _deployments(home: Path) -> Finding:
    known = deployed.known(home)
    fix = f"shipway up --home {home} deploys them again; find out who changed them. Meanwhile, shipway rollback PLAN --here rolls back"
    found = api.ask(home, "/deployments/filter", {"deployments": {"id": {"any_": list(known)}}, "limit": 200}) if known else []
    own = {one["id"]: name for one in found if (name := deployed.own_name(known[one["id"]]))}
    if missing := ", ".join(sorted({one.rpartition(".")[2] for one in deployed.URGENT} - {*own.values()})):
        return Finding("fail", "deployed", f"missing, or made with another entry point: {missing}", fix)
    faults = []
    for one in found:
        limit = one["global_concurrency_limit"]
        if (limit and limit["limit"]) != known[one["id"]].get("limit"):
            faults.append(f"{one['name']} has {'the concurrency limit ' + str(limit['limit']) if limit else 'no concurrency limit'}")
        elif one["id"] in own and (other := [name for name in deployed.FIELDS if one[name] != known[one["id"]].get(name)]):
            faults.append(f"{one['name']} has other {', '.join(name.replace('_', ' ') for name in other)}")
        elif one["id"] in own and one["paused"]:
            faults.append(f"{one['name']} is paused")
    if faults:
        return Finding("fail", "deployed", f"not as it was deployed: {', '.join(faults)}", fix)
    return Finding("ok", "deployed", ", ".join(sorted(one["name"] for one in found)))


def _automations(home: Path) -> Finding:
    stopping, other = automations.acting(home)
    fix = "see that it leaves rollback, settle and keeper alone, or disable it. `shipway rollback PLAN --here` needs no run of a worker"
    if stopping:
        return Finding("fail", "automations", f"can stop runs, rollbacks too: {'; '.join([*stopping, *other])}", fix)
    if other:
        return Finding("warn", "automations", f"act, and a webhook may call this server: {'; '.join(other)}", fix)
    return Finding("ok", "automations", "none that acts")


def _server_storage(home: Path) -> Finding:
    if api.ask(home, "/admin/storage").get("default_result_storage_block_id"):
        fix = "find out who set it (`GET /admin/storage`), and send `DELETE /admin/storage`"
        return Finding("warn", "storage", "the server has a default of its own for results; Shipway never uses it", fix)
    return Finding("ok", "storage", "the server names none of its own")


def _result_block(home: Path) -> Finding:
    names, faults = result_block.faults(home)
    if faults:
        fix = "if you changed the block, remove that file, and the next run keeps it anew; else put it right, and find out who changed it"
        return Finding("fail", "storage block", "; ".join(faults), fix)
    return Finding("ok", "storage block", ", ".join(names) or "none: results and records are kept in a folder")


def _worker(home: Path, *, name: str = "worker") -> Finding:
    seen, log = worker.last_seen(home, worker.WORKERS[name]), home / "logs" / f"{name}.log"
    if seen is None:
        return Finding("fail", name, "never seen", f"look at {log}")
    age = time.time() - datetime.fromisoformat(seen["last_heartbeat_time"]).timestamp()
    text = f"{seen['name']} {str(seen['status']).lower()}, last seen {age:.0f} s ago"
    return Finding("ok" if age < WORKER_LATE_SECONDS else "fail", name, text, f"look at {log}")


def _urgent_worker(home: Path) -> Finding:
    return _worker(home, name="urgent-worker")


def _keeper(home: Path) -> Finding:
    flows = {"name": {"any_": [keeper_watch.FLOW]}}
    found = api.ask(home, "/deployments/filter", {"flows": flows})
    if not found:
        return Finding("fail", "keeper", "not deployed: expired approvals and dead runs go unnoticed", f"shipway up --home {home}")
    if found[0]["paused"]:
        return Finding("fail", "keeper", "paused: expired approvals and dead runs go unnoticed", "resume its deployment in the UI")
    (last, by_server), now = keeper_watch.last_work(home), time.time()
    text = keeper_watch.describe(last, now=now) + (f", {keeper_watch.BY_SERVER}" if by_server else "")
    if last is not None and abs(now - last) < keeper_watch.LATE_SECONDS:
        return Finding("ok", "keeper", text)
    up = now - keeper_watch.started(home)
    if up < keeper_watch.START_SECONDS:
        return Finding("warn", "keeper", f"{text}; Shipway started {up:.0f} s ago", "ask again in a minute")
    fix = f"see its schedule and its last runs in the UI, and {home / 'logs' / 'worker.log'}; a run of it by hand does its work at once"
    return Finding("fail", "keeper", f"{text}: expired approvals and dead runs go unnoticed", fix)
