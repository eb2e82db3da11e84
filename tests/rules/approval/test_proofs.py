"""Proofs of approval: nothing that was forged, bent, moved or counted twice is an approval."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.approvers.approvers import NAME
from tasks.rules.approval.proofs import ApprovedAction, Proof, Trust, same_person, verify_proofs
from tasks.rules.plan.types import PERSON

KEY = bytes(range(32))
BINDING: dict[str, Any] = {"run": "run-1", "gate": "production", "digest": "ab" * 32, "service": "guestbook", "version": "1.1"}
POLICY: dict[str, Any] = {"subject": ApprovedAction(**BINDING), "approvers": ["anna", "ben", "rita"], "quorum": 2, "requester": "Rita "}


def check_signature(name: str, statement: bytes, signature: str) -> str:
    """Stand in for ssh-keygen: a signature is the hash of what a person says."""
    return "" if signature == ssh_of(name, statement) else "incorrect signature"


def ssh_of(name: str, statement: bytes) -> str:
    """Sign as a person does."""
    return hashlib.sha256(f"{name}'s own key".encode() + statement).hexdigest()


ENTRY = "e0" * 32
TRUST = Trust(KEY, dict.fromkeys(["anna", "ben", "rita", "eve"], ENTRY), check_signature)


def proof_of(approver: str, *, key: bytes = KEY, **other: object) -> Proof:
    """Sign a proof with the usual binding."""
    fields = {
        **BINDING,
        "kind": "code",
        "question": 1,
        "nonce": "0f" * 16,
        "approver": approver,
        "decision": "approve",
        "at": datetime(2026, 3, 2, tzinfo=UTC),
        "entry": ENTRY,
    }
    return Proof.model_validate({**fields, "comment": "ok", **other}).signed(key)


def signed_of(approver: str, **other: object) -> Proof:
    """Let a person sign with an SSH key."""
    proof = proof_of(approver, kind="ssh", entry="", **other)
    return proof.model_copy(update={"signature": ssh_of(approver, proof.statement())})


GOOD = [proof_of(name).model_dump(mode="json") for name in ("anna", "ben")]


def problems_of(proofs: list[object], *, trust: Trust = TRUST) -> list[str]:
    """Verify under the usual policy."""
    return verify_proofs(proofs, trust=trust, **POLICY)


def test_enough_good_proofs_are_an_approval() -> None:
    """As objects and as stored JSON."""
    assert problems_of([*GOOD]) == []
    assert problems_of([proof_of("anna"), proof_of("ben")]) == []


def test_the_numbers_of_a_missing_quorum_are_told() -> None:
    """One of two is not enough."""
    assert problems_of([GOOD[0]]) == ["1 of 2 approvals are proved (anna)"]
    assert problems_of([]) == ["0 of 2 approvals are proved (none)"]


FAULTS: dict[str, tuple[object, str]] = {
    "forged without the key": (proof_of("ben", key=bytes(32)), "signature is not valid"),
    "unsigned": ({**GOOD[1], "signature": ""}, "signature is not valid"),
    "without the field signature": ({name: value for name, value in GOOD[1].items() if name != "signature"}, "not in the form"),
    "of another run": (proof_of("ben", run="run-2"), "is for run run-2"),
    "of another gate": (proof_of("ben", gate="watch"), "is for gate watch"),
    "of another digest": (proof_of("ben", digest="cd" * 32), "is not what was approved"),
    "a rejection": (proof_of("ben", decision="reject"), "ben rejected"),
    "of the requester": (proof_of("rita"), "rita may not approve"),
    "of someone not listed": (proof_of("eve"), "eve may not approve"),
    "of the same person again": (proof_of("anna", question=2), "counted already"),
    "of another service": (proof_of("ben", service="billing"), "is for billing 1.1, not guestbook 1.1"),
    "of another version": (proof_of("ben", version="1.2"), "is for guestbook 1.2"),
    "a code called a signature": ({**GOOD[1], "kind": "ssh"}, "SSH signature is not valid: incorrect signature"),
    "a signature of another person": (
        signed_of("ben").model_copy(update={"signature": signed_of("anna").signature}),
        "incorrect signature",
    ),
    "a signature of a rejection": (
        signed_of("ben").model_copy(update={"signature": signed_of("ben", decision="reject").signature}),
        "incorrect signature",
    ),
    "a signature called a code": ({**signed_of("ben").model_dump(mode="json"), "kind": "code"}, "signature is not valid"),
    "text": ("approved", "is a str"),
    "nothing": (None, "is a NoneType"),
    "a list": ([GOOD[1]], "is a list"),
    "an empty object": ({}, "cannot be read"),
    "with a field more": ({**GOOD[1], "admin": True}, "cannot be read"),
    "with an object that is not JSON": ({**GOOD[1], "comment": object()}, "cannot be read"),
    "true for a number": ({**GOOD[1], "question": True}, "not in the form"),
    "another spelling of the time": ({**GOOD[1], "at": "2026-03-02T00:00:00+00:00"}, "not in the form"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_proof_with_a_fault_is_not_an_approval(case: str) -> None:
    """Each fault is named, and the quorum is not met."""
    raw, words = FAULTS[case]
    found = problems_of([GOOD[0], raw])
    assert words in found[0]
    assert "1 of 2 approvals are proved" in found[-1]


def test_a_proof_by_signature_needs_no_trust_in_the_key_of_codes_and_counts_where_signatures_are_required() -> None:
    """Whoever reads the key can seal codes, and nothing else."""
    stolen = Trust(bytes(32), {}, check_signature, "required")
    signed = [signed_of("anna"), signed_of("ben")]
    assert problems_of([*signed], trust=stolen) == []
    assert "is not valid" in problems_of([signed[0], GOOD[1]], trust=stolen)[0]
    assert "an SSH signature is required" in problems_of([signed[0], GOOD[1]], trust=TRUST._replace(signatures="required"))[0]


def test_a_code_of_a_person_who_was_removed_since_does_not_count() -> None:
    """The secret that was answered with is no longer trusted."""
    assert "ben is not enrolled any more" in problems_of([*GOOD], trust=TRUST._replace(enrolled={"anna": ENTRY}))[0]


def test_a_code_of_a_secret_that_was_replaced_since_does_not_count() -> None:
    """Whoever found the lost one may have approved with it; the entry is sealed. What was counted before still counts, and only that."""
    trust = TRUST._replace(enrolled={"anna": ENTRY, "ben": "01" * 32})
    found = problems_of([*GOOD], trust=trust)
    assert found == ["proof 2: ben has another secret by now than the one that answered", "1 of 2 approvals are proved (anna)"]
    assert "signature is not valid" in problems_of([GOOD[0], {**GOOD[1], "entry": "01" * 32}], trust=trust)[0]
    counted = trust._replace(counted=[proof_of("ben").name()])
    assert problems_of([*GOOD], trust=counted) == []
    assert problems_of([GOOD[0], proof_of("ben", question=2)], trust=counted) == found


@given(position=st.integers(min_value=0), byte=st.integers(min_value=0, max_value=255))
def test_a_proof_with_any_changed_byte_is_refused(position: int, byte: int) -> None:
    """Whatever single byte of the stored JSON is changed, the pair is not an approval, unless the JSON says exactly the same."""
    stored = bytearray(json.dumps(GOOD[1]).encode())
    stored[position % len(stored)] = byte
    try:
        raw = json.loads(bytes(stored))
    except ValueError:
        raw = bytes(stored)
    assert (problems_of([GOOD[0], raw]) == []) == (raw == GOOD[1])


@given(st.lists(st.sampled_from([*GOOD, proof_of("rita"), proof_of("eve"), proof_of("anna", key=bytes(32)), None]), max_size=6))
def test_no_mixture_is_an_approval_but_two_different_people_and_nothing_else(proofs: list[object]) -> None:
    """Any forged, foreign or repeated proof beside the good ones is a problem."""
    assert (problems_of(proofs) == []) == (len(proofs) == 2 and GOOD[0] in proofs and GOOD[1] in proofs)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_no_json_whatever_raises_or_approves(raw: object) -> None:
    """Reading fails closed."""
    assert problems_of([GOOD[0], raw]) != []


def test_a_short_key_signs_nothing() -> None:
    """An empty key would make every forger a signer."""
    with pytest.raises(ValueError, match="at least 32 bytes"):
        proof_of("anna", key=b"")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ada", "ada.", True),
        ("ada", " Ada ", True),
        ("ada", "ada@example.com", True),
        ("ada", "a-d_a", True),
        ("ada", "ａda", True),
        ("ada", "a\u200bda", True),
        ("leo", "1e0", True),
        ("ada", "adam", False),
        ("ada", "bob@ada.com", False),
    ],
)
def test_two_spellings_of_one_name_are_one_person(one: str, other: str, same: object) -> None:
    """It errs towards yes, because it only takes approvals away."""
    assert same_person(one, other) is same
    assert same_person(other, one) is same


def test_requesters_approvers_and_plans_have_the_same_names() -> None:
    """A name that one of them takes and another refuses could not be compared."""
    assert NAME.pattern == PERSON.removeprefix("^").removesuffix("$")
