"""Whether one answer says that a revision is well."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.verification.health import Probe, fault_of

URL = "http://127.0.0.1:1/healthz"
WANTED = {"version": "1.1", "database": "ok"}


def answer(body: object = b"", *, status: int | None = 200, cut: bool = False, error: str = "") -> Probe:
    """Describe one answer."""
    return Probe(URL, status, 0.01, body if isinstance(body, bytes) else json.dumps(body).encode(), cut=cut, error=error)


@pytest.mark.parametrize(
    ("probe", "fault"),
    [
        (answer(WANTED), ""),
        (answer(WANTED | {"more": [1]}), ""),
        (answer(WANTED, status=503), "answered 503, not 200"),
        (answer(WANTED, status=302), "answered 302, not 200"),
        (answer(status=None, error="no answer within 2 s"), "no answer within 2 s"),
        (answer(b"x" * 1000, cut=True), "sent more than 1,000,000 bytes, which no health answer needs"),
        (answer({"version": "1.0", "database": "ok"}), "says version is '1.0', not '1.1'"),
        (answer({"version": "1.1"}), "says database is 'None', not 'ok'"),
        (answer([WANTED]), "answered JSON that is not an object"),
        (answer(b"<html>"), "answered no JSON: '<html>'"),
        (answer(b"\xff\xfe"), "answered no JSON: '\ufffd\ufffd'"),
        (answer(b""), "answered no JSON: ''"),
        (answer(b"[" * 100_000), f"answered no JSON: '{'[' * 80}'"),
    ],
)
def test_an_answer_is_well_or_its_fault_is_named(probe: Probe, fault: str) -> None:
    """Status, size, form and members, in this order."""
    assert fault_of(probe, status=200, json_fields=WANTED) == fault


def test_without_wanted_members_any_body_is_well() -> None:
    """A plain-text health page will do where the plan asks for no JSON."""
    assert fault_of(answer(b"OK\n"), status=200, json_fields={}) == ""


@given(st.integers(100, 599), st.integers(100, 599))
def test_only_the_one_status_counts(found: int, wanted: int) -> None:
    """No other status is ever good enough, not even another success."""
    assert (fault_of(answer(status=found), status=wanted, json_fields={}) == "") == (found == wanted)


@given(st.binary(max_size=200))
def test_no_body_whatever_raises(body: bytes) -> None:
    """What a broken service sends is a fault in words, and a short one."""
    fault = fault_of(answer(body), status=200, json_fields=WANTED)
    assert 0 < len(fault) < 500


@given(st.dictionaries(st.sampled_from(sorted(WANTED)), st.text(max_size=500)))
def test_every_wanted_member_must_have_its_value(body: dict[str, str]) -> None:
    """One that is missing or other is a fault, however long it is."""
    fault = fault_of(answer(body), status=200, json_fields=WANTED)
    assert (fault == "") == (body == WANTED)
    assert len(fault) < 500
