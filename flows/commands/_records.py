"""Find the record that a person means: in this machine's folder by its id, else by the server."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from flows.commands import _terminal


def add_record(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments that say which record is meant."""
    parser.add_argument("run", metavar="RUN", help="the run: its id or the beginning of it, its name, or its service")
    parser.add_argument("--storage", metavar="FOLDER", type=Path, help="the folder that contains `records` (default: the storage in use)")


def on_record(arguments: argparse.Namespace, work: Callable[[argparse.Namespace], Coroutine[Any, Any, int]]) -> int:
    """Do work on one record, which needs no server; any of our errors becomes a line and code 2, as there is nothing to show then.

    Args:
        arguments: What `add_record` described, with `home`.
        work: Takes the arguments, gives the exit code.
    """
    import asyncio

    from blocks.errors import ShipwayError

    _terminal.enter(arguments)
    try:
        return asyncio.run(work(arguments))
    except ShipwayError as error:
        _terminal.show(error, error=True)
        return _terminal.BAD_INPUT


async def locate(words: str, *, folder: Path | None = None) -> tuple[Any, str]:
    """Find the storage that holds a record, and the run's full id.

    Args:
        words: The run: its id or the beginning of it; while the server runs also its name, or its service.
        folder: The folder that contains `records`; None for the home directory's storage, and then Prefect's.

    Raises:
        BadInput: There is none, or several fit.
    """
    from blocks.errors import BadInput

    home = folder or _home_storage()
    if name := _in_folder(home, words):
        return home, name
    if folder is None and (found := await _on_server(home, words)):
        return found
    fix = "Use an id from `shipway history`, or a run's name or a service while the server runs. A run that has not begun has no record."
    raise BadInput(f"there is no record of {words} in {home}", field="RUN", fix=fix)


def _in_folder(home: Path, words: str) -> str | None:
    from blocks.errors import BadInput

    found = _releases_in(home / "records")
    matching = [words] if words in found else [name for name in found if words and name.startswith(words)]
    if len(matching) > 1:
        fix = f"Give more of the id: {', '.join(matching[:5])}."
        raise BadInput(f"{len(matching)} releases begin with {words}", field="RUN", fix=fix)
    return matching[0] if matching else None


async def _on_server(home: Path, words: str) -> tuple[Any, str] | None:
    """Ask the server which run is meant, and look for its record in the folder and in Prefect's storage."""
    from blocks.errors import BadInput
    from tasks.lifecycle.find_run import find_run
    from tasks.lifecycle.server import server
    from tasks.record.reading import read_record
    from tasks.record.storage import default_storage

    try:
        async with server() as client:
            name = str((await find_run(client, words)).id)
    except BadInput:  # no server, or it no longer has the run
        name = words
    if name in _releases_in(home / "records"):
        return home, name
    block = await default_storage()
    reading = await read_record(block, name)
    return (block, name) if reading.entries or reading.problems else None


def _home_storage() -> Path:
    return Path(os.environ.get("SHIPWAY_HOME") or "~/.shipway").expanduser() / "storage"


def _releases_in(records: Path) -> list[str]:
    return sorted(path.name for path in records.iterdir() if path.is_dir()) if records.is_dir() else []
