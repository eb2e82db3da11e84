"""Keeps the processes of a local environment as the state wants them: started, restarted, drained, stopped."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blocks.local.agent import process as local_process
from blocks.local.agent.aftermath import clear_up
from blocks.local.agent.owner import Owner
from blocks.local.agent.probe import is_ready
from blocks.local.agent.process import Process
from blocks.local.logs import log_path
from blocks.local.state.environment import Environment
from blocks.local.state.file import DATA, Facts
from blocks.local.state.view import Run
from blocks.processes import Backoff, fill
from blocks.runner import NAME, closed_to_it, service_runner

MAX_EXITS_BEFORE_READY = 3
FIRST_PROBE_SECONDS = 0.01
SLOWEST_PROBE_SECONDS = 0.1
OWNER_SECONDS = 0.5
FIRST_RESTART_SECONDS, SLOWEST_RESTART_SECONDS, STEADY_SECONDS = 0.05, 10.0, 30.0


async def supervise(environment: Environment, run: Run) -> None:
    """Keep one revision's process alive until the revision leaves; then drain it, stop it and forget it."""
    process = await _recovered(environment, run)
    backoff = Backoff(FIRST_RESTART_SECONDS, SLOWEST_RESTART_SECONDS, STEADY_SECONDS)
    while not run.retiring.is_set():
        began = time.monotonic()
        process = process or await _start(environment, run)
        if process is not None:
            await _attend(environment, run, process)
        if run.retiring.is_set():
            break
        await _note_exit(environment, run, process)
        process = None
        await _rest(environment, run, backoff.after(time.monotonic() - began))
    await _retire(environment, run, process)


async def _recovered(environment: Environment, run: Run) -> Process | None:
    """Take over what an earlier agent left, also a process that it had no time to note."""
    revision = environment.state["revisions"][run.id]
    if revision["pid"] is not None:
        process = local_process.adopt(revision["pid"], revision["born"])
    else:
        found = await asyncio.to_thread(local_process.find, f"{environment.state['token']}:{run.id}") if revision["port"] else None
        process = local_process.adopt(*found) if found else None
        if process is not None:
            await _note_process(environment, run, process)
    if process is not None:
        _note_birth(run, process)
    if process is not None and revision["served"]:
        run.accepting.set()
    return process


async def _start(environment: Environment, run: Run) -> Process | None:
    """Start the revision's process; None if it cannot be started, which is kept in `last_exit`."""
    port = local_process.free_port(environment.state["revisions"][run.id]["port"])
    await environment.note(run.id, Facts(port=port, pid=None, born=None, served=False))
    revision = environment.state["revisions"][run.id]
    specification, version = revision["specification"], revision["version"]
    folder = environment.folder / DATA
    values = {"port": str(port), "version": version, "folder": str(folder)}
    added = {
        "SHIPWAY_VERSION": version,
        "SHIPWAY_PORT": str(port),
        local_process.TOKEN_VARIABLE: f"{environment.state['token']}:{run.id}",
    }
    try:
        added |= await asyncio.to_thread(_give, environment.folder, folder, specification["environment"])
        process = local_process.start(
            [fill(part, values) for part in specification["command"]],
            working_directory=Path(specification["working_directory"] or folder),
            environment=specification["environment"] | added,
            log=log_path(environment.folder, run.id, version),
            other=service_runner(environment.folder, folder),
        )
    except OSError as error:
        run.last_exit = f"could not be started: {error}"
        return None
    _note_birth(run, process)
    await _note_process(environment, run, process)
    return process


def _note_birth(run: Run, process: Process) -> None:
    """Keep when the revision's first process began, in ticks since the boot: one that it left behind is younger than that."""
    run.began = run.began or int(process.born.rpartition("/")[2] or 0)


