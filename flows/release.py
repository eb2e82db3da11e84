"""A release: one version of one service from a reviewed plan to a verified, documented production deployment, or a safe rollback."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime, timedelta
from typing import Any

from prefect import State, flow

from blocks.errors import Refused
from flows.approval.checklist import pass_checklist
from flows.approval.closing import close_checklist
from flows.approval.failed_script import ends_after
from flows.approval.gate import pass_gate, too_old
from flows.approval.inconclusive import may_proceed
from flows.lifecycle.context import Phase, begin_phase, check_not_stopped
from flows.lifecycle.finalize import end_watch
from flows.lifecycle.frame import conduct, roll_back_cancelled
from flows.lifecycle.windows import due_of, expect_in_time, has_waited_since, opens_at, wait_for_window, wait_while_frozen
from flows.post_deploy import post_deploy
from flows.pre_deploy import pre_deploy
from flows.production import production
from flows.rollout.data import expect_data
from flows.staging import staging
from flows.verify import verify
from tasks.approval.approval import log_outcome
from tasks.evidence.inputs import collect_inputs, collect_inputs_again
from tasks.lifecycle import clock
from tasks.lifecycle.retries import retried
from tasks.record.expected import publish_progress
from tasks.record.journal import read_entry
from tasks.rules.evidence.differences import changed_parts, differences
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.lifecycle.results import Approval, Decisions, PhaseResult, TargetResult, WaveResult, failed
from tasks.rules.plan.request import BecauseOf, NotBefore, NotLaterThan, PlanPath, Reason, ReleaseKind, Requester, Version
from tasks.rules.plan.targets import places_of, waves_of
from tasks.rules.windows.schedule import NOT_BEFORE, NOT_LATER_THAN

MOST_ROUNDS = 5
UNCHANGED = "unchanged"  # the entry that says that what was approved is what there is, right before the first change


@flow(
    name="release",
    flow_run_name="release {version}",
    persist_result=True,
    result_serializer="json",
    on_cancellation=[roll_back_cancelled],
    on_completion=[end_watch],
    on_failure=[end_watch],
)
async def release(
    plan: PlanPath,
    version: Version,
    reason: Reason,
    requester: Requester,
    not_before: NotBefore = None,
    not_later_than: NotLaterThan = None,
    kind: ReleaseKind = "planned",
    because_of: BecauseOf = "",
) -> State[Any]:
    """Release a version: evidence, staging, approval, production in watched steps, verification, record; rolled back on any failure.

    Args:
        plan: Path of the plan file where the worker runs.
        version: The version to release, as it is tagged.
        reason: Why, for the record and the approvers.
        requester: Your name; you cannot approve what you ask for.
        not_before: From when on production may begin.
        not_later_than: Until when production must have begun; else the release is skipped.
        kind: Whether it is planned, or a fix of what an earlier deployment broke.
        because_of: The id of the release whose failure it fixes.
    """
    more = {name: at.isoformat() for name, at in ((NOT_BEFORE, not_before), (NOT_LATER_THAN, not_later_than)) if at}
    more |= {"kind": "fix"} if kind == "fix" or because_of else {}
    more |= {"because_of": because_of} if because_of else {}
    return await conduct("release", plan=plan, version=version, reason=reason, requester=requester, course=_course, more=more)


async def _course(phase: Phase, version: str) -> PhaseResult:
    """Go through the phases; each is a child run that is skipped when it is done."""
    await expect_in_time(phase)  # once more: waiting for the lock took its time
    due = await due_of(phase)
    for number in range(1, MOST_ROUNDS + 1):
        this_round = await begin_phase(phase.path, scope=f"{phase.owner}/{number}")
        latest = due.latest if due else None
        found = await _prepare(this_round, version, latest=latest)
        if not found.passed:
            return found
        inputs = await _inputs(this_round, version)
        await pass_checklist(this_round, inputs, "production", latest=latest)
        approval = await pass_gate(
            this_round, inputs, name=_gate_name(number), requester=await _requester(phase),
            opens=await opens_at(this_round), latest=latest,
        )  # fmt: skip
        if await _still_the_same(this_round, inputs):
            return await close_checklist(this_round, inputs, await _deploy(this_round, version, approval=approval))
    raise Refused(
        f"plan, change log or running version changed {MOST_ROUNDS} times while this release was prepared; "
        "release again once changes have stopped"
    )


async def _inputs(phase: Phase, version: str) -> Inputs:
    found: Inputs = await collect_inputs(phase.path, version=version, key=phase.key("subject"))
    return found


async def _prepare(phase: Phase, version: str, *, latest: datetime | None) -> PhaseResult:
    await check_not_stopped(phase.owner)
    ready: Any = await pre_deploy(phase.path, version=version, release=phase.scope)
    if not ready.passed:
        raise Refused(f"not ready: {ready.reason}")
    await pass_checklist(phase, await _inputs(phase, version), "staging", latest=latest)
    await wait_while_frozen(phase)
    if await phase.read("effect", environment="staging", name="promote") is None:
        await publish_progress(phase.owner, plan=phase.plan)
    found: Any = await _stage(phase, version)
    if found.passed:
        found = await verify(phase.path, environment="staging", version=version, release=phase.scope)
    result: PhaseResult = found
    return result


async def _stage(phase: Phase, version: str) -> PhaseResult:
    """Deploy to staging; people are asked about a script that failed, if the plan says so."""
    asked: set[str] = set()
    while True:
        found: Any = await staging(phase.path, version=version, release=phase.scope)
        result: PhaseResult = found
        if not isinstance(result, TargetResult) or result.script is None:
            return result
        requester = await _requester(phase)
        ends = await ends_after(phase, result, result.script, version=version, requester=requester, asked=asked)
        if ends is not None:
            return ends


async def _deploy(phase: Phase, version: str, *, approval: Approval) -> PhaseResult:
    """Deploy to production wave after wave: the next one begins when the one before is verified and promoted."""
    await expect_data(phase, "production", "post_deploy")
    for wave in ([place.environment for place in places] for places in waves_of(phase.plan)):
        await wait_for_window(phase, wave)
        await publish_progress(phase.owner, plan=phase.plan)
        found = await _deploy_wave(phase, version, wave=wave, approval=approval)
        if not found.passed:
            return found
    looked: Any = await post_deploy(phase.path, version=version, release=phase.scope)
    await check_not_stopped(phase.owner)  # a rollback may have brought another version meanwhile
    result: PhaseResult = looked
    return result


async def _deploy_wave(phase: Phase, version: str, *, wave: list[str], approval: Approval) -> PhaseResult:
    """Deploy to the targets of a wave; people are asked about the inconclusive ones when the others are through."""
    decisions: Decisions = {}
    requester, asked = await _requester(phase), set[str]()
    while True:
        found: Any = await production(
            phase.path,
            version=version,
            requester=requester,
            environment=wave[0] if len(wave) == 1 else "production",
            release=phase.scope,
            approval=approval,
            decisions=deepcopy(decisions),
            wave=wave,
        )
        result: WaveResult = found
        if result.is_held:
            await wait_for_window(phase, wave)
            continue
        if not result.inconclusive:
            return result
        for target in result.inconclusive:
            if target.script is not None:
                ends = await ends_after(phase, target, target.script, version=version, requester=requester, asked=asked)
                if ends is not None:
                    return ends
                continue
            if not await may_proceed(phase, target, version=version, requester=requester):
                return failed(f"inconclusive {target.reason}")  # all are rolled back, so there is nothing to ask about the others
            decisions.setdefault(target.environment, {})[target.step or 0] = "proceed"


async def _still_the_same(phase: Phase, inputs: Inputs) -> bool:
    """Wait for production's window, and compare what was approved with the world as it is then.

    Once production has begun, the approval stands, and what is void stays so.
    """
    if await phase.read("refused", name="void"):
        return False
    first = [place.environment for place in waves_of(phase.plan)[0]]
    renewed = await _to_be_renewed(phase, inputs)
    if renewed is not None and clock.now() >= renewed:
        why = "it will be older than `approval.valid_for_minutes` lets it be when production opens; people are asked before"
        return await _void(phase, why, approved=inputs.digest, now=inputs.digest)
    await wait_for_window(phase, first, begins=False, wakes=renewed)
    if await _is_settled(phase):
        return True
    if old := await too_old(phase, inputs):
        return await _void(phase, old, approved=inputs.digest, now=inputs.digest)
    fresh = await retried(collect_inputs_again)(phase.path, version=inputs.version)
    if fresh.digest == inputs.digest:
        await wait_for_window(phase, first, begins=False)  # reading took its time, in which it may have closed
        evidence = {"digest": fresh.digest}
        await phase.append("Nothing changed since it was approved", kind="gate", name=UNCHANGED, evidence=evidence)
        await _tell(phase, outcome="confirmed", reason="the release goes on", state="confirmed")
        return True
    now, then = (places_of(seen.parsed()) for seen in (fresh, inputs))
    if [(place.environment, place.platform) for place in now] != [(place.environment, place.platform) for place in then]:
        raise Refused("the plan names other platforms than when this release began; start a new release")
    changed, lines = ", ".join(changed_parts(inputs, fresh)), differences(inputs, fresh)
    return await _void(phase, f"changed: {changed}", approved=inputs.digest, now=fresh.digest, lines=lines)


async def _is_settled(phase: Phase) -> bool:
    """Say if what was approved was compared, and nothing was waited for since."""
    return await phase.read("gate", name=UNCHANGED) is not None and not await has_waited_since(phase, UNCHANGED)


async def _to_be_renewed(phase: Phase, inputs: Inputs) -> datetime | None:
    """Say when people are asked again before production opens, as the approval that they gave will be too old then.

    It is the first moment from which a new one will hold until then: who approves need not be there when it opens. None if the approval
    holds until then, none is needed, or production has begun or may.
    """
    decided = await phase.read("gate", name="decision")
    if decided is None or inputs.rules().quorum == 0 or await _is_settled(phase):
        return None
    opens, lasts = await opens_at(phase), timedelta(minutes=phase.plan.approval.valid_for_minutes)
    until = datetime.fromisoformat(decided.at) + lasts
    return None if opens is None or opens <= until else max(until, opens - lasts)


async def _void(phase: Phase, why: str, *, approved: str, now: str, lines: Sequence[str] = ()) -> bool:
    """Make the approval of this round void, and give that it is not the same any more: people are asked again."""
    what = "The approval is void: what it was given for changed while it was asked" if approved != now else "The approval is void"
    await phase.append(what, kind="refused", name="void", why=why, evidence={"approved": approved, "now": now, "differences": list(lines)})
    await _tell(phase, outcome="void", reason=f"asked again: {why}", state="open")
    return False


async def _tell(phase: Phase, *, outcome: str, reason: str, state: str) -> None:
    """Tell who approved what became of it; without an approval the last answer was about something else."""
    if phase.plan.approval.quorum:
        await retried(log_outcome)(phase.owner, outcome=outcome, reason=reason, state=state)


async def _requester(phase: Phase) -> str:
    opened = await read_entry(phase.owner, "opened")
    return opened.who if opened else ""


def _gate_name(number: int) -> str:
    return "production" if number == 1 else f"production-round-{number}"
