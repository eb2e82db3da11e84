"""One wave: one target of production, or several side by side; the first that fails stops those beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blocks.errors import Refused, RolloutFailed, ScriptFailed, ShipwayError, WorldMoved
from blocks.outside_text import as_ending, error_text
from flows.approval.checklist import expect_ticked
from flows.lifecycle.context import Phase, check_not_stopped
from flows.lifecycle.deployments import note_deployment_begins
from flows.rollout.data import expect_data
from flows.rollout.steps import roll_out
from tasks.approval.approval import check_proofs
from tasks.evidence.inputs import collect_inputs, collect_inputs_again, digest_of, read_plan
from tasks.lifecycle.retries import named, retried
from tasks.process.concurrency import until_one
from tasks.record.journal import read_entry, say
from tasks.rollout.platforms import load_approvers
from tasks.rules.analysis.outcome import Outcome
from tasks.rules.approval.proofs import ApprovedAction
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.lifecycle.results import Approval, Decisions, TargetResult, WaveResult, script_failed, worst_of
from tasks.rules.plan.targets import Place, place_of, target_of


async def roll_out_wave(phase: Phase, version: str, *, environments: Sequence[str], approval: Approval, decisions: Decisions) -> WaveResult:
    """Roll a version out to the targets of a wave: each takes its own steps, is verified, and promotes it.

    Args:
        phase: The release and its round.
        version: The version.
        environments: The wave's targets; a production without targets is a wave of one.
        approval: The gate's name and proofs.
        decisions: What people decided about inconclusive steps.

    Returns:
        `passed` if every target completed; `failed` with the reason of the first that did; else the worst of the inconclusive or held ones.

    Raises:
        ShipwayError: A target could not go on, and none goes on beside it.
    """
    approved = await _confirm(phase, version, approval=approval)  # once, before they go apart
    await expect_data(phase, "production", "post_deploy")
    await note_deployment_begins(phase, version)
    places = [place_of(phase.plan, name) for name in environments]
    ended, found = await until_one(
        *(_roll_out_to(phase, version, place=one, decisions=decisions.get(one.environment, {}), approved=approved) for one in places),
        ends=lambda one: not (one.passed or one.is_inconclusive or one.is_held),
    )
    targets = {one.environment: one for one in found}
    inconclusive = [one for one in found if one.is_inconclusive]
    inconclusive = inconclusive or [one for one in found if one.is_held]
    whole = found[0] if len(found) == 1 else worst_of(inconclusive or found)
    outcome, reason = (ended.outcome, ended.reason) if ended else (whole.outcome, whole.reason)
    return WaveResult(outcome=outcome, reason=reason, targets=targets, ended_by=ended.environment if ended else "")


async def _roll_out_to(phase: Phase, version: str, *, place: Place, decisions: Mapping[int, str], approved: Inputs | None) -> TargetResult:
    """Roll out to one target, whose name an error carries if there are several."""
    name = place.environment
    try:
        return await roll_out(phase, version, place=place, decisions=decisions, approved=approved)
    except (RolloutFailed, WorldMoved) as error:
        if isinstance(error, ScriptFailed) and phase.plan.on_script_failure.then == "ask":
            return script_failed(error, name)
        where = f"{name}: " if target_of(name) else ""
        return TargetResult(outcome=Outcome.FAILED, reason=as_ending(f"{where}{error_text(error)}"), environment=name)
    except ShipwayError as error:
        if target_of(name):
            say(f"{name}: {error_text(error)}")  # who reads the error alone would look for its target
        raise


async def _confirm(phase: Phase, version: str, *, approval: Approval) -> Inputs | None:
    """Verify the approvals and ticks again: against what there is now right before the first change, and wherever the release goes on.

    Neither the entry that says so nor the remembered plan is believed. Once the release has begun, it has itself changed what runs; then
    the proofs must be for the inputs that it goes by, and those that were verified before the first change need not be of people who are
    enrolled now: a half-deployed release goes on although an approver left the team (decision 16).

    Returns:
        The inputs for which the approvals hold, in memory: what is stored could be removed or be another one a moment later. None if
        neither an approval nor a tick is asked for.

    Raises:
        Refused: They do not hold, or this release goes by another plan than the one that was approved.
    """
    await check_not_stopped(phase.owner)  # a release that must stop was not refused
    # Approvals are for a digest, which no other plan has. Without one, the plan in its file says if people are to be asked.
    plans = [phase.plan] if phase.plan.approval.quorum else [phase.plan, (await read_plan(phase.path)).parsed()]
    if not any(plan.asks_people() for plan in plans):
        return None
    confirmed = await phase.read("approval", name="confirmed")
    if confirmed:
        found = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    else:
        found = await retried(collect_inputs_again)(phase.path, version=version)
    counted = confirmed.evidence.get("proofs", ()) if confirmed else ()
    if any(plan.approval.quorum for plan in plans):
        await _expect_approved(phase, found, version=version, approval=approval, counted=counted)
    items = next((asked for plan in (found.parsed(), *plans) if (asked := plan.checklist.required())), ())
    ticks = await expect_ticked(phase, found, items=items, version=version, counted=counted)
    if found.taken() != phase.taken:
        raise Refused("the plan that this release goes by is not the one that was approved: what it remembers was exchanged. Release again")
    if not confirmed:
        await phase.append(
            "The approvals and ticks were verified again, right before the first change",
            kind="approval",
            name="confirmed",
            why=f"digest {digest_of(found)}",
            evidence={"proofs": [proof.name() for proof in (*approval.proofs, *ticks)]},
        )
    return found


async def _expect_approved(phase: Phase, found: Inputs, *, version: str, approval: Approval, counted: Sequence[str]) -> None:
    """Verify the approvals of what there is now.

    Raises:
        Refused: They do not hold.
    """
    rules = found.rules()
    opened = await read_entry(phase.owner, "opened")
    problems = await named(check_proofs, "verify the approvals again")(
        await load_approvers(phase.plan.approval.block),
        subject=ApprovedAction(phase.owner, approval.gate, phase.plan.service, version, digest_of(found)),
        proofs=approval.proofs,
        allowed=rules.approvers,
        quorum=max(rules.quorum, 1),
        requester=opened.who if opened else "",
        requester_confirms=rules.requester == "proved",
        signatures=rules.signatures,
        counted=counted,
    )
    if problems:
        raise Refused(f"the approvals do not hold: {'; '.join(problems)}")
