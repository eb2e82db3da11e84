"""Entries in SQLite. Migrations only expand, so versions side by side can share one file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
DatabaseError = sqlite3.Error
BUSY_SECONDS = 5.0

MIGRATIONS = (
    (1, "CREATE TABLE entries (id INTEGER PRIMARY KEY, name TEXT NOT NULL, text TEXT NOT NULL, written REAL NOT NULL)"),
    (2, "ALTER TABLE entries ADD COLUMN place TEXT NOT NULL DEFAULT ''"),
    (3, "UPDATE entries SET written = round(written / 1000)"),  # wrong on purpose: these are seconds already, not milliseconds
)
SCHEMAS = {"1.0.": 1, "1.1.": 2, "1.2.": 2}


def schema_of(version: str) -> int:
    """Say which schema a version needs; a newer one in the file does not disturb it."""
    return next((schema for beginning, schema in SCHEMAS.items() if version.startswith(beginning)), MIGRATIONS[-1][0])


def connect(path: str) -> sqlite3.Connection:
    """Open the file so that several processes can write to it."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def migrate(connection: sqlite3.Connection, target: int) -> int:
    """Bring the schema to `target` or leave a newer one as it is; return the number that was found."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found: int = connection.execute("PRAGMA user_version").fetchone()[0]
        for number, statement in MIGRATIONS:
            if found < number <= target:
                connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return found


def check(connection: sqlite3.Connection) -> None:
    """Read something, so that a broken database is noticed."""
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()


def add(connection: sqlite3.Connection, fields: dict[str, str]) -> int:
    """Add an entry and return its number; columns that this version does not know keep their defaults."""
    row = {**fields, "written": time.time()}
    names, leases = ", ".join(row), ", ".join("?" * len(row))
    cursor = connection.execute(f"INSERT INTO entries ({names}) VALUES ({leases})", list(row.values()))  # noqa: S608 - our own names
    return int(cursor.lastrowid or 0)


def newest(connection: sqlite3.Connection, limit: int) -> list[dict[str, Any]]:
    """List the newest entries, newest first."""
    rows = connection.execute("SELECT * FROM entries ORDER BY id DESC LIMIT ?", [limit])
    return [dict(row) for row in rows]


class Store:
    """One connection in a thread of its own, so that the event loop never waits for the disk.

    Args:
        path: The SQLite file; opened with the first call.
    """

    def __init__(self, path: str) -> None:
        """Remember the path; nothing is opened yet."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def call(self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one of the functions above with the connection."""

        def work() -> T:
            if self._connection is None:
                self._connection = connect(self._path)
            return function(self._connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Finish what is under way and close the file."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
