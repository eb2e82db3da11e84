"""Retention: what is kept beside the key of runs that ended long ago is removed, so that it does not grow for ever.

Never of an open run, nor of one that deployed a version or had a contract migration: a rollback may need those for years. What environments
are made of, policies, and what was decided about services stay, too. If the folders that say so cannot be listed, or the clock may have
jumped, nothing is removed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from prefect import task

from blocks.errors import Refused, ShipwayError
from blocks.key_folder.heads import closed_heads, forget_head, read_head
from blocks.key_folder.kept_files import kept_at, kept_names, listed_names, read_all_kept, read_kept, remove_kept, write_kept
from blocks.key_folder.key_file import key_path
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import OPEN, RUN
from tasks.lifecycle.kept_runs import WHAT as OF_A_RUN
from tasks.lifecycle.retries import OBSERVE
from tasks.record.kept_clock import doubt_of_clock
from tasks.record.kept_index import MOST_OF_A_VERSION, run_of, version_of
from tasks.record.kept_index import WHAT as OF_A_VERSION
from tasks.record.reading import FACTS, OF_FACTS

EVERY = timedelta(days=1)
KEPT_FOR = timedelta(days=90)
HEADS_KEPT_FOR = timedelta(days=400)  # the history still counts what the server does not list any more
MOST_AT_ONCE = 5_000
NEVER_OLD = float("inf")  # when something was written of which that is not known
FOLDERS = ("entries", "overrides")  # each has a folder a run
LOG = logging.getLogger("shipway")
MARK, WHAT = ("keeper", "retention"), "which says when old files were removed"


@task(name="remove what is old", **OBSERVE)
async def remove_old() -> int:
    """Remove what is kept of runs that ended long ago, once a day.

    Returns:
        How many runs and files were removed.

    Raises:
        Refused: A folder that says what is needed cannot be listed.
    """
    return await asyncio.to_thread(_remove_once_a_day, now())


def _remove_once_a_day(at: datetime) -> int:
    with suppress(Refused, KeyError, ValueError):
        last = (read_kept(*MARK, what=WHAT) or {}).get("at")
        if last and timedelta() <= at - datetime.fromisoformat(str(last)) < EVERY:
            return 0
    write_kept(*MARK, {"at": at.isoformat()}, what=WHAT)
    if doubt := doubt_of_clock(at, keeps=True):
        LOG.warning("What is kept of runs that ended long ago stays. %s", doubt)
        return 0
    return sum(1 for removed in _remove(at) if removed)


def _remove(at: datetime) -> Iterator[bool]:
    old, left = (at - KEPT_FOR).timestamp(), MOST_AT_ONCE
    listed_names("heads", suffix=".json")  # refused, as the next: what cannot be listed is not nothing
    contracts, is_open, superseded = listed_names("contracts"), listed_names(OPEN), _superseded()
    yield from (_removed("deployed", name) for name in superseded[:left])
    needed = {run_of(name) for name in [*contracts, *listed_names("deployed")]} | {*is_open}
    for folder in FOLDERS:
        for path in _folders(key_path().parent / folder):
            if path.name not in needed and _age_of(path) < old and _is_closed(path.name) and left > 0:
                shutil.rmtree(path, ignore_errors=True)
                left -= 1
                yield True
    for folder in {*OF_A_RUN} - {OPEN}:
        due = (name for name in kept_names(folder) if name not in needed and kept_at(folder, name, absent=NEVER_OLD) < old)
        yield from (_removed(folder, name) for name in islice(due, left))
    heads = (run for run in closed_heads(before=(at - HEADS_KEPT_FOR).timestamp()) if run not in needed)
    for run in islice(heads, left):
        with suppress(OSError):
            forget_head(run)
            yield True


def _superseded() -> list[str]:
    """List what says that a version was deployed, but for the newest of each, by what they say; a copy put back has other times of files.

    Raises:
        Refused: It cannot be listed.
    """
    by_version = defaultdict[str, list[str]](list)
    for name in listed_names("deployed"):
        by_version[version_of(name)].append(name)
    many = [names for names in by_version.values() if len(names) > MOST_OF_A_VERSION]
    return [name for names in many for name in _by_time(names)[:-MOST_OF_A_VERSION]]


def _by_time(names: list[str]) -> list[str]:
    """Sort what says that a version was deployed; what does not say when, or cannot be read, by when its file was written."""
    at = {name: kept_at("deployed", name, absent=NEVER_OLD) for name in names}
    for name, kept in read_all_kept("deployed", names, what=OF_A_VERSION):
        with suppress(KeyError, ValueError):
            at[name] = datetime.fromisoformat(str(kept["at"])).timestamp()
    return sorted(names, key=at.__getitem__)


def _is_closed(run: str) -> bool:
    """Say if a run's record is known to be closed; one that is not known to be may be needed."""
    with suppress(ShipwayError):
        head = read_head(run)
        if head is None:  # as `records_days` has removed its record: then what is kept of closed records says so
            return read_kept(FACTS, run, what=OF_FACTS) is not None
        return head.closed
    return False


def _folders(root: Path) -> list[Path]:
    with suppress(OSError):
        return [Path(one.path) for one in os.scandir(root) if RUN.fullmatch(one.name) and one.is_dir(follow_symlinks=False)]
    return []


def _age_of(folder: Path) -> float:
    """Give when something was last written in a folder, in seconds since the epoch; one that others remove meanwhile is left to them."""
    with suppress(OSError):
        return max((one.stat(follow_symlinks=False).st_mtime for one in (folder, *folder.iterdir())), default=0.0)
    return NEVER_OLD


def _removed(folder: str, name: str) -> bool:
    with suppress(OSError):
        remove_kept(folder, name)
        return True
    return False
