"""The gate before production: ask people, judge each answer by our rule, and go on only with enough signed approvals."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from prefect.input import RunInput

from blocks.errors import Refused, Skipped
from blocks.outside_text import as_ending
from flows.lifecycle.context import Phase, StepFields
from flows.lifecycle.suspend import ask, asked_keys
from tasks.approval.approval import fetch_answer, judge_approval, log_outcome
from tasks.approval.forms import approval_form_for
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import named, retried
from tasks.notify import notify
from tasks.record.expected import in_words
from tasks.record.journal import read_entries
from tasks.rollout.platforms import load_approvers
from tasks.rules.approval.answers import AnswerVerdict
from tasks.rules.approval.contents import form_text
from tasks.rules.approval.gates import Gate, GateState, gate_state
from tasks.rules.approval.proofs import Proof
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.lifecycle.results import Approval
from tasks.rules.record.durations import SUSPENDS_UNTIL
from tasks.rules.record.gates import ANSWER, QUESTION
from tasks.rules.rollout.preview import preview_lines
from tasks.rules.windows.words import moment_in_words

MOST_QUESTIONS = 200
ASK_AGAIN = "; ask for the release again"


async def pass_gate(
    phase: Phase,
    inputs: Inputs,
    *,
    name: str,
    requester: str,
    minutes: float | None = None,
    opens: datetime | None = None,
    latest: datetime | None = None,
    about: StepFields | None = None,
) -> Approval:
    """Hold the release until enough people approved this digest.

    Args:
        phase: The release and its round.
        inputs: What is asked about, as collected.
        name: The gate's name; its questions are `<name>-1`, `<name>-2` …
        requester: Who asked for the release.
        minutes: How long it may stay open; the plan's time if None.
        opens: When production opens, if it is closed now: people may approve until then, though the plan's time is over before.
        latest: When production must have begun, if the release was scheduled: the gate is not open for longer.
        about: The step that is asked about; the whole release if None.

    Returns:
        What `production` verifies again before its first change.

    Raises:
        Refused: Rejected, expired, or locked after too many wrong codes.
        Skipped: Not approved by the latest moment of a scheduled release.
    """
    rules = inputs.rules()
    if rules.quorum == 0:
        await phase.append("The plan asks for no approval", kind="gate", name="decision")
        return Approval(gate=name)
    confirms = about is None and rules.requester == "proved"
    about = about or {"environment": "", "step": None}
    opened = await opened_at(phase, about=about)
    if latest is not None and latest <= opened:
        raise Skipped(f"{_scheduled_until(latest)}, before people could be asked")
    times = opened, await _expires(phase, _open_until(phase, opened, minutes, opens, latest), about=about)
    gate, state, proofs = await put_to_people(
        phase, inputs, name=name, requester=requester, times=times, about=about, own={"requester_confirms": confirms}
    )
    return await _decide(phase, gate, state, proofs, latest=latest, about=about)


async def too_old(phase: Phase, inputs: Inputs) -> str:
    """Say that the approval is older than the plan lets it be; "" if it is not, or none is needed."""
    decided = await phase.read("gate", name="decision")
    if decided is None or inputs.rules().quorum == 0:
        return ""
    minutes = (now() - datetime.fromisoformat(decided.at)).total_seconds() / 60
    limit = phase.plan.approval.valid_for_minutes
    return "" if minutes <= limit else f"it is {minutes:.4g} min old, more than the {limit:g} of `approval.valid_for_minutes`"


async def put_to_people(
    phase: Phase, inputs: Inputs, *, name: str, requester: str, times: tuple[datetime, datetime], about: StepFields, own: dict[str, Any],
    asks: str = "", to: str = "", printed: Sequence[str] = (),
) -> tuple[Gate, GateState, list[Proof]]:  # fmt: skip
    """Ask until a gate is decided, one question after the other; each answer is judged by our rule, whatever the server says.

    Args:
        phase: The release and its round.
        inputs: What is asked about, as collected.
        name: The gate's name.
        requester: Who asked for the release.
        times: When the gate opened, and when it expires.
        about: The step that is asked about.
        own: What else the gate has, by the names of its fields.
        asks: What is asked, if it is not whether to go on.
        to: The same in a few words, for the record.
        printed: What a script printed last that is asked about.

    Returns:
        The last question, the gate's state and its proofs.

    Raises:
        Refused: It was asked too often.
    """
    approvers = await load_approvers(phase.plan.approval.block)
    proofs: list[Proof] = []
    wrong, refusal = 0, ""
    for number in range(1, MOST_QUESTIONS):
        fields = {"question": number, "nonce": await question_nonce(phase, number, about=about), **own}
        gate = _question(phase, inputs, name=name, requester=requester, times=times, own=fields)
        is_asked = gate.key in asked_keys()  # which anyone with the API can write: an answer in time counts, and nothing else is skipped
        state = gate_state(gate, proofs, wrong_codes=wrong, now=now())
        if state.state != "open" and not (is_asked and state.state == "expired"):
            return gate, state, proofs
        if not is_asked:
            await _announce(phase, gate, number, about=about, to=to)
            if number == 1:
                await _notify_that_it_waits(phase, gate)
            form = await _form(phase, inputs, gate, state, refusal, about=about, asks=asks, printed=printed)
            await ask(form, key=gate.key, until=gate.expires_at)
        answer = await retried(fetch_answer)(gate)
        if not any((answer.decision, answer.approver, answer.code, answer.signature)):
            continue
        judgement = await named(judge_approval, f"judge the answer to {gate.key}")(
            approvers, key=phase.key(f"answer/{gate.key}"), gate=gate, answer=answer, proofs=proofs
        )
        proofs += [judgement.proof] if judgement.proof else []
        wrong += judgement.is_wrong_code
        refusal = "" if judgement.proof else judgement.reason
        await _record_answer(phase, gate, judgement, gate_state(gate, proofs, wrong_codes=wrong, now=now()), about=about)
    raise Refused(f"the gate was asked {MOST_QUESTIONS} times without an answer that counts{ASK_AGAIN}")


async def opened_at(phase: Phase, *, about: StepFields) -> datetime:
    """Give the time at which the gate opened: that of its first question, an entry that cannot be removed unnoticed."""
    first = await phase.read("gate", name="question 1", **about)
    return now() if first is None else datetime.fromisoformat(first.evidence.get("opened", first.at))


async def question_nonce(phase: Phase, number: int, *, about: StepFields) -> str:
    """Give the random part of a question: drawn once, and from then on that of its sealed entry."""
    asked = await phase.read("gate", name=f"question {number}", **about)
    return secrets.token_hex(16) if asked is None else str(asked.evidence["nonce"])


async def _expires(phase: Phase, until: datetime, *, about: StepFields) -> datetime:
    """Give when the gate expires: as its first question said, whenever the windows open by now."""
    first = await phase.read("gate", name="question 1", **about)
    said = "" if first is None else first.evidence.get(SUSPENDS_UNTIL, "")
    return datetime.fromisoformat(said) if said else until


def _open_until(phase: Phase, opened: datetime, minutes: float | None, opens: datetime | None, latest: datetime | None) -> datetime:
    expires = opened + timedelta(minutes=minutes or phase.plan.approval.expires_after_minutes)
    expires = expires if opens is None else max(expires, opens)
    return expires if latest is None else min(expires, latest)


def _scheduled_until(latest: datetime) -> str:
    return f"it was scheduled to begin production not later than {moment_in_words(latest)}"


def _question(phase: Phase, inputs: Inputs, *, name: str, requester: str, times: tuple[datetime, datetime], own: dict[str, Any]) -> Gate:
    approval, rules = phase.plan.approval, inputs.rules()
    return Gate(
        run=phase.owner,
        name=name,
        **own,
        digest=inputs.digest,
        service=phase.plan.service,
        version=inputs.version,
        requester=requester,
        opened_at=times[0],
        expires_at=times[1],
        approvers=rules.approvers,
        quorum=rules.quorum,
        max_wrong_codes=approval.max_wrong_codes,
        signatures=rules.signatures,
    )


async def _decide(
    phase: Phase, gate: Gate, state: GateState, proofs: list[Proof], *, latest: datetime | None, about: StepFields
) -> Approval:
    kept = [proof.model_dump(mode="json") for proof in proofs]
    if state.state == "approved":
        await phase.append(
            f"The gate {gate.name} is passed",
            kind="gate",
            name="decision",
            **about,
            why=state.reason,
            evidence={"digest": gate.digest, "proofs": kept},
        )
        return Approval(gate=gate.name, proofs=tuple(proofs))
    await phase.append(
        f"The gate {gate.name} is {state.state}",
        kind="refused",
        name="decision",
        **about,
        why=state.reason,
        evidence={"digest": gate.digest, "proofs": kept},
    )
    if state.state == "expired" and gate.expires_at == latest:
        raise Skipped(f"{_scheduled_until(latest)}, and it had {state.reason}")
    raise Refused(f"gate {gate.name} {state.state}: {state.reason}")


async def _announce(phase: Phase, gate: Gate, number: int, *, about: StepFields, to: str) -> None:
    who = ", ".join(gate.approvers)
    own = f", and {gate.requester} to confirm the request" if gate.requester_confirms else ""
    to = to or f"{'whether to begin with' if gate.may_postpone else 'to approve'} {gate.version}{own}"
    await phase.append(
        f"Asked {who} {to}",
        kind="gate",
        name=f"question {number}",
        **about,
        why=f"question {number}, until {gate.expires_at:%Y-%m-%d %H:%M} UTC",
        evidence={
            QUESTION: number,
            "digest": gate.digest,
            "key": gate.key,
            "opened": gate.opened_at.isoformat(),
            "nonce": gate.nonce,
            SUSPENDS_UNTIL: gate.expires_at.isoformat(),
        },
    )


async def _notify_that_it_waits(phase: Phase, gate: Gate) -> None:
    """Tell the team that people are asked; that this cannot be sent holds nothing up."""
    why = as_ending(f"{', '.join(gate.approvers)}: {gate.quorum} of you must approve until {moment_in_words(gate.expires_at)}")
    about, key = f"{gate.service} {gate.version}", f"{phase.owner}/{gate.name}/{phase.round}"
    await notify(phase.plan.notify, ["approval_waiting"], about=about, reason=why, run=gate.run, key=key, requester=gate.requester)


async def _record_answer(phase: Phase, gate: Gate, judgement: AnswerVerdict, state: GateState, *, about: StepFields) -> None:
    await retried(log_outcome)(gate.run, key=gate.key, outcome=judgement.outcome, reason=judgement.reason, state=state.state)
    good = judgement.proof is not None
    await phase.append(
        f"An answer from {judgement.approver or 'an unknown person'}: {judgement.outcome.replace('_', ' ')}",
        kind="approval" if good else "refused",
        name=f"answer {gate.question}",
        **about,
        who=judgement.approver or "unknown",
        why=judgement.reason,
        evidence={ANSWER: gate.question, **_evidence_of(judgement)},
    )


def _evidence_of(judgement: AnswerVerdict) -> dict[str, Any]:
    if judgement.proof is None:
        return {"outcome": judgement.outcome}
    decision = {"approve": "approved", "postpone": "postponed", "reject": "rejected", "skip": "skipped"}[judgement.proof.decision]
    return {"decision": decision, "proof": judgement.proof.model_dump(mode="json")}


async def _form(
    phase: Phase, inputs: Inputs, gate: Gate, state: GateState, refusal: str, *, about: StepFields, asks: str, printed: Sequence[str]
) -> type[RunInput]:
    entries, preview = await read_entries(phase.owner), preview_lines(inputs.previews)
    expected = "" if asks else await in_words(entries, plan=phase.plan, waits=True)
    said: dict[str, Any] = {"preview": preview, "last_refusal": refusal, "asks": asks, "printed": printed, "expected": expected}
    text = form_text(gate, state, inputs, entries, round=phase.round, **about, **said)
    return approval_form_for(gate, description=text)
