"""One way to compare JSON: a pointer leads to a value."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.json_values import MISSING, fault_at, parse_json, same, value_at

DOCUMENT = parse_json(
    b'{"live": false, "lag": 25e-1, "peers": [{"up": true}, {"up": null}], "queue": {"depth": 1E3, "a/b~c": []}, "text": "None", "": 0}'
)
SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.0, 1.0, -2.0, 0.5, "", "1", "null", "true"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner), max_leaves=5)


@pytest.mark.parametrize(
    ("pointer", "wanted"),
    [
        ("/live", False),
        ("/lag", 2.5),
        ("/queue/depth", 1000),
        ("/queue/depth", 1e3),
        ("/peers/0/up", True),
        ("/peers/1/up", None),
        ("/peers", [{"up": True}, {"up": None}]),
        ("/queue/a~1b~0c", []),
        ("/text", "None"),
        ("/", 0),
    ],
)
def test_a_value_is_found_and_compared_as_json(pointer: str, wanted: Any) -> None:
    """Booleans, null, numbers however they are written, members of members, lists and names with slashes."""
    assert fault_at(DOCUMENT, pointer, wanted) == ""


@pytest.mark.parametrize(
    ("pointer", "wanted", "said"),
    [
        ("/live", "false", 'has false at /live, not "false"'),
        ("/live", 0, "has false at /live, not 0"),
        ("/", False, "has 0 at /, not false"),
        ("/text", None, 'has "None" at /text, not null'),
        ("/peers/1/up", "None", 'has null at /peers/1/up, not "None"'),
        ("/peers", [{"up": None}, {"up": True}], "has [{"),
        ("/queue", {"depth": 1000}, "has {"),
        ("/gone", None, "has nothing at /gone"),
        ("/gone", "None", "has nothing at /gone"),
        ("/peers/2", None, "has nothing at /peers/2"),
        ("/peers/-", None, "has nothing at /peers/-"),
        ("/live/deeper", None, "has nothing at /live/deeper"),
        ("/text/0", "N", "has nothing at /text/0"),
    ],
)
def test_what_differs_is_said_and_what_is_missing_equals_nothing(pointer: str, wanted: Any, said: str) -> None:
    """No kind is taken for another; null is a value, and nothing is not null."""
    assert fault_at(DOCUMENT, pointer, wanted).startswith(said)


@given(VALUES, VALUES)
def test_equality_is_that_of_canonical_json(one: Any, other: Any) -> None:
    """Two values are the same exactly if their canonical texts are, whole floats written as whole numbers."""

    def canonical(value: Any) -> Any:
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, list):
            return [canonical(one) for one in value]
        return {name: canonical(member) for name, member in value.items()} if isinstance(value, dict) else value

    assert same(one, other) == (json.dumps(canonical(one), sort_keys=True) == json.dumps(canonical(other), sort_keys=True))


@given(VALUES, st.text(alphabet="/ab01-~", max_size=6))
def test_a_missing_member_is_never_equal(document: Any, pointer: str) -> None:
    """Whatever is wanted, null and texts of it included."""
    if value_at(document, pointer) is MISSING:
        assert all(fault_at(document, pointer, wanted) for wanted in (None, "None", "null", "", 0, False, [], {}))


@pytest.mark.parametrize("body", [b"", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"\xff", b"{'a': 1}", b"1 2", b"9" * 5_000])
def test_what_is_not_json_is_an_error_of_one_kind(body: bytes) -> None:
    """Also what Python alone would take for JSON."""
    with pytest.raises(ValueError, match=r"."):
        parse_json(body)
