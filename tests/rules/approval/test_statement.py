"""Statements, challenges and codes: each binds everything that was asked, and is what the standard says."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tasks.rules.approval.one_time_codes import SUITE, code_of, is_code_of, ocra
from tasks.rules.approval.statement import ALPHABET, Question, read_challenge

FIELDS: dict[str, Any] = {
    "run": st.text(min_size=1, max_size=64),
    "gate": st.text(min_size=1, max_size=64),
    "question": st.integers(min_value=1),
    "service": st.text(min_size=1, max_size=200),
    "version": st.text(min_size=1, max_size=200),
    "digest": st.text("0123456789abcdef", min_size=8, max_size=128),
    "nonce": st.text("0123456789abcdef", min_size=32, max_size=32),
}
SAID: dict[str, Any] = {"decision": st.sampled_from(["approve", "reject"]), "approver": st.text(), "comment": st.text()}
VALUES = st.fixed_dictionaries(FIELDS | SAID)


def statement_of(values: dict[str, Any]) -> bytes:
    """Say it."""
    return Question.model_validate({name: values[name] for name in FIELDS}).statement(*(values[name] for name in SAID))


def challenge_of(values: dict[str, Any]) -> str:
    """Ask it."""
    return Question.model_validate({name: values[name] for name in FIELDS}).challenge(values["decision"])


@given(VALUES, VALUES)
def test_two_statements_are_the_same_only_if_every_field_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Text of one field cannot pass for another's, since it is JSON."""
    assert (statement_of(one) == statement_of(other)) == (one == other)


@given(VALUES, st.sampled_from([*FIELDS, *SAID]), st.data())
def test_any_changed_field_is_another_statement_and_but_for_person_and_comment_another_challenge(
    values: dict[str, Any], name: str, data: Any
) -> None:
    """One field at a time, found by walking the model."""
    changed = values | {name: data.draw((FIELDS | SAID)[name].filter(lambda value: value != values[name]))}
    assert statement_of(values) != statement_of(changed)
    assert (challenge_of(values) == challenge_of(changed)) == (name in {"approver", "comment"})


def test_every_field_of_a_question_is_in_the_statement() -> None:
    """A field that is added later is signed, too."""
    values = {"run": "r", "gate": "g", "question": 1, "service": "s", "version": "v", "digest": "ab" * 32, "nonce": "0f" * 16}
    assert set(FIELDS) | {"format"} == set(Question.model_fields)
    said = json.loads(Question.model_validate(values).statement("approve", "anna", "ok"))
    assert said == {**values, "format": "shipway-approval/2", "decision": "approve", "approver": "anna", "comment": "ok"}


@given(VALUES, st.booleans(), st.sampled_from(["", " ", "-"]))
def test_a_challenge_is_read_however_it_is_typed(values: dict[str, Any], small: object, between: str) -> None:
    """Any case, any grouping, look-alikes."""
    shown = challenge_of(values)
    typed = shown.replace("-", between).replace("0", "O").replace("1", "l")
    assert read_challenge(typed.lower() if small else typed) == shown.replace("-", "")
    assert len(shown) == 19
    assert set(shown) <= {*ALPHABET, "-"}


@pytest.mark.parametrize("text", ["", "123456", "7K3M-0QZV-8R1D-XC5", "7K3M-0QZV-8R1D-XC5TT", "7K3M-0QZV-8R1D-XC5U", "٧K3M0QZV8R1DXC5T"])
def test_what_is_not_a_challenge_is_not_read(text: str) -> None:
    """Too short, too long, other letters."""
    assert read_challenge(text) is None


# RFC 6287, appendix C.2: the one-way challenge-response, the mutual one, and the signatures with time.
K32 = b"12345678901234567890123456789012"
K64 = b"1234567890123456789012345678901234567890123456789012345678901234"
SIGNED, TIMED = "OCRA-1:HOTP-SHA256-8:QA08", "OCRA-1:HOTP-SHA512-8:QA10-T1M"
VECTORS = [
    (SIGNED, K32, "SIG10000", None, "53095496"),
    (SIGNED, K32, "SIG11000", None, "04110475"),
    (SIGNED, K32, "SIG12000", None, "31331128"),
    (SIGNED, K32, "SIG13000", None, "76028668"),
    (SIGNED, K32, "SIG14000", None, "46554205"),
    (SIGNED, K32, "CLI22220SRV11110", None, "28247970"),
    (SIGNED, K32, "CLI22221SRV11111", None, "01984843"),
    (SIGNED, K32, "CLI22222SRV11112", None, "65387857"),
    (SIGNED, K32, "CLI22223SRV11113", None, "03351211"),
    (SIGNED, K32, "CLI22224SRV11114", None, "83412541"),
    (TIMED, K64, "SIG1000000", 0x132D0B6, "77537423"),
    (TIMED, K64, "SIG1100000", 0x132D0B6, "31970405"),
    (TIMED, K64, "SIG1200000", 0x132D0B6, "10235557"),
    (TIMED, K64, "SIG1300000", 0x132D0B6, "95213541"),
    (TIMED, K64, "SIG1400000", 0x132D0B6, "65360607"),
]


@pytest.mark.parametrize(("suite", "secret", "question", "step", "response"), VECTORS)
def test_codes_are_those_of_the_standard(suite: str, secret: bytes, question: str, step: int | None, response: str) -> None:
    """The test vectors of RFC 6287 whose questions are alphanumeric, as ours are."""
    assert ocra(suite, secret, question, step=step) == response


def test_a_code_answers_its_challenge_with_or_without_groups_and_only_with_its_secret() -> None:
    """Eight digits; leading zeros count; no other text is one."""
    mine, other = (SecretStr(base64.b32encode(bytes([one]) * 35).decode()) for one in (1, 2))
    code = code_of(mine, "7K3M-0QZV-8R1D-XC5T")
    assert code == ocra(SUITE, bytes([1]) * 35, "7K3M0QZV8R1DXC5T")
    assert is_code_of(mine, "7K3M0QZV8R1DXC5T", code)
    assert not is_code_of(other, "7K3M0QZV8R1DXC5T", code)
    assert not is_code_of(mine, "7K3M0QZV8R1DXC5V", code)
    for wrong in ("", code[1:], f"{code} ", "x" * 8, "\ud800" * 8):
        assert not is_code_of(mine, "7K3M0QZV8R1DXC5T", wrong)
