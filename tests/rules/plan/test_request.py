"""What a person may fill in when a phase is started."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tasks.rules.plan import request

RUN = str(uuid4())
STRANGE = ("anna.", "anna_", "anna@", "a" * 65, "anna\n", "\u0430nna", "an\u200bna", "\uff41nna", " anna")


def accepts(kind: Any, value: object) -> bool:
    """Return whether a form would take a value."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            request.Version,
            ["1.4.2", "v2", "2026-01-01+build.7", "a" * 128],
            ["", "-rf", "1.0; reboot", "1.0\n", "../x", "a" * 129, "1\x1b[m"],
        ),
        (
            request.Requester,
            ["anna", "anna.b@example.org"],
            ["", "Anna", "anna b", "-anna", *STRANGE],
        ),
        (request.Reason, ["why not"], ["", "x" * 501]),
        (request.PlanPath, ["/srv/shipway.yaml"], ["", "x" * 1001]),
        (request.EnvironmentName, ["staging", "production"], ["", "Production", "test"]),
        (request.Scope, ["", RUN, f"{RUN}/2"], ["/", "x", f"{RUN}/", f"{RUN}/1000", f"{RUN}/2/3", f"../{RUN[3:]}"]),
    ],
)
def test_a_form_takes_what_is_meant_and_refuses_the_rest(kind: Any, good: list[str], bad: list[str]) -> None:
    """These words end up in arguments, tags and file names."""
    assert [value for value in good if not accepts(kind, value)] == []
    assert [value for value in bad if accepts(kind, value)] == []


@pytest.mark.parametrize("version", ["", "1.4.2", "_adopted", "sha256:0f3a", "a" * 129])
def test_a_flow_that_flows_call_takes_every_version_and_only_its_form_is_strict(version: str) -> None:
    """A platform may call what it runs as it likes, and a rollback to it must not fail by that."""
    assert accepts(request.AnyVersion, version)
    shown = TypeAdapter(request.AnyVersion).json_schema()["pattern"]
    assert bool(re.fullmatch(shown, version)) == (version in {"", "1.4.2"})


@pytest.mark.slow
@given(st.text(max_size=20))
def test_no_version_with_a_special_character_is_taken(text: str) -> None:
    """Shells, paths and terminals see nothing but letters, digits and four signs."""
    if accepts(request.Version, text):
        assert all(sign.isascii() and (sign.isalnum() or sign in "._+-") for sign in text)
        assert text[0].isalnum()


@given(st.uuids(), st.integers(1, 999))
def test_a_scope_belongs_to_its_release_in_each_round(run: Any, number: int) -> None:
    """The owner of the marks stays the same however often a release is asked anew."""
    assert request.owner_of(f"{run}/{number}") == request.owner_of(str(run)) == str(run)
