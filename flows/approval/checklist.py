"""The checklist before a phase: ask people to tick its items, judge each answer as at the gate, and verify all ticks again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from blocks.errors import Refused, Skipped
from flows.approval.gate import MOST_QUESTIONS, opened_at, question_nonce
from flows.approval.part import part_of
from flows.lifecycle.context import Phase, StepFields
from flows.lifecycle.suspend import ask, asked_keys
from tasks.approval.approval import log_outcome
from tasks.approval.forms import ticks_form_for
from tasks.approval.ticks import TicksAnswer, check_ticks, fetch_ticks, judge_ticks, publish_progress
from tasks.evidence.inputs import collect_inputs, digest_of
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import named, retried
from tasks.record.journal import read_entries
from tasks.rollout.platforms import load_approvers
from tasks.rules.approval.answers import AnswerVerdict
from tasks.rules.approval.gates import Gate, moment_text
from tasks.rules.approval.proofs import ApprovedAction, Proof
from tasks.rules.approval.ticks import SKIPPED, Tick, Ticked, evidence_of, gate_name, open_items
from tasks.rules.approval.ticks_form import PROGRESS, Progress, facts_in, progress_page, ticks_form
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.plan.checklist import Before, TickedItem
from tasks.rules.record.durations import SUSPENDS_UNTIL
from tasks.rules.record.entries import Entry
from tasks.rules.record.gates import ANSWER
from tasks.rules.rollout.steps import ticks_name

Ends = Callable[[], Awaitable[str]]
WHOLE = StepFields(environment="", step=None)


async def pass_checklist(
    phase: Phase, inputs: Inputs, before: Before, *, items: Sequence[TickedItem] | None = None, latest: datetime | None = None
) -> None:
    """Hold the release until people ticked every required item, without a process meanwhile.

    Args:
        phase: The release and its round.
        inputs: What it is about, as collected; each tick is bound to it.
        before: The phase that comes next.
        items: The items; those of the plan before this phase if None.
        latest: When production must have begun, if the release was scheduled.

    Raises:
        Refused: They were not ticked in time, or too many wrong codes were given.
        Skipped: Not ticked by the latest moment of a scheduled release.
    """
    items = phase.plan.checklist.items_before(before) if items is None else items
    if not open_items(items, (), required=True):
        return
    opened, expires = await ticked_within(phase, before)
    expires = expires if latest is None else max(min(expires, latest), opened + timedelta(seconds=1))
    progress, fault = await ask_for_ticks(phase, inputs, before, items=items, times=(opened, expires))
    if fault:
        await _refuse(phase, progress, fault, scheduled=expires == latest)
    await end_checklist(phase, progress, inputs.version)


async def ticked_within(phase: Phase, before: Before) -> tuple[datetime, datetime]:
    """Give when people were asked first to tick the items before a phase, and until when they may by the plan."""
    opened = await opened_at(part_of(phase, ticks_name(before)), about=WHOLE)
    return opened, opened + timedelta(minutes=phase.plan.checklist.expires_after_minutes)


async def ask_for_ticks(
    phase: Phase, inputs: Inputs, before: Before, *, items: Sequence[TickedItem], times: tuple[datetime, datetime],
    ends: Ends | None = None, more: Mapping[str, str] | None = None,
) -> tuple[Progress, str]:  # fmt: skip
    """Ask people, one question after the other, until they ticked every required item, or the time is up.

    Args:
        phase: The release and its round.
        inputs: What it is about; each tick is bound to it.
        before: The phase that comes next.
        items: The items.
        times: When they were asked first, and until when they may tick.
        ends: Says before each question why there is none; "" asks it.
        more: What the entry with which they are asked holds besides.

    Returns:
        How far it is, and why required items are still open; "" if none is.
    """
    part = part_of(phase, ticks_name(before))
    facts = facts_in(await read_entries(phase.owner), round=phase.round)
    done: dict[str, Ticked] = {}
    wrong, refusal = 0, ""
    for number in range(1, MOST_QUESTIONS):
        gate = await _question(part, inputs, before, number, times=times, items=items)
        progress = Progress(before, items, done, facts)
        is_asked = gate.key in asked_keys()
        if not open_items(items, done, required=True):
            return progress, ""
        fault = _closed(gate, wrong, phase.plan.approval.max_wrong_codes, is_asked=is_asked)
        fault = fault or ("" if is_asked or ends is None else await ends())
        if fault:
            return progress, fault
        if not is_asked:
            await _ask(part, gate, progress, refusal, more=more or {})
        given = await retried(fetch_ticks)(gate, items=items)
        if given.is_empty():
            continue
        judge, approvers = named(judge_ticks, f"judge the ticks of {gate.key}"), await load_approvers(phase.plan.approval.block)
        judgement = await judge(approvers, key=phase.key(f"ticks/{gate.key}"), gate=gate, given=given, items=items, done=done)
        wrong += judgement.is_wrong_code
        refusal = "" if judgement.proof else judgement.reason
        await _record(part, gate, given, judgement, items=items, done=done)
    return progress, f"it was asked {MOST_QUESTIONS} times without ticks that count"


async def expect_ticked(
    phase: Phase, found: Inputs, *, items: Sequence[TickedItem], version: str, counted: Collection[str] = ()
) -> list[Proof]:
    """Verify all ticks again right before what they stand before; no entry and no remembered judgement is believed.

    Args:
        phase: The release and its round.
        found: What there is now.
        items: The items that must be ticked.
        version: The version under release.
        counted: Names of the proofs that were verified right before the first change.

    Returns:
        The proofs.

    Raises:
        Refused: One is missing, or its proof does not hold.
    """
    if not open_items(items, (), required=True):
        return []
    problems, proofs = await named(check_ticks, "verify the ticks again")(
        await load_approvers(phase.plan.approval.block),
        subject=ApprovedAction(phase.owner, "", phase.plan.service, version, digest_of(found)),
        entries=await read_entries(phase.owner),
        items=items,
        round=phase.round,
        signatures=found.rules().signatures,
        counted=counted,
    )
    if problems:
        raise Refused(f"the checklist does not hold: {'; '.join(problems)}")
    return proofs


async def expect_ticked_before_staging(phase: Phase, version: str) -> None:
    """Verify the ticks before staging; alone, staging asks no one, so a plan with such items is released as a whole.

    Raises:
        Refused: One is missing, or its proof does not hold.
    """
    if not open_items(items := phase.plan.checklist.items_before("staging"), (), required=True):
        return
    found = await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)
    await expect_ticked(phase, found, items=items, version=version)


async def _question(
    part: Phase, inputs: Inputs, before: Before, number: int, *, times: tuple[datetime, datetime], items: Sequence[TickedItem]
) -> Gate:
    return Gate(
        run=part.owner,
        name=gate_name(before, part.round),
        question=number,
        digest=inputs.digest,
        service=part.plan.service,
        version=inputs.version,
        nonce=await question_nonce(part, number, about=WHOLE),
        requester="",
        opened_at=times[0],
        expires_at=times[1],
        approvers=tuple(dict.fromkeys(name for item in items for name in (*item.who, *item.skipped_by))),
        signatures=inputs.rules().signatures,
    )


def _closed(gate: Gate, wrong: int, most: int, *, is_asked: bool) -> str:
    """Say why nothing can be ticked any more; an answer in time to what was asked is still judged."""
    if wrong >= most:
        return f"{wrong} wrong codes, {most} are allowed"
    return "" if is_asked or now() < gate.expires_at else f"it was not complete by {moment_text(gate.expires_at)}"


async def _ask(part: Phase, gate: Gate, progress: Progress, refusal: str, *, more: Mapping[str, str]) -> None:
    missing = open_items(progress.items, progress.done)
    who = dict.fromkeys(name for item in missing for name in item.who)
    await part.append(
        f"Asked {', '.join(who)} to tick {', '.join(item.name for item in missing)}",
        kind="gate",
        name=f"question {gate.question}",
        why=f"{progress.of()} are through, until {gate.expires_at:%Y-%m-%d %H:%M} UTC",
        evidence={
            "digest": gate.digest, "key": gate.key, "opened": gate.opened_at.isoformat(), "nonce": gate.nonce,
            PROGRESS: progress.as_evidence(), SUSPENDS_UNTIL: gate.expires_at.isoformat(), **more,
        },
    )  # fmt: skip
    await _publish(part, progress, gate.version)
    form = ticks_form_for(gate, missing, description=ticks_form(gate, progress, last_refusal=refusal))
    await ask(form, key=gate.key, until=gate.expires_at)


async def _publish(phase: Phase, progress: Progress, version: str) -> None:
    title = f"{phase.plan.service} {version}: the checklist before {progress.before}"
    await retried(publish_progress)(progress_page(progress, title=title), service=phase.plan.service)


async def _record(
    part: Phase, gate: Gate, given: TicksAnswer, judgement: AnswerVerdict, *, items: Sequence[TickedItem], done: dict[str, Ticked]
) -> None:
    """Write what became of an answer, and each of its ticks; and add them to those that are done."""
    proof = judgement.proof
    if proof is None:
        await part.append(
            f"An answer from {judgement.approver or 'an unknown person'}: {judgement.outcome.replace('_', ' ')}",
            kind="refused", name=f"answer {gate.question}", who=judgement.approver or "unknown", why=judgement.reason,
            evidence={ANSWER: gate.question, "outcome": judgement.outcome, "given": [tick.model_dump(mode="json") for tick in given.ticks]},
        )  # fmt: skip
    else:
        for tick in given.ticks:
            done[tick.item] = Ticked(tick.did, proof.approver, proof.at, tick.evidence)
            await _record_tick(part, tick, given.ticks, proof, texts={item.name: item.text for item in items})
    ticked = ", ".join(f"{tick.item} {tick.did}" for tick in given.ticks)
    reason = judgement.reason if proof is None else f"{proof.approver}: {ticked}"
    state = "open" if open_items(items, done, required=True) else "complete"
    await retried(log_outcome)(gate.run, key=gate.key, outcome=judgement.outcome, reason=reason, state=state)


async def _record_tick(part: Phase, tick: Tick, ticks: Sequence[Tick], proof: Proof, *, texts: Mapping[str, str]) -> None:
    verb = "skipped" if tick.did == SKIPPED else "ticked"
    await part.append(
        f"{proof.approver} {verb} {tick.item}: {texts[tick.item]}",
        kind="tick", name=tick.item, who=proof.approver, why=tick.evidence, evidence=evidence_of(tick, ticks, proof),
    )  # fmt: skip


async def end_checklist(phase: Phase, progress: Progress, version: str, *, fault: str = "") -> Entry:
    """Write how the checklist before a phase ended, unless the record has that already.

    Args:
        phase: The release and its round.
        progress: How far it is.
        version: The version under release.
        fault: Why required items stay open; "" if none is open.

    Returns:
        The entry.
    """
    name = ticks_name(progress.before)
    written = await phase.read("gate", name=name)
    if written is not None:
        return written
    left = ", ".join(item.name for item in open_items(progress.items, progress.done))
    why = _still_open(progress, fault) if fault else f"{progress.of()} are through" + (f"; optional and open: {left}" if left else "")
    what, evidence = f"The checklist before {progress.before} is {'not ' if fault else ''}complete", {PROGRESS: progress.as_evidence()}
    entry = await phase.append(what, kind="gate", name=name, why=why, evidence=evidence)
    await _publish(phase, progress, version)
    return entry


def _still_open(progress: Progress, fault: str) -> str:
    missing = ", ".join(f"{item.name} ({' or '.join(item.who)})" for item in open_items(progress.items, progress.done, required=True))
    return f"{fault}; still open: {missing}; {progress.of()} are through"


async def _refuse(phase: Phase, progress: Progress, fault: str, *, scheduled: bool) -> None:
    why = _still_open(progress, fault)
    what = f"The checklist before {progress.before} is not complete"
    await phase.append(what, kind="refused", name=ticks_name(progress.before), why=why, evidence={PROGRESS: progress.as_evidence()})
    raise (Skipped if scheduled else Refused)(f"the checklist before {progress.before}: {why}")
