"""The entries of a gate, as metrics and `shipway why` read them: whichever part of a release asks."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from flows.approval import gate as of_gates
from flows.approval.part import Part
from tasks.rules.record.entries import Entry, chain
from tasks.rules.record.gates import asks_first, is_answer

AT = datetime(2026, 11, 30, tzinfo=UTC)
GATE: Any = SimpleNamespace(
    approvers=("ada",), requester_confirms=False, may_postpone=False, expires_at=AT, opened_at=AT, digest="d", key="k", nonce="n",
    question=1, run="r", version="1.0",
)  # fmt: skip


class Kept:
    """A phase that keeps its entries."""

    owner = "r"

    def __init__(self) -> None:
        """Begin with none."""
        self.entries: list[Entry] = []

    async def append(self, what: str, *, kind: Any, **more: Any) -> Entry:
        """Keep an entry."""
        self.entries.append(chain(self.entries[-1] if self.entries else None, at=AT, what=what, kind=kind, **{"who": "shipway", **more}))
        return self.entries[-1]


class OfAPart(Kept):
    """One of whose entries carry a name."""

    part = "script-production-deploy-1"

    async def append(self, what: str, *, kind: Any, **more: Any) -> Entry:
        """Append as `Part` does."""
        return await Part.append(SimpleNamespace(part=self.part, of=super()), what, kind=kind, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", [Kept(), OfAPart()])
async def test_a_question_and_an_answer_are_known_by_their_evidence(phase: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """People are notified of the first question alone; a wrong code is an answer."""

    async def nothing(*_: Any, **__: Any) -> None:
        pass

    monkeypatch.setattr(of_gates, "log_outcome", nothing)
    monkeypatch.setattr(of_gates, "retried", lambda task: task)
    judgement: Any = SimpleNamespace(outcome="wrong_code", reason="wrong", approver="ada", proof=None)
    for number in (1, 2):
        await of_gates._announce(phase, GATE, number, about={"environment": "", "step": None}, to="to go on")
    await of_gates._record_answer(phase, GATE, judgement, SimpleNamespace(state="open"), about={"environment": "", "step": None})  # type: ignore[arg-type]
    assert [asks_first(one) for one in phase.entries] == [True, False, False]
    assert [is_answer(one) for one in phase.entries] == [False, False, True]
