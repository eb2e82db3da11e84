"""The folder of one local environment: what lies in it, and its state file, which is written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import TypedDict, cast

FORMAT = "shipway-local/1"
STATE = "state.json"
SOCKET = "control.sock"
STOPPED = "stopped"
START_LOCK = "start.lock"
WATCHDOG_LOCK = "watchdog.lock"
AGENT_LOCK = "agent.lock"
AGENT_LOG = "agent.log"
LOGS = "logs"
DATA = "data"
MAX_SOCKET_PATH_BYTES = 100


class Specification(TypedDict):
    """How a revision is run; fixed when it is prepared.

    Fields:
        command: Program and arguments with `{port}`, `{version}` and `{folder}` still in them.
        working_directory: Where the process starts.
        environment: The process's whole environment without what each start adds; secrets in plain text.
        ready_path: Path that answers with a status from 200 to 299 once the revision is ready.
        drain_seconds: Longest wait for requests in flight before the process gets SIGTERM.
        stop_seconds: Longest wait between SIGTERM and SIGKILL.
        answer_timeout_seconds: A request without a sign of an answer for this long has failed.
    """

    command: list[str]
    working_directory: str
    environment: dict[str, str]
    ready_path: str
    drain_seconds: float
    stop_seconds: float
    answer_timeout_seconds: float


class Revision(TypedDict):
    """One revision and the process that it has now.

    Fields:
        version: What it runs.
        specification: How it runs.
        port: Loopback port of its process; 0 before the first start.
        pid: Process id, None if none was started or the start was not yet noted.
        born: Identity of that process beside its id, see `blocks.processes.start_time`.
        served: Whether that process was ready once.
        failed: Why it is not tried any more, or None.
    """

    version: str
    specification: Specification
    port: int
    pid: int | None
    born: str | None
    served: bool
    failed: str | None


class Facts(TypedDict, total=False):
    """What may be noted of a revision later; fields as in `Revision`."""

    port: int
    pid: int | None
    born: str | None
    served: bool
    failed: str | None


class State(TypedDict):
    """The whole desired state, and what finds the processes again; `revisions` is by id, and `rollback` says if the owner took over."""

    format: str
    service: str
    token: str
    port: int
    admin_port: int
    owner: str | None
    generation: int
    rollback: bool
    baseline: str | None
    canary: str | None
    percent: int
    previous: str | None
    next_id: int
    stopping: bool
    revisions: dict[str, Revision]


def new_state(service: str, *, port: int) -> State:
    """Describe an environment in which nothing was ever deployed.

    Args:
        service: The service's name.
        port: Public port.
    """
    return State(
        format=FORMAT,
        service=service,
        token=secrets.token_hex(16),
        port=port,
        admin_port=0,
        owner=None,
        generation=0,
        rollback=False,
        baseline=None,
        canary=None,
        percent=0,
        previous=None,
        next_id=1,
        stopping=False,
        revisions={},
    )


def load_state(folder: Path) -> State | None:
    """Read the state file.

    Returns:
        The state, or None if the folder holds none of this format.
    """
    try:
        state = json.loads((folder / STATE).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return cast("State", state) if isinstance(state, dict) and state.get("format") == FORMAT else None


def save_state(folder: Path, state: State) -> None:
    """Replace the state file in one step that survives a power cut; only the owner can read it."""
    draft = folder / f"{STATE}.{os.getpid()}.tmp"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / STATE)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
