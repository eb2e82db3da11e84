"""The guestbook: a small HTTP service with a database behind it, and faults that can be switched on.

Run it as `python guestbook.py --port 8001 --version 1.1.0 --database guestbook.sqlite`. It listens on loopback at
once, migrates its schema in the background (`/readyz` says when that is done) and ends cleanly on SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys

import faults
import pages
import store
from log import log
from web import HttpServer

DRAIN_SECONDS = 10.0
RETRY_SECONDS = 1.0
FAIL_START_SECONDS = 0.3


def arguments_of(words: list[str]) -> argparse.Namespace:
    """Read the command line; fault options that were not given are absent from the result."""
    parser = argparse.ArgumentParser(prog="guestbook.py", description="A small guestbook on loopback.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 lets the system choose")
    parser.add_argument("--version", default="1.0.0", help="the version to be; selects schema and faults (versions.json)")
    parser.add_argument("--database", default="guestbook.sqlite", help="SQLite file; several processes may share it")
    parser.add_argument("--seed", type=int, help="makes the faults repeatable")
    faults.add_options(parser)
    return parser.parse_args(words)


async def migrate(service: pages.Service, *, schema: int) -> None:
    """Bring the schema up, however often that takes, then report ready."""
    while not service.ready:
        try:
            found = await service.store.call(store.migrate, schema)
        except store.DatabaseError as error:
            service.not_ready_because = f"the database cannot be migrated: {error}"
            log("ERROR", service.not_ready_because)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            service.ready = True
            log("INFO", f"ready: schema {max(found, schema)}, found {found}")


def die() -> None:
    """End at once, as a crash would."""
    log("ERROR", "fatal: injected fault: the process dies")
    os._exit(1)


async def serve(arguments: argparse.Namespace, fault: faults.Faults) -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    service = pages.Service(arguments.version, store.Store(arguments.database), faults.Injector(fault, seed=arguments.seed))
    server = HttpServer(service.answer, service.observe)
    try:
        port = await server.start("127.0.0.1", arguments.port)
    except OSError as error:
        log("ERROR", f"cannot listen on 127.0.0.1:{arguments.port}: {error.strerror}")
        return 1
    log("INFO", f"guestbook {arguments.version} listens on 127.0.0.1:{port}, faults: {fault.describe()}")
    migration = asyncio.create_task(migrate(service, schema=store.schema_of(arguments.version)))
    if fault.die_after is not None:
        loop.call_later(fault.die_after, die)
    await stop.wait()
    log("INFO", "asked to stop: no new connections, running requests are finished")
    migration.cancel()
    cut_off = await server.stop(drain_seconds=DRAIN_SECONDS)
    service.store.close()
    log("INFO", f"stopped, {cut_off} requests cut off")
    return 0


async def fail_to_start() -> int:
    """Give up after a moment, as a service with a bad configuration does."""
    await asyncio.sleep(FAIL_START_SECONDS)
    log("ERROR", "cannot start: injected fault")
    return 1


def main(words: list[str]) -> int:
    """Run the service."""
    arguments = arguments_of(words)
    try:
        fault = faults.chosen(arguments)
    except ValueError as error:
        print(f"guestbook.py: {error}", file=sys.stderr)
        return 2
    return asyncio.run(fail_to_start() if fault.fail_start else serve(arguments, fault))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
