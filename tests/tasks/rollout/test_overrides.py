"""Overrides with the real block, key and policies: who may, what it sets aside, and that what cannot be read sets nothing aside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from blocks.approvers.approvers import Approvers
from blocks.errors import Refused
from blocks.key_folder.override_files import override_folder
from blocks.key_folder.policy_files import write_policy_file
from tasks.lifecycle.freezes import set_freeze
from tasks.rollout import overrides
from tasks.rules.approval.answers import Answer, read_answer
from tasks.rules.approval.one_time_codes import code_of
from tasks.rules.approval.override import gate_of
from tasks.rules.policy.rules import Allowed
from tests.rules.policy.test_rules import BLOCK, plan_of

RUN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Approvers:
    """Enrol three people under a key of the test."""
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    block = Approvers()
    for name in ("anna", "ben", "eve"):
        block.enrol(name)

    async def load(_name: str) -> Approvers:
        return block

    async def read_entry(_run: str, _kind: str) -> Any:
        return SimpleNamespace(evidence={"version": "1.1"})

    monkeypatch.setattr(overrides, "load_approvers", load)
    monkeypatch.setattr(overrides, "read_entry", read_entry)
    return block


def allow(**rules: Any) -> None:
    """Apply a policy that says who may override."""
    policy = {"policy": 1, "name": "shop", "services": ["shop"], "protects": [BLOCK], "windows": {"overrides": rules} if rules else {}}
    write_policy_file("shop", yaml.safe_dump(policy).encode())


def answer_of(people: Approvers, name: str, holds: Sequence[str], *, reason: str = "bug 812", run: str = RUN) -> Answer:
    """Answer whether these are set aside."""
    asked = gate_of(run, holds, service="shop", version="1.1", allowed=Allowed((name,), 1), at=datetime.now(UTC)).asked()
    code = code_of(people.secret(name), asked.challenge("approve"))
    return read_answer({"decision": "approve", "approver": name, "code": code, "comment": reason}, received_at=datetime.now(UTC))


async def override(people: Approvers, name: str, holds: Sequence[str], **more: Any) -> str:
    """Override as a person."""
    return await overrides.override(RUN, plan_of(), version="1.1", holds=holds, answer=answer_of(people, name, holds, **more))


async def test_whom_a_policy_names_sets_aside_what_holds_one_release_now(people: Approvers) -> None:
    """Not another release, and not a freeze that is set later."""
    allow(who=["anna", "ben"])
    freeze = set_freeze(who="rita", reason="incident")
    assert await override(people, "anna", [freeze.id, "windows"]) == ""
    assert await overrides.what_is_set_aside(RUN, plan_of()) == {freeze.id, "windows"}
    assert await overrides.what_is_set_aside(RUN.replace("1", "9"), plan_of()) == frozenset()
    (kept,) = await overrides.overrides_of(RUN, plan_of())
    assert (kept.proof.approver, kept.proof.comment) == ("anna", "bug 812")


async def test_a_second_person_is_waited_for_if_the_policy_asks_for_one(people: Approvers) -> None:
    """The first one alone sets nothing aside."""
    allow(who=["anna", "ben"], second_person=True)
    assert await override(people, "anna", ["windows"]) == "another one of anna, ben must override the same, too"
    assert await overrides.what_is_set_aside(RUN, plan_of()) == frozenset()
    assert await override(people, "ben", ["windows"]) == ""
    assert await overrides.what_is_set_aside(RUN, plan_of()) == {"windows"}


async def test_no_one_else_overrides_and_no_one_without_a_reason_a_proof_or_a_policy(people: Approvers) -> None:
    """Each is refused with what is missing, and nothing is kept."""
    allow(who=["anna"])
    with pytest.raises(Refused, match="does not list eve"):
        await override(people, "eve", ["windows"])
    with pytest.raises(Refused, match="needs a reason"):
        await override(people, "anna", ["windows"], reason="")
    with pytest.raises(Refused, match="does not answer the challenge"):
        await override(people, "anna", ["windows"], run="another")
    allow()
    with pytest.raises(Refused, match="no policy of this plan lets anyone override"):
        await override(people, "anna", ["windows"])
    assert not override_folder(RUN).exists()


async def test_it_counts_no_longer_if_the_policy_changes_or_a_file_of_the_release_cannot_be_read(people: Approvers) -> None:
    """What it set aside holds the release again."""
    allow(who=["anna"])
    await override(people, "anna", ["windows"])
    allow(who=["ben"])
    assert await overrides.what_is_set_aside(RUN, plan_of()) == frozenset()
    allow(who=["anna"])
    assert await overrides.what_is_set_aside(RUN, plan_of()) == {"windows"}
    (override_folder(RUN) / "torn.json").write_text("{")
    assert await overrides.what_is_set_aside(RUN, plan_of()) == frozenset()


@pytest.mark.parametrize("evidence", [{"version": "6.6.6"}, {}, None])
async def test_it_counts_only_for_the_version_with_which_the_record_was_opened(
    people: Approvers, monkeypatch: pytest.MonkeyPatch, evidence: dict[str, str] | None
) -> None:
    """The run's parameters, which say to people what they let through, are what anyone with the API wrote last."""
    allow(who=["anna"])
    await override(people, "anna", ["windows"])

    async def read_entry(_run: str, _kind: str) -> Any:
        return None if evidence is None else SimpleNamespace(evidence=evidence)

    monkeypatch.setattr(overrides, "read_entry", read_entry)
    assert await overrides.what_is_set_aside(RUN, plan_of()) == frozenset()
