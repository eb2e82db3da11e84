"""The agent of one local environment: router, supervisor and control interface in one detached process.

Run as `python -m blocks.local.agent.agent FOLDER LISTENING_FD WATCHDOG_PID` by the watchdog, which starts it again when it dies. The
agent in turn starts a new watchdog when that one dies. All it must remember is in the folder's state file.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import subprocess
import sys
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from aiohttp import web

from blocks.local import logs
from blocks.local.agent.control import control_application, metrics_application
from blocks.local.agent.process import free_port
from blocks.local.agent.supervisor import supervise
from blocks.local.agent.watchdog import start_child
from blocks.local.router.router import make_server, open_session
from blocks.local.state.environment import Environment
from blocks.local.state.file import AGENT_LOCK, SOCKET, STOPPED, load_state

HOUSEKEEPING_SECONDS = 1.0
RENEW_SECONDS = 0.1
LOCK_TRIES = 40
LOCK_WAIT_SECONDS = 0.05
log = logging.getLogger("shipway.local")


def main() -> None:
    """Run the agent until a client stops it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    folder, listening, watchdog = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    os.chdir(folder)
    lock = (folder / AGENT_LOCK).open("w")
    if not _locked(lock.fileno()):
        log.info("another agent serves %s", folder)
        return
    with socket.socket(fileno=listening) as public:
        public.settimeout(0)
        asyncio.run(_serve(folder, public, watchdog))


def _locked(descriptor: int) -> bool:
    for _ in range(LOCK_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(LOCK_WAIT_SECONDS)
    return False


async def _serve(folder: Path, public: socket.socket, watchdog: int) -> None:
    state = load_state(folder)
    if state is None:
        log.error("no state in %s", folder)
        return
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session())
        environment = Environment(folder=folder, state=state, session=session)
        supervisors = _converge_by(environment)
        environment.converge()
        router = make_server(environment)
        server = await asyncio.get_running_loop().create_server(router, sock=public, backlog=1024)
        await _open_metrics(environment, stack)
        await _open_control(environment, stop, stack)
        housekeeping = asyncio.create_task(_keep_watch(environment))
        watch = _Watch(folder, public.fileno())
        watch.begin(watchdog)
        if state["stopping"]:
            stop.set()
        log.info("serving %s on port %d", state["service"], state["port"])
        await stop.wait()
        server.close()
        environment.converge()
        await asyncio.gather(*supervisors.values(), return_exceptions=True)
        await router.shutdown(timeout=1.0)
        housekeeping.cancel()
        watch.end()
        await environment.update(lambda newest: {**newest, "stopping": False})
        (folder / STOPPED).touch()
    log.info("stopped")


def _converge_by(environment: Environment) -> dict[str, asyncio.Task[None]]:
    """Give every revision its supervisor, and let those go that the state no longer points at."""
    supervisors: dict[str, asyncio.Task[None]] = {}

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception():
            log.error("a supervisor failed; the agent ends and is started again", exc_info=task.exception())
            os._exit(1)

    def converge() -> None:
        state = environment.state
        for key in state["revisions"]:
            run = environment.run_of(key)
            if state["stopping"] or key not in (state["baseline"], state["canary"]):
                run.retiring.set()
            if key not in supervisors:
                supervisors[key] = asyncio.create_task(supervise(environment, run))
                supervisors[key].add_done_callback(ended)
        for key in supervisors.keys() - state["revisions"].keys():
            del supervisors[key]

    environment.converge = converge
    return supervisors


async def _open_metrics(environment: Environment, stack: AsyncExitStack) -> None:
    runner = web.AppRunner(metrics_application(environment), access_log=None)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    port = free_port(environment.state["admin_port"])
    await web.TCPSite(runner, "127.0.0.1", port).start()
    if port != environment.state["admin_port"]:
        await environment.update(lambda state: {**state, "admin_port": port})


async def _open_control(environment: Environment, stop: asyncio.Event, stack: AsyncExitStack) -> None:
    runner = web.AppRunner(control_application(environment, stop), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    control = _control_socket()
    await web.SockSite(runner, control).start()


def _control_socket() -> socket.socket:
    """Open the control socket for the owner alone; relative to the folder, because its path may only be about 100 bytes long."""
    control = socket.socket(socket.AF_UNIX)
    draft = Path(f"{SOCKET}.new")
    draft.unlink(missing_ok=True)
    control.bind(str(draft))
    draft.chmod(0o600)
    control.listen()
    draft.replace(SOCKET)
    return control


async def _keep_watch(environment: Environment) -> None:
    while True:
        alive = frozenset(environment.state["revisions"])
        with suppress(OSError):
            await asyncio.to_thread(logs.stamp, environment.folder, now=time.time(), alive=alive)
        await environment.save()
        await asyncio.sleep(HOUSEKEEPING_SECONDS)


class _Watch:
    """Sees the watchdog's end through its process handle, and starts another one."""

    def __init__(self, folder: Path, listening: int) -> None:
        self.folder, self.listening, self.handle = folder, listening, -1
        self.child: subprocess.Popen[bytes] | None = None

    def begin(self, watchdog: int) -> None:
        try:
            self.handle = os.pidfd_open(watchdog)
        except ProcessLookupError:
            asyncio.get_running_loop().call_later(HOUSEKEEPING_SECONDS, self.renew)
            return
        asyncio.get_running_loop().add_reader(self.handle, self.lost)

    def lost(self) -> None:
        self.end()
        if self.child is not None:
            self.child.wait()
        asyncio.get_running_loop().call_later(RENEW_SECONDS, self.renew)

    def renew(self) -> None:
        log.warning("the watchdog has ended; starting another one")
        self.child = start_child(self.folder, self.listening)
        self.begin(self.child.pid)

    def end(self) -> None:
        if self.handle >= 0:
            asyncio.get_running_loop().remove_reader(self.handle)
            os.close(self.handle)
            self.handle = -1


if __name__ == "__main__":
    main()
