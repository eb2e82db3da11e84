"""Holds on an Application: what is written to switch its automatic sync off, and to restore it exactly."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonpointer import JsonPointer

from blocks.errors import Refused
from blocks.gitops.application import HOLD, is_held
from blocks.gitops.holds import hold_on, hold_steps, release_steps

POLICIES = [
    {"automated": {"prune": True, "selfHeal": True}, "retry": {"limit": 3}},
    {"automated": {}},
    {"automated": {"enabled": True}},
    {"syncOptions": ["CreateNamespace=true"]},
    None,
]


def application(policy: Any, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    """Write an Application."""
    spec = {"source": {}, **({"syncPolicy": policy} if policy is not None else {})}
    return {"metadata": {"name": "shop", "namespace": "argocd", **({"annotations": annotations} if annotations else {})}, "spec": spec}


def patched(found: dict[str, Any], steps: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply the steps as an API server would."""
    changed = copy.deepcopy(found)
    for step in steps:
        inside, last = JsonPointer(step["path"]).to_last(changed)
        if step["op"] == "remove":
            del inside[last]
        else:
            inside[last] = step["value"]
    return changed


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_hold_is_restored_exactly(policy: Any, *, whole: bool) -> None:
    """Whatever the automatic sync was: after hold and release the spec is the one before."""
    found = application(policy, {"kept": "yes"})
    held = patched(found, hold_steps(found, "run-1", whole=whole))
    assert is_held(held)
    assert patched(held, release_steps(held, "run-1")) == found


def test_a_hold_again_writes_nothing() -> None:
    """It is idempotent for its owner."""
    found = application(POLICIES[0])
    held = patched(found, hold_steps(found, "run-1", whole=False))
    assert hold_steps(held, "run-1", whole=False) == []


def test_a_hold_whose_switch_was_dropped_keeps_what_was_there_first() -> None:
    """An API server that does not know `enabled` drops it; the second try removes the whole, and the first state is restored."""
    found = application(POLICIES[0])
    dropped = patched(found, hold_steps(found, "run-1", whole=False))
    del dropped["spec"]["syncPolicy"]["automated"]["enabled"]
    held = patched(dropped, hold_steps(dropped, "run-1", whole=True))
    assert is_held(held)
    assert patched(held, release_steps(held, "run-1"))["spec"] == found["spec"]


def test_a_hold_of_another_release_is_left_alone() -> None:
    """It can be neither taken over nor released."""
    found = application(POLICIES[0])
    held = patched(found, hold_steps(found, "run-1", whole=False))
    with pytest.raises(Refused, match="held by run-1"):
        hold_steps(held, "run-2", whole=False)
    assert release_steps(held, "run-2") == []


def test_what_others_set_during_a_hold_stays() -> None:
    """The release of the hold removes its mark alone."""
    found = application(POLICIES[0])
    held = patched(found, hold_steps(found, "run-1", whole=False))
    held["spec"]["syncPolicy"]["automated"] = {"prune": False}
    released = patched(held, release_steps(held, "run-1"))
    assert released["spec"]["syncPolicy"]["automated"] == {"prune": False}
    assert hold_on(released) is None


@pytest.mark.parametrize("text", ["yes", "{}", json.dumps({"owner": "run-1"}), "[]"])
def test_a_mark_that_others_changed_is_refused(text: str) -> None:
    """What the automatic sync was is then not known."""
    with pytest.raises(Refused, match="cannot be read"):
        hold_on(application(POLICIES[0], {HOLD: text}))
