"""Overrides and lifted freezes: who may, proved by a code over exactly what is set aside, and how many are needed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.rules.approval.lifting import HOUR, gate_of_lifting, lifting_fault, question_of
from tasks.rules.approval.override import LASTS, Override, gate_of, in_force, set_aside
from tasks.rules.approval.proofs import Proof, Trust
from tasks.rules.plan.windows import Overrides
from tasks.rules.policy.rules import Allowed, may_override
from tests.rules.policy.test_rules import policy_of
from tests.rules.windows.test_freeze import freeze_of

NOW = datetime(2026, 11, 29, 17, tzinfo=UTC)
KEY = b"k" * 32
FREEZE, OTHER = "0123456789ab", "ba9876543210"
ENTRY = "e0" * 32
TRUST = Trust(KEY, dict.fromkeys(["ada", "bob", "eve"], ENTRY), lambda *_: "no signature")
BOTH = Allowed(("ada", "bob"), 2)


def override_of(name: str, holds: Collection[str] = (FREEZE,), *, run: str = "run-1", **changed: Any) -> Override:
    """Give the override of a person, proved by a code."""
    asked = gate_of(run, holds, service="shop", version="1.1", allowed=BOTH, at=NOW).asked().model_dump(exclude={"format"})
    proof = Proof.model_validate(
        {"kind": "code", **asked, "approver": name, "decision": "approve", "at": NOW, "comment": "bug 812", "entry": ENTRY, **changed}
    )
    return Override(holds=tuple(sorted(holds)), proof=proof.signed(KEY))


def aside(*found: Override, allowed: Allowed = Allowed(("ada", "bob"), 1), at: datetime = NOW) -> frozenset[str]:  # noqa: B008 - a value
    """Give what these set aside for a release."""
    return set_aside(in_force(found, run="run-1", service="shop", version="1.1", allowed=allowed, trust=TRUST, at=at))


def test_what_one_person_who_may_set_aside_is_set_aside() -> None:
    """That, and nothing else."""
    assert aside(override_of("ada", [FREEZE, "windows"])) == {FREEZE, "windows"}
    assert aside() == frozenset()


@pytest.mark.parametrize(
    "bad",
    [
        override_of("eve"),
        override_of("ada", run="run-2"),
        override_of("ada", service="other"),
        override_of("ada", version="6.6.6"),
        override_of("ada", decision="reject"),
        override_of("ada", gate="production"),
        override_of("ada", entry="01" * 32),
        override_of("ada", at=NOW - LASTS),
        override_of("ada").model_copy(update={"holds": (FREEZE, OTHER)}),
        Override(holds=(FREEZE,), proof=override_of("ada").proof.model_copy(update={"comment": "another"})),
    ],
    ids=[
        "may not",
        "another release",
        "another service",
        "another version",
        "rejects",
        "another gate",
        "another secret since",
        "too old",
        "more than was proved",
        "altered",
    ],
)
def test_anything_else_sets_nothing_aside(bad: Override) -> None:
    """And spoils no other one beside it."""
    assert aside(bad) == frozenset()
    assert aside(bad, override_of("bob", [OTHER])) == {OTHER}


def test_a_second_person_must_override_the_same() -> None:
    """The same person twice is one, and two who set other things aside are not two."""
    assert aside(override_of("ada"), override_of("ada", at=NOW - timedelta(hours=1)), allowed=BOTH) == frozenset()
    assert aside(override_of("ada"), override_of("bob", [OTHER]), allowed=BOTH) == frozenset()
    assert aside(override_of("ada"), override_of("bob"), allowed=BOTH) == {FREEZE}


def test_who_may_override_is_whom_every_policy_names() -> None:
    """One without `overrides` lets no one, and neither does a plan without a policy."""
    ada = policy_of(windows={"overrides": Overrides(who=["ada"]).model_dump()})
    both = policy_of(windows={"overrides": {"who": ["ada", "bob"], "second_person": True}})
    assert may_override([ada]) == Allowed(("ada",), 1)
    assert may_override([both]) == BOTH
    assert may_override([both, ada]) is None  # two of one person could never be found
    staging = policy_of(environment="staging", approval={"quorum": 0}, checklist=[], least_analysis=None)
    assert may_override([ada, staging]) == Allowed(("ada",), 1)
    assert may_override([staging]) is None
    assert may_override([ada, policy_of()]) is None
    assert may_override([]) is None


MAY = [("ada", "shop"), (" Ada ", "shop"), ("grace", "shop"), ("eve", "free")]
MAY_NOT = [("eve", "shop"), ("eve", "")]


@pytest.mark.parametrize(("name", "service", "may"), [*((*one, True) for one in MAY), *((*one, False) for one in MAY_NOT)])
def test_a_policy_says_who_lifts_a_freeze_of_its_services_beside_who_set_it(name: str, service: str, *, may: bool) -> None:
    """A freeze of all services is one of its services, too."""
    policies = [policy_of(services=["shop"], windows={"lifted_by": ["grace"]}), policy_of(services=["free"])]
    assert (lifting_fault(freeze_of(service=service), name, policies) == "") is may


def test_the_answer_to_lift_a_freeze_is_bound_to_it() -> None:
    """Whoever asks sees the same challenge, and another freeze has another."""
    freeze = freeze_of()
    assert gate_of_lifting(freeze, "ada", reason="over", at=NOW).asked() == question_of(freeze, NOW, reason="over")
    challenges = {
        question_of(one, NOW, reason="over").challenge("approve") for one in (freeze, freeze_of(id=OTHER), freeze_of(reason="another"))
    }
    challenges.add(question_of(freeze, NOW + HOUR, reason="over").challenge("approve"))
    challenges.add(question_of(freeze, NOW, reason="another").challenge("approve"))
    assert len(challenges) == 5
    assert question_of(freeze, NOW + HOUR / 2, reason="over") == question_of(freeze, NOW, reason="over")
