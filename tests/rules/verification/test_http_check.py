"""HTTP check: the request, and what is wrong with the answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.http import Expectation, HttpCheck
from tasks.rules.verification.http_check import Answer, describe_expectation, describe_request, fault_of_answer, path_of, text_of

BODY = b'{"version": "1.1", "n": 1, "yes": true, "none": null, "a/b": {"m~n": ["x", {"y": "1.1+b"}]}, "": 7}'
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


def fault(expect: dict[str, Any], *, body: bytes = BODY, version: str = "1.1", **more: Any) -> str:
    """Judge an answer."""
    answer = Answer(**({"status": 200, "seconds": 0.2, "headers": {"content-type": "text/html; charset=utf-8"}, "body": body} | more))
    return fault_of_answer(answer, Expectation.model_validate(expect), version=version)


@pytest.mark.parametrize(
    "expect",
    [
        {},
        {"status": [404, 200]},
        {"json": {"/version": "{version}", "/n": 1.0, "/yes": True, "/none": None, "/a~1b/m~0n/0": "x", "/": 7}},
        {"json": {"/a~1b": {"m~n": ["x", {"y": "{version}+b"}]}}},
        {"json": {"": json.loads(BODY)}},
        {"headers": {"Content-Type": "text/html(;.*)?"}},
        {"contains": '"version": "{version}"'},
        {"within_seconds": 0.2},
    ],
)
def test_an_answer_as_expected_has_no_fault(expect: dict[str, Any]) -> None:
    """Pointers, numbers, whole documents, patterns over whole values, text, time."""
    assert fault(expect) == ""


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"status": [201, 204]}, "answered 200, not 201 or 204"),
        ({"json": {"/version": "1.0"}}, 'has "1.1" at /version, not "1.0"'),
        ({"json": {"/n": True}}, "has 1 at /n, not true"),
        ({"json": {"/n": "1"}}, 'has 1 at /n, not "1"'),
        ({"json": {"/yes": 1}}, "has true at /yes, not 1"),
        ({"json": {"/no": None}}, "has nothing at /no"),
        ({"json": {"/a~1b/m~0n/-": "x"}}, "has nothing at /a~1b/m~0n/-"),
        ({"json": {"/a~1b/m~0n/01": "x"}}, "has nothing at"),
        ({"json": {"/version/0": "1"}}, "has nothing at /version/0"),
        ({"json": {"": {}}}, "at its top, not {}"),
        ({"headers": {"X-Id": ".*"}}, "has no header X-Id"),
        ({"headers": {"content-type": "text/html"}}, 'has content-type: "text/html; charset=utf-8", which does not match "text/html"'),
        ({"contains": "Hello"}, 'does not contain "Hello"'),
        ({"within_seconds": 0.1}, "took 0.200 s, more than 0.1 s"),
    ],
)
def test_what_differs_is_said(expect: dict[str, Any], said: str) -> None:
    """Expected and found stand side by side; nothing is taken for something else."""
    assert said in fault(expect)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"body": b"<html>"}, "is not JSON"),
        ({"body": b"[" * 100_000}, "is not JSON"),
        ({"body": b'{"version": ' + b"9" * 5_000 + b"}"}, "is not JSON"),
        ({"body": b"\xff\xfe"}, "is not JSON"),
        ({"cut": True}, "sent more than 1,000,000 bytes"),
        ({"headers": {"content-encoding": "gzip,  br"}}, 'sent its body encoded as "gzip, br", though'),
        ({"body": b'{"version": NaN}'}, "is not JSON"),
        ({"body": b""}, 'is not JSON: ""'),
        ({"error": "gave no answer"}, "gave no answer"),
        ({"status": None}, "answered None"),
    ],
)
def test_an_answer_that_cannot_be_judged_is_a_fault(answer: dict[str, Any], said: str) -> None:
    """No answer, no JSON, too much of it: never a pass."""
    assert said in fault({"json": {"/version": "1.1"}}, **answer)


def test_a_body_that_nothing_is_expected_of_may_be_encoded_and_long() -> None:
    """Who asks for compression can check its header; a probe takes an answer of any length."""
    packed = {"content-encoding": "gzip"}
    assert fault({"headers": {"Content-Encoding": "gzip"}}, headers=packed) == ""
    assert fault({}, headers={"content-encoding": "Identity"}) == ""
    long = Answer(200, 0.1, cut=True)
    assert fault_of_answer(long, Expectation(), version="1.1", any_length=True) == ""
    assert "sent more than" in fault_of_answer(long, Expectation(contains="x"), version="1.1", any_length=True)


@given(JSON, JSON)
def test_only_the_same_json_is_the_same(one: Any, other: Any) -> None:
    """Two values agree exactly when their canonical texts do."""
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    body = json.dumps(one).encode()
    assert (fault({"json": {"": other}}, body=body, version="{version}") == "") == same


@given(st.binary(max_size=200))
def test_any_body_is_judged_without_an_error(body: bytes) -> None:
    """Whatever comes back, the rule and its words stand."""
    fault({"json": {"/a": 1}, "contains": "x"}, body=body)
    assert isinstance(text_of(body), str)


def test_a_version_in_a_pattern_and_in_a_path_stands_for_itself() -> None:
    """`1.1+b` is neither an expression nor a space."""
    assert fault({"headers": {"content-type": "v{version}"}}, version="1.1+b", headers={"content-type": "v1.1+b"}) == ""
    assert fault({"headers": {"content-type": "v{version}"}}, version="1.1", headers={"content-type": "v1x1"}) != ""
    assert path_of(HttpCheck(path="/v/{version}?v={version}"), "1.1+b") == "/v/1.1%2Bb?v=1.1%2Bb"


def test_a_request_is_described_without_its_secrets() -> None:
    """The header's name is shown, its block's value is not known here, and the body is shown."""
    step = HttpCheck.model_validate(
        {"method": "POST", "path": "/a", "headers": {"X": "y"}, "secret_headers": {"Authorization": "credential/token"}, "json": {"a": 1}}
    )
    assert describe_request(step, "1.1") == 'POST /a\nX: y\nAuthorization: ********\n{"a": 1}'
    expect = Expectation.model_validate({"status": 201, "json": {"/v": "{version}"}, "contains": "x", "within_seconds": 1})
    assert describe_expectation(expect, "1.1") == 'status 201, contains "x", /v is "1.1", within 1 s'
