"""What a forge is to show of a run: noted before the first change in production, and when the run has ended; it decides nothing."""

from __future__ import annotations

import asyncio

from blocks.forge.deployments import Deployment
from blocks.outside_text import error_text
from flows.lifecycle.context import Phase
from tasks.evidence.change_log import commit_of, tag_of
from tasks.lifecycle.links import run_link
from tasks.notify.deployments import is_noted, note_deployment, note_end
from tasks.record.journal import read_entries, read_entry, say
from tasks.rules.notify.deployments import State, state_of
from tasks.rules.plan.targets import production_of
from tasks.rules.record.entries import select
from tasks.rules.rollout.waves import deployed_to

SECONDS = 10  # of a Git repository that hangs


async def note_deployment_begins(phase: Phase, version: str) -> None:
    """Note that a version is being deployed to production, once for each run; a run of a single target of several notes nothing.

    Args:
        phase: The release.
        version: Its version.
    """
    if phase.plan.deployments is None:
        return
    try:
        opened = await read_entry(phase.owner, "opened")
        if len(deployed_to(phase.plan, opened.evidence if opened else {})) == len(production_of(phase.plan)):
            await _note(phase, phase.owner, version, task="deploy", state="in_progress")
    except Exception as error:  # noqa: BLE001 - the service matters more than what a forge shows of it
        say(f"{phase.plan.deployments.to} is not told of this deployment: {error_text(error) or 'no answer in time'}")


async def note_deployment_ends(phase: Phase | None, run: str, *, outcome: str, on_demand: bool) -> None:
    """Note how a run ended; a rollback on demand has a deployment of its own, of the version that serves everywhere since.

    Args:
        phase: The run; None if it never had a readable plan.
        run: Its flow run id.
        outcome: How it ended.
        on_demand: Whether it is a rollback on demand.
    """
    if phase is None or phase.plan.deployments is None:
        return
    try:
        if on_demand and (version := await _rolled_back_to(phase, run)):
            await _note(phase, run, version, task="rollback", state="success" if outcome == "rolled_back" else "failure")
        elif not on_demand:
            await note_end(run, state=state_of(outcome))
    except Exception as error:  # noqa: BLE001 - as above
        say(f"{phase.plan.deployments.to} is not told how this ended: {error_text(error) or 'no answer in time'}")


async def _note(phase: Phase, run: str, version: str, *, task: str, state: State) -> None:
    """Note a deployment of the commit that the version's tag names."""
    wanted = phase.plan.deployments
    if wanted is None or await asyncio.to_thread(is_noted, run):
        return
    async with asyncio.timeout(SECONDS):
        commit = await commit_of(phase.folder, phase.plan.change_log, version)
    tag = tag_of(phase.plan.change_log, version)
    made = Deployment(run, task, phase.plan.service, version, wanted.environment, commit, tag, run_link(run), wanted.url or "")
    await note_deployment(wanted.to, made, state=state)


async def _rolled_back_to(phase: Phase, run: str) -> str:
    """Name the version to which all of production was rolled back, by the record; "" if there is no such one."""
    entries = await read_entries(run)
    names = [place.environment for place in production_of(phase.plan)]
    done = [next(iter(select(entries, kind="rollback", environment=name, name="done")), None) for name in names]
    versions = {str(one.evidence["position"]["baseline"] or "") if one else "" for one in done}
    return versions.pop() if len(versions) == 1 else ""
