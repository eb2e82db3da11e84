"""Each question has a random part, drawn once and kept in the record: no plan can be written so that two questions share a challenge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from flows.approval import gate as gates
from flows.lifecycle.context import StepFields
from tasks.rules.approval.gates import Gate

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ABOUT = StepFields(environment="", step=None)


class Release:
    """A release with its record."""

    owner, plan = "run-1", SimpleNamespace(service="shop", approval=SimpleNamespace(expires_after_minutes=60, max_wrong_codes=5))

    def __init__(self) -> None:
        """Begin without an entry."""
        self.entries: dict[str, Any] = {}

    async def read(self, kind: str, *, name: str, environment: str, step: int | None) -> Any:
        """Read an entry."""
        del kind, environment, step
        return self.entries.get(name)

    async def append(self, what: str, *, name: str, evidence: Any, **_: Any) -> None:
        """Append one, once."""
        self.entries.setdefault(name, SimpleNamespace(what=what, evidence=evidence, at=NOW.isoformat()))


async def asked(release: Any, number: int) -> Gate:
    """Ask a question as the gate does, or ask it again after a restart."""
    rules = SimpleNamespace(approvers=("anna",), quorum=1, signatures="accepted")
    inputs: Any = SimpleNamespace(rules=lambda: rules, digest="ab" * 32, version="1.1")
    own = {"question": number, "nonce": await gates.question_nonce(release, number, about=ABOUT), "requester_confirms": False}
    gate = gates._question(release, inputs, name="production", requester="rita", times=(NOW, NOW + timedelta(hours=1)), own=own)
    await gates._announce(release, gate, number, about=ABOUT, to="")
    return gate


async def test_the_same_question_of_two_runs_has_other_challenges() -> None:
    """Run, gate, service, version and digest are the same here: only chance tells them apart."""
    found = {(await asked(Release(), 1)).asked().challenge("approve") for _ in range(20)}
    assert len(found) == 20


async def test_a_question_keeps_its_challenge_over_a_restart() -> None:
    """A code that was computed before it still answers the question; the next question has another one."""
    release = Release()
    first, again, second = await asked(release, 1), await asked(release, 1), await asked(release, 2)
    assert first.asked() == again.asked()
    assert second.nonce != first.nonce
    assert release.entries["question 1"].evidence["nonce"] == first.nonce
