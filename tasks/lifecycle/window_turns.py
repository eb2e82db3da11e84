"""Turns: of the services in a group, one at a time changes production; whose turn it is, is kept beside the key, out of the API's reach.

A turn is that of a run while its record is open: a process that dies keeps it until the keeper has finished or settled the run, and a
closed record has nothing more to change. No lock of the server says it (decision 18): who deletes one there would let two go at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from blocks.errors import Refused, Tampered
from blocks.key_folder.heads import KeyFolderFault, read_head
from blocks.key_folder.kept_files import kept_names, kept_path, locked, read_kept, remove_kept, write_kept
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import OPEN, RUN
from tasks.lifecycle.links import run_link
from tasks.rules.windows.words import moment_in_words

FOLDER, WHAT = "turns", "which says whose turn it is in a group of services"
NAME = re.compile(r"turn:([0-9a-f]{24})")
FREE, UNREADABLE = "free", "unreadable"


class Other(NamedTuple):
    """Behind whom a run waits: in which group, why in words, and what wakes it, as `set_wakeup` takes it."""

    group: str
    why: str
    held: str


async def take_turns(groups: Sequence[str], *, run: str, what: str, keeps: bool = False) -> Other | None:
    """Take the turn in each of these groups, or in none: who waits for one holds up no other.

    Args:
        groups: The groups.
        run: The flow run that takes them; it keeps those that it has.
        what: What it is, for those that wait behind it.
        keeps: Whether it keeps those that it has also if it waits for another one, as it has changed production.

    Returns:
        Behind whom it waits; None if it is its turn in all of them.

    Raises:
        KeyFolderFault: The key or its folder cannot be used.
    """
    for group in sorted(groups):
        other = await asyncio.to_thread(_take, group, run, what)
        if other is not None:
            if not keeps:
                await give_turns(run)
            return other
    return None


async def give_turns(run: str) -> None:
    """Give up every turn that a run has."""
    await asyncio.to_thread(_give, run)


def is_turn(name: str) -> bool:
    """Say if what holds a run is a turn, and not its service."""
    return NAME.fullmatch(name) is not None


def turn_state(name: str) -> str:
    """Name whose turn it is: another name means that who waits should look again."""
    found = NAME.fullmatch(name)
    return _state(_holder(found[1])) if found else UNREADABLE


def _take(group: str, run: str, what: str) -> Other | None:
    name = hashlib.sha256(group.encode()).hexdigest()[:24]
    try:
        with locked(FOLDER, name, what=WHAT):
            holder = _holder(name)
            if isinstance(holder, dict) and holder.get("run") != run:
                return Other(group, _why(holder), f"turn:{name} {_state(holder)}")
            if isinstance(holder, str):
                fix = "If nothing of the group is under way, remove the file"
                return Other(group, f"{holder}. {fix}", f"turn:{name} {UNREADABLE}")
            if holder is None:
                write_kept(FOLDER, name, {"run": run, "what": what, "group": group, "at": now().isoformat()}, what=WHAT)
            return None
    except (Refused, OSError) as error:
        raise KeyFolderFault(str(error), delay_seconds=2) from error


def _give(run: str) -> None:
    for name in kept_names(FOLDER):
        try:
            with locked(FOLDER, name, what=WHAT):
                if (read_kept(FOLDER, name, what=WHAT) or {}).get("run") == run:
                    remove_kept(FOLDER, name)
        except Refused:
            continue  # it is not known to be ours; who waits says what is wrong with it
        except OSError as error:
            raise KeyFolderFault(str(error), delay_seconds=2) from error


def _holder(name: str) -> dict[str, Any] | str | None:
    """Read whose turn it is: the holder, or why that cannot be read; None if it is free, or its holder's record is closed."""
    try:
        found = read_kept(FOLDER, name, what=WHAT)
        return None if found is None or _is_over(str(found["run"])) else found
    except (Refused, KeyError, OSError) as error:
        return f"{kept_path(FOLDER, name)}, {WHAT}, cannot be read: {error}"


def _is_over(run: str) -> bool:
    """Say if a run changes nothing any more: its record is closed, or is not open by what is kept."""
    if not RUN.fullmatch(run) or not kept_path(OPEN, run).exists():
        return True
    try:
        head = read_head(run)
    except Tampered:
        return False  # the keeper settles it
    return head is not None and head.closed


def _state(holder: dict[str, Any] | str | None) -> str:
    if isinstance(holder, str):
        return UNREADABLE
    return FREE if holder is None else hashlib.sha256(str(holder["run"]).encode()).hexdigest()[:16]


def _why(holder: dict[str, Any]) -> str:
    since = moment_in_words(datetime.fromisoformat(str(holder["at"])))
    return f"{holder['what']} ({run_link(str(holder['run']))}) is under way since {since}, and one goes after the other"
