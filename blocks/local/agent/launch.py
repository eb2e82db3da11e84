"""Makes sure that a local environment has its folder, its public port and a living agent; refuses what is not ours."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blocks.errors import BadInput, Temporary
from blocks.local.agent.watchdog import start_orphan
from blocks.local.state.file import (
    AGENT_LOCK,
    AGENT_LOG,
    DATA,
    LOGS,
    MAX_SOCKET_PATH_BYTES,
    SOCKET,
    START_LOCK,
    STATE,
    STOPPED,
    WATCHDOG_LOCK,
    State,
    load_state,
    new_state,
    save_state,
)

START_TIMEOUT_SECONDS = 15.0
FIRST_TRY_SECONDS = 0.02
SLOWEST_TRY_SECONDS = 0.1
RELAUNCH_SECONDS = 3.0
FREE_SECONDS = 3.0  # how long the system may take to free the port of processes that were killed
BACKLOG = 1024


def check_folder(folder: Path, *, service: str, port: int) -> State | None:
    """Look at an environment's folder without changing anything.

    Args:
        folder: Where the environment lives, or will.
        service: The service that it must belong to.
        port: The public port that it must have; 0 if any will do.

    Returns:
        Its state, or None if it is yet to be made.

    Raises:
        BadInput: The folder is not ours, is another service's, or cannot be used.
    """
    try:
        state = load_state(folder)
        foreign = _foreign_files(folder) if state is None and folder.exists() else []
        if foreign and (state := load_state(folder)) is not None:  # another first caller wrote it between the two looks
            foreign = []
    except OSError as error:
        fix = "Name a folder that this user may read and write"
        raise BadInput(f"{folder} cannot be read: {error.strerror}", field="folder", fix=fix) from None
    if STATE in foreign:
        fix = f"Put it back from a copy; or end what runs there by hand, remove {folder} and deploy again"
        raise BadInput(f"{folder / STATE} is damaged, or of another version of Shipway", field="folder", fix=fix)
    if foreign:
        fix = "Name an empty folder, or one that does not exist yet"
        raise BadInput(f"{folder} is not a folder of Shipway: it holds {foreign[0]}", field="folder", fix=fix)
    if state is not None and state["service"] != service:
        fix = "Give this block a folder of its own"
        raise BadInput(f"{folder} belongs to the service {state['service']}, not to {service}", field="folder", fix=fix)
    if state is not None and port not in (0, state["port"]):
        fix = f"Set it to {state['port']} or 0; for another port, stop it with `shipway local stop {folder}` and name a new folder"
        raise BadInput(f"{service} in {folder} has the port {state['port']}, not {port}", field="port", fix=fix)
    return state


def ensure_agent(folder: Path, *, service: str, port: int) -> None:
    """Start the environment's agent unless it lives; several callers at once start one. Blocks for a second or so.

    Args:
        folder: The environment's folder, made if it is missing.
        service: The service's name.
        port: Public port; 0 lets the system choose once, and the choice is kept.

    Raises:
        BadInput: Folder or port cannot be used; says why.
        Temporary: The agent does not come up.
    """
    check_folder(folder, service=service, port=port)
    _make_folder(folder)
    with _locked(folder / START_LOCK):
        began, launched, delay = time.monotonic(), 0.0, FIRST_TRY_SECONDS
        while not answers(folder):
            now = time.monotonic()
            if now - began > START_TIMEOUT_SECONDS:
                raise Temporary(f"the agent in {folder} did not come up within {START_TIMEOUT_SECONDS:g} s; {folder / AGENT_LOG} says why")
            if now - launched > RELAUNCH_SECONDS and not (_is_held(folder / WATCHDOG_LOCK) or _is_held(folder / AGENT_LOCK)):
                _launch(folder, service=service, port=port)
                launched = now
            time.sleep(delay)
            delay = min(1.3 * delay, SLOWEST_TRY_SECONDS)


def answers(folder: Path) -> bool:
    """Say whether an agent takes connections on the folder's control socket."""
    with suppress(OSError), short_socket_path(folder) as path, socket.socket(socket.AF_UNIX) as probe:
        probe.connect(path)
        return True
    return False


def wait_for_end(folder: Path) -> None:
    """Block until neither agent nor watchdog lives."""
    for name in (AGENT_LOCK, WATCHDOG_LOCK):
        with _locked(folder / name):
            pass


@contextmanager
def short_socket_path(folder: Path) -> Iterator[str]:
    """Name the control socket in a way that fits the system's limit on socket paths, however deep the folder is."""
    path = str(folder / SOCKET)
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def _launch(folder: Path, *, service: str, port: int) -> None:
    state = check_folder(folder, service=service, port=port)
    with _listen(state["port"] if state else port, waits=state is not None) as public:
        if state is None:
            save_state(folder, new_state(service, port=public.getsockname()[1]))
        (folder / STOPPED).unlink(missing_ok=True)
        start_orphan(folder, public.fileno())


def _listen(port: int, *, waits: bool) -> socket.socket:
    """Take the public port; the watchdog and the agent inherit it and hold it for as long as either lives.

    The system may need a moment to end processes that held it and were killed; an environment that ran before waits for that.
    """
    give_up = time.monotonic() + (FREE_SECONDS if waits else 0)
    while True:
        try:
            return _listener(port)
        except BadInput:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def _listener(port: int) -> socket.socket:
    public = socket.socket()
    try:
        public.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        public.bind(("127.0.0.1", port))
        public.listen(BACKLOG)
    except OSError as error:
        public.close()
        fix = f"End what uses it (`ss -ltnp 'sport = :{port}'` names it), or give the block another port; 0 lets the system choose"
        raise BadInput(f"port {port} on 127.0.0.1 cannot be taken: {error.strerror}", field="port", fix=fix) from None
    return public


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _expect_ours(folder)
        folder.chmod(0o700)
        for name in (LOGS, DATA):
            (folder / name).mkdir(exist_ok=True)
        _expect_ours(folder / LOGS)
        (folder / LOGS).chmod(0o700)  # a service writes through the descriptor that it is started with
    except OSError as error:
        fix = "Name a folder that this user may write to"
        raise BadInput(f"{folder} cannot be made or written: {error.strerror}", field="folder", fix=fix) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{folder} cannot be written", field="folder", fix="Name a folder that this user may write to")


def _expect_ours(folder: Path) -> None:
    """Expect a folder of this user: in one that another user made, whatever is opened could be a link to a file of ours."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise BadInput(f"{folder} was made by another user", field="folder", fix="Remove it, or name a folder where others cannot write")


def _foreign_files(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir())
    ours = {START_LOCK, WATCHDOG_LOCK, AGENT_LOCK, LOGS, DATA}  # what a caller makes before the state file
    return [name for name in names if name not in ours and not name.startswith(f"{STATE}.")]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_held(path: Path) -> bool:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
