"""The metrics that the server stack serves for Prometheus, computed by the keeper when a release has ended, and each ten minutes."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect import task

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_at, kept_names, kept_path, read_kept
from blocks.server import layout
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import OPEN, WHAT
from tasks.lifecycle.retries import OBSERVE
from tasks.record.facts import FOLDER, newest_kept_facts
from tasks.rules.metrics.each import measure_each
from tasks.rules.metrics.exposition import exposition_of
from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.metrics import Selection

SPAN = timedelta(days=30)
ENVIRONMENTS = ("production", "staging")
LEAST_SECONDS, MOST_SECONDS = 60, 600
MOST_RECORDS, MOST_SERVICES = 5_000, 200
TRIED = "metrics.tried"


@task(name="write the metrics for Prometheus", **OBSERVE)
async def write_exposition() -> bool:
    """Write the metrics of the last 30 days into the home directory of this machine's server stack, if they are due.

    They are due if a record was closed since, and in any case after ten minutes, as the span moves on and releases begin; a try that did
    not end counts as one. They go by what is kept beside the key alone: a storage may be slow, and full of what others put there.

    Returns:
        Whether they were written; never where no server stack of ours lies.
    """
    home = os.environ.get("SHIPWAY_HOME", "")
    if not home or not (Path(home) / "home.json").exists():
        return False
    return await asyncio.to_thread(_write, Path(home))


def _write(home: Path) -> bool:
    target, tried, begun = layout.metrics_file(home), home / "run" / TRIED, time.time()
    if not _is_due(target, tried, at=begun):
        return False
    tried.touch()
    until = now()
    facts = [*newest_kept_facts(since=(until - SPAN).timestamp(), most=MOST_RECORDS), *_open()]
    layout.write_private(target, _text_of(facts, until=until))
    os.utime(target, (begun, begun))  # what was closed while this was computed is due again
    os.utime(tried, (begun, begun))
    return True


def _is_due(target: Path, tried: Path, *, at: float) -> bool:
    written, begun = _mtime(target), _mtime(tried)
    if begun > written and 0 <= at - begun < MOST_SECONDS:
        return False
    age = at - written
    if not 0 <= age < MOST_SECONDS:
        return True
    return age > LEAST_SECONDS and _mtime(kept_path(FOLDER, "any").parent) > written


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _open() -> Iterator[Facts]:
    """Give the releases that are under way, as far as it is kept beside the key: their service, and since when."""
    for run in kept_names(OPEN):
        found = {}
        with suppress(Refused):
            found = read_kept(OPEN, run, what=WHAT[OPEN]) or {}
        if service := str(found.get("service", "")):
            yield Facts(
                run=run, flow="release", service=service, version="", requester="", outcome="open", why="",
                opened=datetime.fromtimestamp(kept_at(OPEN, run), UTC), ended=None,
                work_seconds=0, people_seconds=0, window_seconds=0, lock_seconds=0,
            )  # fmt: skip


def _text_of(facts: Sequence[Facts], *, until: datetime) -> str:
    services = sorted(name for name, _ in Counter(one.service for one in facts if one.service).most_common(MOST_SERVICES))
    chosen = [Selection("", environment, until - SPAN, until) for environment in ENVIRONMENTS]
    return exposition_of([one for selection in chosen for one in measure_each(facts, services, selection)])
