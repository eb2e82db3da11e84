"""The form of one question: what may be answered there, and what it says each answer means."""

from __future__ import annotations

import pytest

from tasks.approval.forms import LATER, WITHOUT_HOST, approval_form_for
from tests.rules.approval.test_answers import GATE


@pytest.mark.parametrize(
    ("name", "decisions", "means"),
    [
        ("production", ["approve", "reject"], ""),
        ("window-1-until-20261201t010000", ["approve", "postpone", "reject"], LATER),
        ("script-production-deploy-1", ["approve", "reject"], ""),
        ("script-host-production-deploy-on-web-3-1", ["approve", "skip", "reject"], WITHOUT_HOST),
    ],
)
def test_the_form_offers_what_its_question_takes_and_says_what_it_means(name: str, decisions: list[str], means: str) -> None:
    """An answer that is not offered does not count, either."""
    field = approval_form_for(GATE.model_copy(update={"name": name}), description="").model_json_schema()["properties"]["decision"]
    assert field["enum"] == decisions
    assert field["description"] == f"Approve continues the release; {means}reject ends it."
