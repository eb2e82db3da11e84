"""How a rehearsal ends: staging is rolled back by the code of every release, what that showed is kept, and its record is closed.

As the end of a release it may be called again at any point, by another process too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect import State
from prefect.states import Completed, Failed

from blocks.errors import Refused, Superseded, Tampered, Temporary, WorldMoved
from blocks.outside_text import OutsideText, as_ending, error_text
from flows.lifecycle.acting import acting, acting_for
from flows.lifecycle.closing import close_record
from flows.lifecycle.context import Phase, begin_phase
from flows.lifecycle.finalize import not_rolled_back, phase_to_end, release_leases, roll_back_or_again
from flows.rollout.revert import tell_failed
from tasks.evidence.begun import forget_begun
from tasks.evidence.rehearsals import keep_rehearsal, publish_rehearsal
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import as_temporary, retried
from tasks.lifecycle.run_labels import end_attempt, mark_running
from tasks.record.journal import closing_entry, expect_whole_record, read_entries, say
from tasks.record.report import publish_record
from tasks.record.without_key import rolling_back
from tasks.rules.evidence.rehearsal import REHEARSED_FAILURE, Method, Rehearsal, rehearsed_plan
from tasks.rules.lifecycle.ending import QUIET, STATE_NAMES, Ending, final_outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.plan.targets import STAGING
from tasks.rules.record.entries import Entry, moment, outcome_of, select


async def begin_rehearsal(plan: str, *, scope: str) -> Phase:
    """Take the plan of a rehearsal, see `begin_phase`: its child runs and its end go by the same one."""
    return as_rehearsal(await begin_phase(plan, scope=scope))


def as_rehearsal(phase: Phase, *, strategy: str | None = None) -> Phase:
    """Let this process go by the plan as it is rehearsed, see `rehearsed_plan`."""
    plan = rehearsed_plan(phase.plan, strategy=strategy)
    taken = phase.taken.model_copy(update={"plan": plan.model_dump(mode="json"), "manifests": {}, "manifest_problems": ()})
    if (release := acting()) is not None:
        release.plans[phase.scope] = taken
    return replace(phase, plan=plan, taken=taken)


async def finish_rehearsal(run: str, *, plan: str, version: str, ending: Ending, marked: bool = False) -> State[Any]:
    """Bring a rehearsal to its end.

    Args:
        run: Its flow run id.
        plan: Path of its plan.
        version: The version that it was asked for; "" for the one before.
        ending: Why it ends.
        marked: Whether this process is marked already as the one that acts for the run.

    Returns:
        The state to end in.

    Raises:
        Temporary: Staging does not answer; the keeper tries again.
        Superseded: A newer run sees to staging.
    """
    with acting_for(run), rolling_back():
        if not marked:
            await retried(mark_running)(run)
        found, late = await phase_to_end(plan, run), None
        phase = as_rehearsal(found) if found else None
        outcome, reason, shown = await _close(phase, run, version=version, ending=ending)
        if phase is not None:
            late = await release_leases(phase, run, [STAGING])
        await _publish(run, shown, service=phase.plan.service if phase else "unknown")
        if late is not None:
            raise late
        await retried(end_attempt)(run, outcome=outcome)
        await forget_begun(run)
    make = Completed if outcome in QUIET else Failed
    return make(name=STATE_NAMES.get(outcome, "Failed"), message=reason)


async def _close(phase: Phase | None, run: str, *, version: str, ending: Ending) -> tuple[str, OutsideText, Rehearsal | None]:
    """Roll staging back, keep what that showed, and close the record; a closed record stays as it is."""
    await closing_entry(run)
    entries = await read_entries(run)
    closed, review = outcome_of(entries), next(iter(select(entries, kind="review")), None)
    version = str(review.evidence["version"]) if review else version
    back = await _roll_back(phase, version=version, ending=ending) if phase and version else {}
    entries = await read_entries(run)
    shown = _shown(phase, run, entries, back) if phase else None
    not_kept = await _why_not_kept(run, shown) if shown else ""
    kept = None if not_kept else shown
    if closed != "open":
        return closed, ending.reason, kept
    outcome, words = _in_words(ending, kept, list(back.values()), not_kept=not_kept)
    reason = as_ending(words)
    evidence: dict[str, Any] = {"rehearsal": kept.model_dump(mode="json")} if kept else {}
    await close_record(phase, run, version=version, outcome=outcome, reason=reason, evidence=evidence)
    return outcome, reason, kept


async def _roll_back(phase: Phase, *, version: str, ending: Ending) -> dict[str, RollbackResult]:
    """Roll staging back by the code of every release; what cannot be rolled back is told to people as always."""
    try:
        back = await roll_back_or_again(phase, [STAGING], version=version, ending=ending)
    except Superseded:
        raise
    except Exception as error:
        if (passing := as_temporary(error)) is not None:
            raise passing from error
        back = {STAGING: not_rolled_back(STAGING, error)}
    await tell_failed(phase, back.values())
    return back


def _shown(phase: Phase, run: str, entries: Sequence[Entry], back: dict[str, RollbackResult]) -> Rehearsal | None:
    """Say what a rehearsal showed, by its record; None unless its version was made to fail and that was rolled back, or could not be."""
    failed = next(iter(select(entries, kind="verdict", environment=STAGING, name=REHEARSED_FAILURE)), None)
    review = next(iter(select(entries, kind="review")), None)
    decided = next(iter(select(entries, kind="rollback", name="decision")), None)
    done = next(iter(select(entries, kind="rollback", environment=STAGING, name="done")), None)
    lost = back.get(STAGING)
    if failed is None or failed.step is None or review is None or decided is None or (done is None and (lost is None or lost.passed)):
        return None
    at = moment(done) if done else now()
    outcome, reason = (str(done.evidence["outcome"]), done.why) if done else ("failed", lost.reason if lost else "")
    before, after = review.evidence["position"], done.evidence["position"] if done else {}
    changed = [name for name in ("baseline", "canary", "previous") if done and before[name] != after[name]]
    if outcome == "passed" and changed:
        outcome, reason = "failed", f"staging is not as it was: its {', '.join(changed)} changed"
    return Rehearsal(
        service=phase.plan.service,
        environment=str(review.evidence["environment"]),
        staging=phase.plan.staging.platform,
        method=Method.model_validate(review.evidence["method"]),
        version=str(review.evidence["version"]),
        baseline=str(before["baseline"]),
        step=failed.step,
        at=at,
        seconds=max(0.0, (at - moment(decided)).total_seconds()),
        outcome="passed" if outcome == "passed" else "failed",
        reason=as_ending(reason),
        run=run,
    )


async def _why_not_kept(run: str, shown: Rehearsal) -> str:
    """Keep what was shown beside the key; "", or why it counts for nothing: it cannot be kept, or it passed and its record was changed.

    One that failed counts always: an earlier one that passed must not go on to count instead.
    """
    try:
        if shown.outcome == "passed":
            await expect_whole_record(run)
        await asyncio.to_thread(keep_rehearsal, shown)
    except (Refused, Tampered, Temporary, WorldMoved, OSError) as error:
        why = f"What this rehearsal showed could not be kept, so it does not count: {error_text(error).rstrip('.')}"
        say(why)
        return why
    return ""


def _in_words(ending: Ending, shown: Rehearsal | None, back: Sequence[RollbackResult], *, not_kept: str) -> tuple[str, str]:
    """Name the outcome, and say it; what was shown and not kept has a reason, with which people can put it right and rehearse again."""
    if shown is not None and shown.outcome == "passed":
        took = f"the rollback took {shown.seconds:.3g} s, and {shown.baseline} serves again"
        return "rehearsed", f"The rollback works: {shown.version} was made to fail at {shown.step} %, {took}. {shown.reason}"
    outcome, words = final_outcome(ending, rolled_back=back)
    if shown is not None:
        return "failed", words
    if not_kept:
        return "failed", f"{words.rstrip('.')}. {not_kept}. Put that right, and rehearse again"
    nothing = "Nothing was shown about a rollback"
    return (outcome if outcome in {"refused", "cancelled", "skipped"} else "failed"), f"{words.rstrip('.')}. {nothing}"


async def _publish(run: str, shown: Rehearsal | None, *, service: str) -> None:
    """Publish record and page; a storage or server that cannot take them changes nothing of how it ended."""
    try:
        await publish_record(run, service=service, kind="rehearsal-record")
        if shown is not None:
            await retried(publish_rehearsal)(shown)
    except Exception as error:  # noqa: BLE001 - the entries are safe, and `shipway report` makes the page again
        say(f"the page of this rehearsal could not be published: {error_text(error)}; `shipway report {run}` shows its record")
