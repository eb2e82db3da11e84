"""`shipway check` says that `on_script_failure` has no effect where nothing runs scripts."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.local.platform import LocalPlatform
from blocks.script.platform import ScriptPlatform
from flows.commands._previews import scripts_missing
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.script_failure import ScriptFailure

LOCAL: Any = LocalPlatform.model_construct()
SCRIPT: Any = ScriptPlatform.model_construct()


@pytest.mark.parametrize(
    ("section", "platforms", "times"),
    [
        ({"then": "ask"}, [LOCAL, LOCAL], 1),
        ({"retries": 1}, [LOCAL], 1),
        ({"then": "ask"}, [LOCAL, SCRIPT], 0),
        ({}, [LOCAL], 0),
    ],
)
def test_a_section_without_effect_is_said(section: dict[str, Any], platforms: list[Any], times: int) -> None:
    """The summary promises what follows if a script fails."""
    plan = Plan.model_construct(on_script_failure=ScriptFailure(**section))
    said = scripts_missing(plan, dict(enumerate(platforms)))  # type: ignore[arg-type]
    assert len(said) == times
    assert all("on_script_failure: no platform of this plan runs scripts again" in line for line in said)
