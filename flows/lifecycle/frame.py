"""The frame around everything that moves a service: open the record, lock the service, act, and finalize, whatever happened.

It may be run again from its first line at any moment, by the same process or another: each part is remembered or converges.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from prefect import Flow, State
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Abort

from blocks.errors import BadInput, Refused, Skipped, Superseded, WorldMoved
from blocks.outside_text import ENDING_LIMIT, as_ending, as_reason, error_text
from flows.lifecycle.acting import acting_for, has_lease
from flows.lifecycle.context import UNKNOWN, Phase, begin_phase, platform_of, run_id
from flows.lifecycle.finalize import finalize
from flows.lifecycle.queue import lock_or_wait
from flows.lifecycle.windows import expect_in_time
from tasks.lifecycle.kept_runs import keep_open
from tasks.lifecycle.links import run_link
from tasks.lifecycle.lock import is_stop_requested
from tasks.lifecycle.retries import retried
from tasks.lifecycle.run_labels import begin_attempt, let_go, name_run, unmark
from tasks.record.journal import append_entry, closing_entry, expect_whole_record, read_entry
from tasks.record.storage import check_storage
from tasks.record.without_key import rolling_back
from tasks.rules.lifecycle.ending import Ending
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.plan.targets import environments_reversed, places_of
from tasks.rules.record.asked import changed_parameters
from tasks.rules.record.entries import Entry

Course = Callable[[Phase, str], Awaitable[PhaseResult]]
Begin = Callable[..., Awaitable[Phase]]  # as `begin_phase`
Finish = Callable[..., Awaitable[State[Any]]]  # as `finalize`


async def conduct(
    name: str,
    *,
    plan: str,
    version: str,
    reason: str,
    requester: str,
    course: Course,
    environment: str = "",
    more: Mapping[str, str] | None = None,
    begin: Begin = begin_phase,
    finish: Finish = finalize,
) -> State[Any]:
    """Carry a course through, whatever happens on the way.

    Args:
        name: What is run: `release`, `production` …
        plan: Path of the plan.
        version: The version under release.
        reason: Why, from the person who asked.
        requester: Who asked.
        course: The phases; gives their result, or raises one of our errors.
        environment: Where, if the run was asked for one.
        more: What else it was asked for with, by the names of its parameters: when it is due, and that it is a fix.
        begin: Takes the plan.
        finish: Brings it to its end.

    Returns:
        The final state: Completed as Deployed, else Failed with a name and a message that say what became of it.
    """
    run = run_id()
    closed = await closing_entry(run)
    if closed is not None:
        return await finish(run, plan=plan, version=version, ending=Ending("failed", as_ending(closed.why)))
    with acting_for(run):
        given = {"plan": plan, "version": version} | ({"environment": environment} if environment else {}) | dict(more or {})
        ending = await _attempt(name, run, given=given, reason=reason, requester=requester, course=course, begin=begin)
    return await finish(run, plan=plan, version=version, ending=ending, marked=True)


async def _attempt(name: str, run: str, *, given: dict[str, str], reason: str, requester: str, course: Course, begin: Begin) -> Ending:
    plan, version = given["plan"], given["version"]
    tags = [f"version:{version}", f"shipway:{name}"] if version else [f"shipway:{name}"]
    await retried(begin_attempt)(run, name=f"{name} {version}".rstrip(), tags=tags)
    what = f"{requester or 'unknown'} asked to {name} {version or 'a rollback'}"
    evidence = {"flow": name, **given, "run": run_link(run)}
    try:
        opened = await append_entry(run, what, kind="opened", who=requester or UNKNOWN, why=reason, evidence=evidence)
        _expect_unchanged(opened, given)
        return await _carry(name, run, plan=plan, version=version, course=course, begin=begin)
    except Skipped as error:
        return Ending("skipped", as_ending(error))
    except (Refused, BadInput) as error:
        return Ending("refused", as_ending(error))
    except Superseded as error:
        return await _who_took_over(run, plan=plan, error=error)
    except Exception as error:  # noqa: BLE001 - whatever could not be done ends in the same rollback
        return Ending("failed", error_text(error, limit=ENDING_LIMIT))


async def roll_back_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect names them
    """Take a cancellation as the order to roll back; Prefect runs this hook where the worker is, as long as it needs."""
    if flow_run.parent_task_run_id is not None:  # its parameters say so, too, and anyone with the API can change those
        return  # a phase of a release, which is rolled back as a whole
    plan, version = (str(flow_run.parameters.get(name) or "") for name in ("plan", "version"))
    ending = Ending("cancelled", as_ending(f"cancelled in the Prefect UI or by its API ({as_reason(state.message)})"))
    try:
        await finalize(str(flow_run.id), plan=plan, version=version, ending=ending)
        await retried(let_go)(str(flow_run.id))
    finally:
        await retried(unmark)(str(flow_run.id))  # the hook runs in the worker, which lives on; the keeper settles what is left


def _expect_unchanged(opened: Entry, given: dict[str, str]) -> None:
    if changed := changed_parameters(opened, given):
        raise Refused(f"{', '.join(changed)} of this run changed after it began, and only the API can do that; request it again")


async def _carry(name: str, run: str, *, plan: str, version: str, course: Course, begin: Begin) -> Ending:
    await expect_whole_record(run)
    decided = await read_entry(run, "rollback", name="decision")
    if decided is not None:
        return Ending.from_entry(decided)
    phase = await begin(plan, scope=run)
    await retried(name_run)(run, name=f"{name} {phase.plan.service} {version}".rstrip(), tags=[f"service:{phase.plan.service}"])
    await keep_open(run, service=phase.plan.service, blocks=[place.platform for place in places_of(phase.plan)])
    await retried(check_storage)()
    await expect_in_time(phase)  # before it may stop another release for the lock
    await lock_or_wait(phase, run=run)
    found = await course(phase, version)
    return Ending("deployed" if found.passed else "failed", found.reason)


async def _who_took_over(run: str, *, plan: str, error: Superseded) -> Ending:
    """Tell a newer copy of this very run, which goes on, from another run, which ends this one, and from a platform that errs.

    If the newest lease is the one that this process acquired, no one else acts for this run: it has failed, and is rolled back.
    """
    if not await _was_stopped(run) and await closing_entry(run) is None:
        phase = await begin_phase(plan, scope=run)
        environments = environments_reversed(phase.plan)
        with rolling_back():  # it is about where this run acted, not about where its blocks lead now
            positions = {name: await (await platform_of(phase.plan, name)).current() for name in environments}
        ours = {name: position for name, position in positions.items() if position["owner"] == run}
        held = [has for name, position in ours.items() if (has := has_lease(name, position)) is not None]
        if held and all(held):
            return Ending("failed", error_text(error, limit=ENDING_LIMIT))
        if ours:
            raise Abort(f"another process acts for this run now: {error}") from error
    return Ending("stopped", as_ending(error))


async def _was_stopped(run: str) -> bool:
    """Say if a rollback requested that this run stops, or it was deleted: then another run saw to its environments."""
    try:
        return await is_stop_requested(run)
    except WorldMoved:
        return True
