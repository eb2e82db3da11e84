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
    ("section", "platforms", "is_said"),
    [
        ({"then": "ask"}, [LOCAL, LOCAL], True),
        ({"retries": 1}, [LOCAL], True),
        ({"then": "ask"}, [LOCAL, SCRIPT], False),
        ({}, [LOCAL], False),
    ],
)
def test_a_section_without_effect_is_said(section: dict[str, Any], platforms: list[Any], is_said: bool) -> None:
    """The summary promises what follows if a script fails."""
    plan = Plan.model_construct(on_script_failure=ScriptFailure(**section))
    said = scripts_missing(plan, dict(enumerate(platforms)))  # type: ignore[arg-type]
    assert bool(said) is is_said
    assert all("on_script_failure: no platform of this plan runs scripts again" in line for line in said)
