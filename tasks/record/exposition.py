"""The metrics that the server stack serves for Prometheus, computed by the keeper when a release has ended, and each ten minutes."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import timedelta
from pathlib import Path

from prefect import task

from blocks.key_folder.kept_files import kept_path
from blocks.server import layout
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import OBSERVE
from tasks.record.facts import FOLDER, all_facts
from tasks.record.storage import default_storage
from tasks.rules.metrics.exposition import exposition_of
from tasks.rules.metrics.facts import Facts
from tasks.rules.metrics.metrics import Selection, measure_each

SPAN = timedelta(days=30)
ENVIRONMENTS = ("production", "staging")
LEAST_SECONDS, MOST_SECONDS = 20, 600


@task(name="write the metrics for Prometheus", **OBSERVE)
async def write_exposition() -> bool:
    """Write the metrics of the last 30 days into the home directory of this machine's server stack, if they are due.

    They are due if a record was closed since, and in any case after ten minutes, as the span moves on and releases begin.

    Returns:
        Whether they were written; never where no server stack of ours lies.
    """
    home = os.environ.get("SHIPWAY_HOME", "")
    if not home or not (Path(home) / "home.json").exists():
        return False
    target = layout.metrics_file(Path(home))
    if not await asyncio.to_thread(_is_due, target):
        return False
    begun = time.time()
    found = await all_facts(await default_storage())
    text = await asyncio.to_thread(_text_of, found.facts, len(found.broken))
    await asyncio.to_thread(layout.write_private, target, text)
    os.utime(target, (begun, begun))  # what was closed while this was computed is due again
    return True


def _is_due(target: Path) -> bool:
    try:
        written = target.stat().st_mtime
    except OSError:
        return True
    age = time.time() - written
    if not 0 <= age < MOST_SECONDS:
        return True
    try:
        closed = kept_path(FOLDER, "any").parent.stat().st_mtime
    except OSError:
        return False
    return closed > written and age > LEAST_SECONDS


def _text_of(facts: list[Facts], broken: int) -> str:
    until = now()
    services = sorted({one.service for one in facts if one.service})
    measured = [
        one for environment in ENVIRONMENTS for one in measure_each(facts, services, Selection("", environment, until - SPAN, until))
    ]
    return exposition_of(measured, broken=broken)
