"""Forms of a suspended release in the Prefect UI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from prefect.input import RunInput
from pydantic import Field, create_model

from blocks.secret_text import hide
from tasks.rules.approval.gates import Gate
from tasks.rules.approval.proofs import MAX_SIGNATURE_CHARACTERS, same_name
from tasks.rules.approval.ticks import MAX_EVIDENCE_CHARACTERS, field
from tasks.rules.plan.checklist import TickedItem

LATER = "postpone lets it wait for the next window; "
WITHOUT_HOST = "skip lets it go on without the host, as said above; "
QUESTION = "x-shipway-question"


class ApprovalForm(RunInput):
    """An approval: who, what, and the proof."""

    decision: Annotated[Literal["approve", "reject"], Field(title="Decision", description="Approve continues the release; reject ends it.")]
    approver: Annotated[str, Field(title="Approver", description="Your name as enrolled.")]
    code: Annotated[
        str,
        Field(
            title="Code",
            pattern=r"^\s*(\d{4}\s*\d{4}\s*)?$",
            description="The eight digits that `shipway code` computes from the challenge of your decision, in the table above.",
        ),
    ] = ""
    comment: Annotated[str, Field(title="Comment", max_length=1000, description="Optional; it goes into the record.")] = ""
    signature: Annotated[
        str,
        Field(
            title="SSH signature", max_length=MAX_SIGNATURE_CHARACTERS, description="Left empty by people: `shipway approve` puts it here."
        ),
    ] = ""


class TicksForm(RunInput):
    """Ticks of a checklist: who, the proof, and for each open item what is said of it."""

    approver: Annotated[str, Field(title="Your name", description="As enrolled.")]
    code: Annotated[
        str,
        Field(
            title="Code",
            pattern=r"^\s*(\d{4}\s*\d{4}\s*)?$",
            description="The eight digits that `shipway code` computes from the challenge above and from what you choose here.",
        ),
    ] = ""
    signature: Annotated[
        str,
        Field(
            title="SSH signature",
            max_length=MAX_SIGNATURE_CHARACTERS,
            description="Left empty by people: `shipway check-off` puts it here.",
        ),
    ] = ""


def ticks_form_for(gate: Gate, items: Sequence[TickedItem], *, description: str) -> type[RunInput]:
    """Make the form in which people tick several items at once.

    Args:
        gate: The question.
        items: What is open.
        description: Markdown above the fields; secrets that this process holds are hidden in it.

    Returns:
        A form to suspend with; each item has a field `tick_NAME` and one `evidence_NAME`.
    """
    fields: dict[str, Any] = {}
    for item in items:
        ways: Any = Literal[("", "done", "skip") if item.skipped_by else ("", "done")]
        title = item.text if item.required else f"{item.text} (optional)"
        fields[f"tick_{field(item)}"] = (ways, Field("", title=title, description=f"{item.name}: empty leaves it open."))
        carries = "A note, if there is something to say" if item.evidence == "none" else f"A {item.evidence}"
        reason = "; of a skip its reason" if item.skipped_by else ""
        words = Field("", title=f"{item.name}: evidence", max_length=MAX_EVIDENCE_CHARACTERS, description=f"{carries}{reason}.")
        fields[f"evidence_{field(item)}"] = (str, words)
    form = create_model("TicksForm", __base__=TicksForm, **fields)
    form.model_config["json_schema_extra"] = {QUESTION: gate.asked().model_dump(mode="json")}
    return form.with_initial_data(description=hide(description))


def approval_form_for(gate: Gate, *, description: str) -> type[RunInput]:
    """Make the form of one question.

    Args:
        gate: The question: its approvers are the selection, and what an answer is bound to is in the schema, for `shipway approve`.
        description: Markdown above the fields; secrets that this process holds are hidden in it.

    Returns:
        A form to suspend with.
    """
    own = (same_name(gate.requester),) if gate.requester_confirms else ()
    names: Any = Literal[tuple(dict.fromkeys((*gate.approvers, *own)))]
    words = f"{own[0]} confirms the request here, too." if own else "The requester of the release cannot approve."
    field = Field(title="Approver", description=f"Your name. {words}")
    decisions: Any = Literal[gate.decisions]
    also = LATER if gate.may_postpone else WITHOUT_HOST if gate.may_skip else ""
    decision = Field(title="Decision", description=f"Approve continues the release; {also}reject ends it.")
    form = create_model("ApprovalForm", __base__=ApprovalForm, decision=(decisions, decision), approver=(names, field))
    form.model_config["json_schema_extra"] = {QUESTION: gate.asked().model_dump(mode="json")}
    return form.with_initial_data(description=hide(description))
