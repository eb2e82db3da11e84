"""The question about a step that showed neither side can be answered either way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from flows.approval import inconclusive
from tasks.rules.approval.statement import Question
from tasks.rules.plan.targets import target_of


@pytest.mark.parametrize("target", ["", "eu", "checklist-eu", "window-eu", "checklist-production", "window-1", "step-1", "a" * 30])
async def test_whatever_a_target_is_called_its_question_can_be_rejected(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """Its gate is not one of a checklist, at which people only tick, nor of a window, at which they may postpone."""
    asked: list[str] = []

    async def pass_gate(*_: Any, name: str, **__: Any) -> None:
        asked.append(name)

    async def nothing(*_: Any, **__: Any) -> None:
        """Collect no inputs."""

    monkeypatch.setattr(inconclusive, "pass_gate", pass_gate)
    monkeypatch.setattr(inconclusive, "collect_inputs", nothing)
    plan = SimpleNamespace(approval=SimpleNamespace(quorum=1), judgement=SimpleNamespace(answer_within_minutes=30))
    phase: Any = SimpleNamespace(plan=plan, path="plan.yaml", taken=None, key=lambda name: name)
    environment = f"production/{target}" if target else "production"
    found: Any = SimpleNamespace(environment=environment, step=100)
    assert await inconclusive.may_proceed(phase, found, version="1.1", requester="rita")
    question = Question(run="r", gate=asked[0], question=1, service="shop", version="1.1", digest="a" * 64, nonce="0" * 32)
    assert (question.is_checklist, question.decisions) == (False, ("approve", "reject"))
    assert target_of(environment) in question.gate
