"""A real PostgreSQL 15 for the tests of the data suites: on a free port, with a password, ended with the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blocks.server.unprivileged import OVERFLOW_ID, as_other

NOBODY = as_other(OVERFLOW_ID) if os.geteuid() == 0 else []
PROGRAMS = Path("/usr/lib/postgresql/15/bin")  # where Debian puts them, beside PATH
PASSWORD = "ge$heim/&15"


class Postgres(NamedTuple):
    """A running server; `url` is what a secret block holds."""

    url: str
    port: int

    def run(self, sql: str) -> None:
        """Run statements in the database `shop`."""
        command = [
            str(PROGRAMS / "psql"),
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-U",
            "shop",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
            "shop",
        ]
        subprocess.run(command, check=True, capture_output=True, env={"PGPASSWORD": PASSWORD})


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Postgres]:
    """Make a server in a folder, and end it."""
    (folder / "password").write_text(PASSWORD)
    options = ["--auth=scram-sha-256", "--username=shop", "--encoding=UTF8", "--locale=C", "--pwfile", str(folder / "password")]
    _run([str(PROGRAMS / "initdb"), "-D", str(folder / "data"), "--no-sync", *options])
    port = _free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": str(port), "unix_socket_directories": "", "fsync": "off"}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("w") as log:
        command = [*NOBODY, str(PROGRAMS / "postgres"), "-D", str(folder / "data"), *words]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
    try:
        ready = [str(PROGRAMS / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
        until = time.monotonic() + 30
        while subprocess.run(ready, check=False, capture_output=True).returncode:
            assert process.poll() is None and time.monotonic() < until, (folder / "log").read_text()  # noqa: PT018 - one reason for both
            time.sleep(0.05)
        createdb = [str(PROGRAMS / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "shop", "shop"]
        subprocess.run(createdb, check=True, capture_output=True, env={"PGPASSWORD": PASSWORD})
        yield Postgres(f"postgresql://shop:ge$heim%2F&15@127.0.0.1:{port}/shop", port)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder / "data", ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run([*NOBODY, *command], check=False, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
