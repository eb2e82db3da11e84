"""How an earlier release of a version ended, by its run."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun

from tasks.approval.approval import OUTCOME_LABEL
from tasks.evidence.candidates import outcomes_of

ANSWERED = {f"{OUTCOME_LABEL}.state": "rejected"}


@pytest.mark.parametrize(
    ("tags", "labels", "outcomes"),
    [
        (["shipway:open"], {}, []),
        (["outcome:refused"], {}, ["refused"]),
        (["outcome:refused"], ANSWERED, ["rejected"]),
        (["outcome:refused"], {f"{OUTCOME_LABEL}.state": "expired"}, ["refused"]),
        (["outcome:deployed"], {f"{OUTCOME_LABEL}.state": "approved"}, ["deployed"]),
        (["outcome:cancelled"], ANSWERED, ["cancelled"]),
    ],
)
def test_a_rejection_is_another_refusal_than_that_of_a_rule(tags: list[str], labels: dict[str, Any], outcomes: list[str]) -> None:
    """People said no; a rule may say yes tomorrow."""
    assert outcomes_of(FlowRun(flow_id=uuid4(), tags=tags, labels=labels)) == outcomes
