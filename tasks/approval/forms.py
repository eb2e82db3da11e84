"""Forms of a suspended release in the Prefect UI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from prefect.input import RunInput
from pydantic import Field, create_model

from blocks.secret_text import hide


class ApprovalForm(RunInput):
    """An approval: who, what, and the proof."""

    decision: Annotated[Literal["approve", "reject"], Field(title="Decision", description="Approve continues the release; reject ends it.")]
    approver: Annotated[str, Field(title="Approver", description="Your name as enrolled.")]
    code: Annotated[
        str,
        Field(title="One-time code", pattern=r"^\s*\d{6}\s*$", description="Six digits from your authenticator; each code counts once."),
    ]
    comment: Annotated[str, Field(title="Comment", max_length=1000, description="Optional; it goes into the record.")] = ""


def approval_form_for(approvers: Sequence[str], *, description: str) -> type[RunInput]:
    """Make the form of one question.

    Args:
        approvers: The names that may answer, for the selection.
        description: Markdown above the fields; secrets that this process holds are hidden in it.

    Returns:
        A form to suspend with.
    """
    names: Any = Literal[tuple(approvers)]
    field = Field(title="Approver", description="Your name. The requester of the release cannot approve.")
    form = create_model("ApprovalForm", __base__=ApprovalForm, approver=(names, field))
    return form.with_initial_data(description=hide(description))
