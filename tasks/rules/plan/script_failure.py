"""Plan section for what happens if a script of the script platform fails while a version moves forward."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.rules.plan.types import Section


class ScriptFailure(Section):
    """What happens if a script that deploys, shifts or promotes fails; one of a rollback asks no one."""

    retries: Annotated[int, Field(ge=0, le=10)] = 0
    """How often a script that exited with a failure is run again by itself, five seconds apart: let it be safe to run again."""
    then: Literal["roll_back", "ask"] = "roll_back"
    """What follows then: the release is rolled back, or approvers are asked: run it again, go on without its host, or roll back."""
    answer_within_minutes: Annotated[float, Field(gt=0, le=10_080)] = 60
    """`ask` rolls back if there is no answer within this time."""
