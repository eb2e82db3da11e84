"""`shipway retention`: what would be removed as it is old, and why the rest stays; with --remove it is removed."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from flows.commands import _output, _terminal

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

HELP = "Show which records, artifacts and runs are older than keys/retention.yaml says, and remove them if asked to."
LISTED = 50


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--remove", action="store_true", help="remove them (default: only list them)")
    _output.add_json(parser)
    _terminal.add_home(parser)


def run(arguments: argparse.Namespace) -> int:
    """List what is old, and remove it if asked to.

    Args:
        arguments: What `configure` described.

    Returns:
        0, 1 if the server or storage does not answer, 2 without a server, 4 if the file is wrong or cannot be read, or if something
        cannot be listed or the clock may have jumped, so that nothing is removed.
    """
    return _terminal.on_server(arguments, _retention)


async def _retention(client: PrefectClient, arguments: argparse.Namespace) -> int:
    from tasks.lifecycle.clock import now
    from tasks.record.retention_run import carry_out
    from tasks.record.storage import default_storage

    kept = await carry_out(client, await default_storage(), now=now(), dry_run=not arguments.remove)
    if arguments.json:
        removed = [{"kind": one.kind, "name": one.name, "what": one.what, "ended": one.at} for one in kept.removed]
        stays = [{"kind": kind, "why": why, "count": number} for (kind, why), number in kept.stays.items()]
        said = {"notes": kept.notes, "faults": kept.faults, "left": kept.left}
        _output.print_json({"dry_run": kept.only_listed, "removed": removed, "stays": stays, **said})
        return _terminal.REFUSED if kept.faults else _terminal.DONE
    for note in kept.notes:
        _terminal.show(note)
    for fault in kept.faults:
        _terminal.show(fault, error=True)
    words = "would be removed" if kept.only_listed else "removed"
    for one in kept.removed[:LISTED]:
        _terminal.show(f"{words}: {one.kind} {one.name}, {one.what}, of {one.at:%Y-%m-%d}")
    if len(kept.removed) > LISTED:
        _terminal.show(f"… and {len(kept.removed) - LISTED} more; --json lists all")
    for (kind, why), number in kept.stays.items():
        _terminal.show(f"stays, as {why}: {number} {kind}{'s' if number > 1 else ''}")
    later = f"; {kept.left} more are due next time" if kept.left else ""
    _terminal.show(f"{len(kept.removed)} {words}{later}.")
    return _terminal.REFUSED if kept.faults else _terminal.DONE
