"""What is looked at after a deployment, and that it is about the version that was deployed."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.lifecycle.results import PhaseResult
from tests.rules.rollout.test_steps import plan_of
from tests.tasks.fake_platform import FakePlatform

module: Any = importlib.import_module("flows.post_deploy")


@pytest.mark.parametrize(
    ("baseline", "outcome", "says"),
    [
        ("1.1", Outcome.PASSED, "1.1 serves"),
        ("1.1+config.5d41402abc", Outcome.PASSED, "1.1 serves"),
        ("1.0", Outcome.FAILED, "production runs 1.0, not 1.1"),
        (None, Outcome.FAILED, "production runs nothing, not 1.1"),
    ],
    ids=["deployed", "with a configuration", "rolled back", "nothing"],
)
async def test_a_version_that_does_not_serve_any_more_was_not_deployed(
    monkeypatch: pytest.MonkeyPatch, baseline: str | None, outcome: Outcome, says: str
) -> None:
    """A rollback meanwhile brought another one, which is well."""
    platform, told = FakePlatform(baseline, None), list[str]()

    async def append(what: str, **_: Any) -> None:
        told.append(what)

    async def begin(*_: Any, **__: Any) -> Any:
        return SimpleNamespace(plan=plan_of(), append=append, owner="r1", scope="r1/1")

    async def give(found: Any) -> Any:
        return found

    stand_ins = {
        "begin_phase": begin,
        "platform_of": lambda *_: give(platform),
        "probe": lambda *_, **__: give((platform.position, {"outcome": "passed", "reason": "2 checks passed"})),
        "judge_data": lambda *_, **__: give([]),
        "samples_of": lambda *_: give([]),
        "check_logs": lambda *_, **__: give(PhaseResult(outcome=Outcome.PASSED, reason="0 new error lines")),
    }
    for name, value in stand_ins.items():
        monkeypatch.setattr(module, name, value)
    found = await module.post_deploy.fn("plan.yaml", "1.1", release="r1/1")
    assert (found.outcome, says in found.reason) == (outcome, True), found
    assert "Looked at the deployment" in told
