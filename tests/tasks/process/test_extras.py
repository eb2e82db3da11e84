"""The extras that a plan needs are looked for before anything moves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks import extras
from blocks.errors import BadInput
from tasks.data.suites import broken_suites
from tasks.process.extras import require_extras
from tasks.rules.plan.plan import Plan

SUITE = {"name": "entries", "suite": "entries.yaml", "csv": "entries.csv", "when": ["staging"]}


def plan(*, watch_seconds: int = 0, **more: Any) -> Plan:
    """Give a plan whose only step is watched for so long."""
    production = {"platform": "local/b", "steps": [{"percent": 100, "watch_seconds": watch_seconds}]}
    return Plan.model_validate(
        {
            "shipway": 1, "service": "g", "tests": [{"junit": "junit.xml"}], "staging": {"platform": "local/a"},
            "verification": {"health": [{}]}, "judgement": {"slis": [{"name": "e", "indicator": "errors"}]}, "production": production,
            "approval": {"quorum": 0}, "rollback": {}, **more,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (plan(), ""),
        (plan(data=[SUITE]), "data"),
        (plan(watch_seconds=30), "samples"),
        (plan(watch_seconds=30, samples={"judged": False}), ""),
    ],
    ids=["nothing is judged as a table", "a suite", "samples", "samples that are left out"],
)
def test_a_plan_that_judges_tables_needs_the_extra_data(asked: Plan, field: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`shipway check` and the release say the same sentence, with the field that asks for it."""
    monkeypatch.setitem(extras.EXTRAS, "data", ("no_such_module",))
    if not field:
        require_extras(asked)
        return
    with pytest.raises(BadInput, match=f"^{field}: this needs the extra `data` of Shipway") as refused:
        require_extras(asked)
    assert broken_suites(asked, tmp_path) == ([str(refused.value)], [])
