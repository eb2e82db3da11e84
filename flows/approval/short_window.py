"""Ask people whether a wave begins in a window that may be too short for it: begin now, wait for the next one, or end the release."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from blocks.errors import Refused
from flows.approval.gate import opened_at, put_to_people
from flows.approval.part import part_of
from flows.lifecycle.context import Phase, StepFields
from tasks.approval.approval import check_proofs
from tasks.evidence.inputs import collect_inputs
from tasks.lifecycle.clock import now
from tasks.lifecycle.retries import named
from tasks.record.journal import read_entry, say
from tasks.rollout.platforms import load_approvers
from tasks.rules.approval.proofs import ApprovedAction, Proof, read_proof
from tasks.rules.approval.statement import OF_A_WINDOW
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.record.entries import Entry
from tasks.rules.windows.schedule import due_in
from tasks.rules.windows.words import moment_in_words

Said = Literal["proceed", "postpone"]
DECISION = "decision"


class Short(NamedTuple):
    """A window that may be too short for a wave.

    Fields:
        wave: The wave, from 1.
        environment: Its first target.
        closes: When the window closes (UTC): another moment is another question.
    """

    wave: int
    environment: str
    closes: datetime

    @property
    def gate(self) -> str:
        """The gate's name, which every answer is bound to."""
        return f"{OF_A_WINDOW}{self.wave}-until-{self.closes:%Y%m%dt%H%M%S}"


async def said_about(phase: Phase, short: Short) -> Said | None:
    """Give what people said, by the record; None if it is not decided.

    A yes is verified again each time, as approvals are: of people who do not count any more, or of no one, it waits for the next window.
    """
    found = await phase.read("gate", environment=short.environment, name=f"{short.gate} {DECISION}")
    if found is None:
        return None
    if found.evidence.get("begins") is not True:
        return "postpone"
    if problems := await _problems(phase, short, found):
        say(f"that people said to begin in this window does not hold, so the next one is waited for: {'; '.join(problems)}")
        return "postpone"
    return "proceed"


async def ask_to_begin(phase: Phase, short: Short, *, until: datetime, why: str) -> None:
    """Hold the release until people decided, at most until the window closes; silence waits for the next one.

    Args:
        phase: The release and its round.
        short: The window.
        until: Until when they are asked.
        why: Why it may be too short.

    Raises:
        Refused: They ended the release.
    """
    opened, requester, inputs = await _asked_about(phase)
    about = StepFields(environment=short.environment, step=None)
    if inputs.rules().quorum == 0:
        await _decided(phase, short, "postpone", why="the plan names none who could be asked", proofs=())
        return
    part = part_of(phase, short.gate)
    began = await opened_at(part, about=about)
    if until <= began:
        return  # it closes at this very moment: the next look says what is waited for
    due = due_in(opened.evidence) if opened and short.wave == 1 else None
    postpone, waits = "Postpone to wait for the next window", "it waits"
    if due is not None and due.latest is not None and due.latest <= until:  # then there is no next window for it
        postpone, waits = "Postpone to end it as skipped", "it ends as skipped"
    begins = "now" if due is None or due.begin is None or due.begin <= now() else f"at its time, {moment_in_words(due.begin)}"
    asks = (
        f"{why[:1].upper()}{why[1:]}. "
        f"Approve to begin {begins}, although it may not be done when the window closes; {_when_it_closes(phase)}. "
        f"{postpone}. Reject to end the release. Without an answer by {moment_in_words(until)} {waits}."
    )
    gate, state, proofs = await put_to_people(
        part, inputs, name=short.gate, requester=requester, times=(began, until), about=about, own={}, asks=asks
    )
    kept = [proof.model_dump(mode="json") for proof in proofs]
    if state.state == "rejected":
        evidence = {"digest": gate.digest, "proofs": kept}
        await part.append("The release is ended", kind="refused", name=DECISION, **about, why=state.reason, evidence=evidence)
        raise Refused(f"it was asked whether to begin in a window that may be too short: {state.reason}")
    await _decided(phase, short, "proceed" if state.state == "approved" else "postpone", why=state.why, proofs=kept)


async def _decided(phase: Phase, short: Short, said: Said, *, why: str, proofs: object) -> None:
    what = "Begins, although the window may be too short" if said == "proceed" else "Waits for the next window"
    evidence = {"begins": said == "proceed", "proofs": proofs}
    await phase.append(what, kind="gate", environment=short.environment, name=f"{short.gate} {DECISION}", why=why, evidence=evidence)


async def _asked_about(phase: Phase) -> tuple[Entry | None, str, Inputs]:
    """Give the entry that opened the record, who asked, and what people are asked about."""
    opened = await read_entry(phase.owner, "opened")
    version, requester = (str(opened.evidence.get("version") or ""), opened.who) if opened else ("", "")
    return opened, requester, await collect_inputs(phase.path, version=version, key=phase.key("subject"), taken=phase.taken)


async def _problems(phase: Phase, short: Short, decision: Entry) -> list[str]:
    """Say why a yes does not hold; from the first change on it no longer matters who is enrolled now."""
    _, requester, inputs = await _asked_about(phase)
    rules, proofs = inputs.rules(), decision.evidence.get("proofs") or []
    has_begun = await phase.read("approval", name="confirmed") is not None
    return await named(check_proofs, f"verify the answer to {short.gate} again")(
        await load_approvers(phase.plan.approval.block),
        subject=ApprovedAction(phase.owner, short.gate, phase.plan.service, inputs.version, inputs.digest),
        proofs=proofs,
        allowed=rules.approvers,
        quorum=max(rules.quorum, 1),
        requester=requester,
        requester_confirms=False,
        signatures=rules.signatures,
        counted=[proof.name() for proof in map(read_proof, proofs) if isinstance(proof, Proof)] if has_begun else (),
    )


def _when_it_closes(phase: Phase) -> str:
    """Say what becomes of a wave that is not done by then, as the plan says."""
    windows = phase.plan.windows
    if windows.when_it_closes == "finish":
        return "a wave that has begun finishes"
    limit = windows.held_at_most_minutes
    back = "" if limit is None else f", and is rolled back if it is held for more than {limit:g} min"
    return f"a wave that has begun then stops before its next step until production opens again{back}"
