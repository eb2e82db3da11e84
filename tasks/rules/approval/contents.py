"""What the approval form says, from the inputs of a release and its record: each check of this round once, and what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.rules.approval.form import Change, Evidence, Note, approval_form
from tasks.rules.approval.gates import Gate, GateState
from tasks.rules.evidence.change_log import describe
from tasks.rules.evidence.differences import one_line
from tasks.rules.evidence.inputs import Inputs
from tasks.rules.plan.credentials import credentials_in_words, uses_of
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import place_of, steps_in_words, within
from tasks.rules.record.entries import Entry, select

SHOWN = {"tests", "dependencies", "checklist", "tick", "migration", "health", "smoke", "verdict"}
UNTAGGED = "untagged"  # the entry that says what is not as it was tagged


def form_text(
    gate: Gate,
    state: GateState,
    inputs: Inputs,
    entries: Sequence[Entry],
    *,
    round: int,
    environment: str = "",
    step: int | None = None,
    preview: Sequence[str] = (),
    last_refusal: str = "",
    asks: str = "",
    printed: Sequence[str] = (),
    expected: str = "",
) -> str:
    """Write the text above the form.

    Args:
        gate: The question.
        state: Where it stands.
        inputs: What is asked about.
        entries: The record so far.
        round: The release's round: evidence of earlier ones is about inputs that are not those any more.
        environment: Where the step is that is asked about.
        step: The step that was not decided; None asks about the whole release.
        preview: What the platforms would change.
        last_refusal: Why the last answer was not accepted.
        asks: What is asked and what each answer means, if it is not whether to go on.
        printed: What a script printed last that is asked about.
        expected: How long the release will go on if it is approved.

    Returns:
        Markdown, see `approval_form`.
    """
    plan, log = inputs.parsed(), inputs.change_log
    now = [entry for entry in entries if entry.round == round]
    power = next((entry.evidence for entry in reversed(now) if entry.name == "power"), {})
    void = next(iter(select(entries, kind="refused", round=round - 1, name="void")), None) if step is None else None
    notes = [*_undecided(now, environment, step), *([Note("Asked again", void.why)] if void else [])]
    if log.direction in {"downgrade", "sideways"}:
        notes.append(Note("Takes changes away", describe(log)))
    notes += [Note("Warning", entry.why) for entry in now if entry.name == UNTAGGED]
    notes += [Note("Warning", fault) for fault in power.get("undecidable", ())]
    return approval_form(
        gate, state, course=steps_in_words(plan), description=plan.description, preview=preview, last_refusal=last_refusal, asks=asks,
        printed=printed, expected=expected, question=_question(plan, environment, step), notes=notes,
        differences=void.evidence.get("differences", ()) if void else (),
        reason=next((entry.why for entry in entries if entry.kind == "opened"), ""),
        changes=[Change(environment=name, running=found, wanted=inputs.version) for name, found in inputs.current.items()],
        change_log=[one_line(one) for one in log.commits], taken_back=[one_line(one) for one in log.taken_back],
        credentials=credentials_in_words(uses_of(plan)),
        evidence=[
            Evidence(name=entry.what, verdict=str(entry.evidence.get("outcome", "")), reason=entry.why)
            for entry in now
            if entry.kind in SHOWN and entry.evidence.get("state") != "begun"
        ],
        power=[power["headings"], *power["rows"]] if power else (),
    )  # fmt: skip


def _question(plan: Plan, environment: str, step: int | None) -> str:
    if step is None:
        return "may it go to production?"
    following = next((one.percent for one in place_of(plan, environment).steps if one.percent > step), None)
    further = "make it the version that serves" if following is None else f"go on to {following} %"
    return f"it stays at {step} %{within(environment)}: {further}?"


def _undecided(entries: Sequence[Entry], environment: str, step: int | None) -> Iterator[Note]:
    """Say why a step is asked about: its last verdict."""
    found = [] if step is None else select(entries, kind="verdict", environment=environment, step=step)
    if found:
        yield Note("Not decided", found[-1].why)
