"""Plan section for approval: who must approve before production, within which time, and for how long that holds."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from tasks.rules.plan.types import BlockName, Person, Section, fault, refuse_doubles


class Approval(Section):
    """Approval: who must approve before production."""

    approvers: Annotated[list[Person], Field(max_length=100)] = Field(default_factory=list)
    """The names that may approve."""
    quorum: Annotated[int, Field(ge=0, le=20)] = 1
    """How many different people must approve; 0 needs no approval."""
    expires_after_minutes: Annotated[float, Field(gt=0, le=43_200)] = 240
    """A gate without enough approvals in this time ends the release as refused."""
    valid_for_minutes: Annotated[float, Field(gt=0, le=129_600)] = 4_320
    """An approval that is older before production's first change, because the release waited for a window, is asked for again."""
    max_wrong_codes: Annotated[int, Field(ge=1, le=100)] = 5
    """This many wrong codes at the gate end the release as refused."""
    block: BlockName = "approvers/shipway"
    """The block in which the approvers are enrolled."""

    @field_validator("approvers")
    @classmethod
    def _each_once(cls, approvers: list[str]) -> list[str]:
        refuse_doubles(approvers)
        return approvers

    @field_validator("quorum")
    @classmethod
    def _can_be_met(cls, quorum: int, info: ValidationInfo) -> int:
        able = len(info.data["approvers"]) if "approvers" in info.data else quorum
        if quorum > able:
            wrong = f"a quorum of {quorum} can never be met by {able} approver(s)"
            raise fault(wrong, fix="List more names in `approvers`, or write `quorum: 0` to state that no approval is needed.")
        return quorum
