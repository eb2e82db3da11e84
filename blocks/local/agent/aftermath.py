"""What is done once a revision has ended: what it left behind is ended, too, and the baseline is looked at."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress

from blocks.local.agent import process as local_process
from blocks.local.agent.probe import answers
from blocks.local.agent.strays import end_strays
from blocks.local.state.environment import Environment
from blocks.local.state.file import DATA
from blocks.local.state.view import Run
from blocks.runner import service_runner

SILENT_SECONDS, PROBE_PAUSE_SECONDS = 10.0, 0.5  # a process that serves may be slow, or load itself anew
REVIVE_SECONDS = 15.0
log = logging.getLogger("shipway.local")


async def end_left_behind(environment: Environment) -> None:
    """End what no revision's processes have for a parent, before a rollback starts a version: it could be ended by that at once.

    Without a user id of the environment's own, nothing tells these processes from others.
    """
    state, other = environment.state, service_runner(environment.folder, environment.folder / DATA)
    if other is None:
        return
    others = {one["pid"]: f"{state['token']}:{key}" for key, one in state["revisions"].items() if one["pid"]}
    if ended := await asyncio.to_thread(end_strays, retired="", born=0, others=others, uid=other.uid):
        log.warning("%d process(es) outside every revision's process group are ended for a rollback", ended)


async def clear_up(environment: Environment, run: Run) -> None:
    """End what a revision left outside its process group, then see that the baseline still answers: it may have been stopped or hurt."""
    state, other = environment.state, service_runner(environment.folder, environment.folder / DATA)
    others = {one["pid"]: f"{state['token']}:{key}" for key, one in state["revisions"].items() if key != run.id and one["pid"]}
    ended = await asyncio.to_thread(
        end_strays,
        retired=f"{state['token']}:{run.id}",
        born=run.began,
        others=others,
        uid=other.uid if other else None,
    )
    if ended:
        log.warning("%s left %d process(es) outside its process group behind; they are ended", run.id, ended)
    baseline = state["baseline"]
    if not state["stopping"] and baseline not in (None, run.id):
        await _revive(environment, environment.run_of(baseline))


async def _revive(environment: Environment, run: Run) -> None:
    """Start a revision's process anew if it gives no answer at all for ten seconds."""
    revision = environment.state["revisions"].get(run.id)
    if revision is None or not revision["served"] or not revision["pid"]:
        return
    silent_until = time.monotonic() + SILENT_SECONDS
    while not await answers(environment.session, revision):
        if time.monotonic() >= silent_until:
            break
        await asyncio.sleep(PROBE_PAUSE_SECONDS)
    else:
        return
    log.warning("%s gives no answer; its process is started anew", run.id)
    run.doubt()
    process = local_process.adopt(revision["pid"], revision["born"])
    if process is not None:
        await local_process.kill(process)
        local_process.release(process)
    run.accepting.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(REVIVE_SECONDS):
            await run.accepting.wait()