def _give(environment: Path, data: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Give the data folder to the user that runs the revision, if that is not ours, with a way to it; give its own HOME and name."""
    other = service_runner(environment, data)
    if other is None:
        return {}
    other.own(data)
    data.chmod(0o700)
    environment.chmod(0o711)  # to pass through, not to list
    if (closed := closed_to_it(data)) is not None:
        raise PermissionError(f"the user {NAME} cannot pass {closed}; put the environment, or Shipway's home, elsewhere")
    ours = {name: os.environ.get(name) for name in ("HOME", "USER", "LOGNAME")}
    theirs = {"HOME": str(data), "USER": NAME, "LOGNAME": NAME}
    return {name: value for name, value in theirs.items() if variables.get(name) == ours[name]}


async def _note_process(environment: Environment, run: Run, process: Process) -> None:
    await environment.note(run.id, Facts(pid=process.pid, born=process.born))


async def _attend(environment: Environment, run: Run, process: Process) -> None:
    """Stay with a process until it ends or its revision leaves; let requests in while it is ready and listens itself."""
    ready = asyncio.create_task(_let_requests_in(environment, run, process))
    leaving = asyncio.create_task(run.retiring.wait())
    try:
        awaited: set[asyncio.Future[Any]] = {process.exited, leaving}
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (ready, leaving):
            task.cancel()
        await asyncio.gather(ready, leaving, return_exceptions=True)
    if process.exited.done():
        run.accepting.clear()


async def _let_requests_in(environment: Environment, run: Run, process: Process) -> None:
    """Accept requests once the revision is ready, and only while nothing but the revision listens on its port.

    Another user may bind the port before the process does, or when it stops listening. Both is seen before a request goes there: what
    answers is asked for its owner before and after it says that it is ready, after each connection that failed, and twice a second; and
    the router connects only to the sockets that were found to be the revision's.
    """
    port, delay = environment.state["revisions"][run.id]["port"], FIRST_PROBE_SECONDS
    other = service_runner(environment.folder, environment.folder / DATA)
    uid = other.uid if other else os.geteuid()
    owner = Owner(port, pid=process.pid, token=f"{environment.state['token']}:{run.id}", uid=uid)
    while True:
        run.doubted.clear()
        if not await _is_ready_itself(environment, run, owner):
            run.accepting.clear()
            await asyncio.sleep(delay)
            delay = min(delay * 1.3, SLOWEST_PROBE_SECONDS)
            continue
        if not (run.accepting.is_set() or run.doubted.is_set()):
            run.accepting.set()
            environment.notify()
            if not environment.state["revisions"][run.id]["served"]:
                await environment.note(run.id, Facts(served=True))
        delay = FIRST_PROBE_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(OWNER_SECONDS):
                await run.doubted.wait()


async def _is_ready_itself(environment: Environment, run: Run, owner: Owner) -> bool:
    """Say whether the revision may have requests; one that was ready once needs to listen, and no more."""
    if not await _listens(run, owner):
        return run.accepting.is_set() and not run.stranger  # nothing listens: whoever is let in is refused
    revision = environment.state["revisions"][run.id]
    if run.accepting.is_set() or revision["served"]:
        return True
    if not await is_ready(environment.session, revision):
        return False
    return await _listens(run, owner)


async def _listens(run: Run, owner: Owner) -> bool:
    listens, run.stranger = await asyncio.to_thread(owner.look)
    run.listening = owner.listening
    return listens


async def _note_exit(environment: Environment, run: Run, process: Process | None) -> None:
    """Keep how it ended, and give a canary up that never became ready."""
    run.exits += 1
    if process is not None:
        run.last_exit = local_process.release(process)
    served = environment.state["revisions"][run.id]["served"]
    hopeless = process is None or run.exits >= MAX_EXITS_BEFORE_READY
    if environment.state["canary"] == run.id and not served and hopeless:
        reason = f"{run.last_exit} before it was ready, {run.exits} times" if process else run.last_exit
        await environment.note(run.id, Facts(failed=reason))
    environment.notify()


async def _rest(environment: Environment, run: Run, seconds: float) -> None:
    """Wait before the next start; for ever if the revision has failed, until it leaves."""
    failed = environment.state["revisions"][run.id]["failed"]
    with suppress(TimeoutError):
        async with asyncio.timeout(None if failed else seconds):
            await run.retiring.wait()


async def _retire(environment: Environment, run: Run, process: Process | None) -> None:
    """Let requests in flight finish, end the process, and drop the revision unless the whole environment is being stopped."""
    specification = environment.state["revisions"][run.id]["specification"]
    with suppress(TimeoutError):
        async with asyncio.timeout(specification["drain_seconds"]):
            await run.idle.wait()
    run.accepting.clear()
    if process is not None:
        await local_process.stop(process, stop_seconds=specification["stop_seconds"])
        local_process.release(process)
        await clear_up(environment, run)
    if environment.state["stopping"]:
        await environment.note(run.id, Facts(pid=None, born=None, port=0, served=False))
    else:
        await environment.forget(run.id)
