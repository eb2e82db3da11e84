"""Holds on an Application: what is written to switch its automatic sync off, and to restore it exactly."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from jsonpointer import JsonPointer

from blocks.errors import Refused
from blocks.gitops.application import HOLD, is_held
from blocks.gitops.sync_pause import hold_on, hold_steps, release_steps

KEY = b"k" * 32
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
    return {
        "metadata": {"name": "shop", "namespace": "argocd", "uid": "u-1", **({"annotations": annotations} if annotations else {})},
        "spec": spec,
    }


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
    held = patched(found, hold_steps(found, "run-1", whole=whole, key=KEY))
    assert is_held(held)
    assert patched(held, release_steps(held, "run-1", key=KEY)) == found


def test_a_hold_again_writes_nothing() -> None:
    """It is idempotent for its owner."""
    found = application(POLICIES[0])
    held = patched(found, hold_steps(found, "run-1", whole=False, key=KEY))
    assert hold_steps(held, "run-1", whole=False, key=KEY) == []


def test_a_hold_whose_switch_was_dropped_keeps_what_was_there_first() -> None:
    """An API server that does not know `enabled` drops it; the second try removes the whole, and the first state is restored."""
    found = application(POLICIES[0])
    dropped = patched(found, hold_steps(found, "run-1", whole=False, key=KEY))
    del dropped["spec"]["syncPolicy"]["automated"]["enabled"]
    held = patched(dropped, hold_steps(dropped, "run-1", whole=True, key=KEY))
    assert is_held(held)
    assert patched(held, release_steps(held, "run-1", key=KEY))["spec"] == found["spec"]


def test_a_hold_of_another_release_is_left_alone() -> None:
    """It can be neither taken over nor released."""
    found = application(POLICIES[0])
    held = patched(found, hold_steps(found, "run-1", whole=False, key=KEY))
    with pytest.raises(Refused, match="held by run-1"):
        hold_steps(held, "run-2", whole=False, key=KEY)
    assert release_steps(held, "run-2", key=KEY) == []


def test_what_others_set_during_a_hold_stays() -> None:
    """The release of the hold removes its mark alone."""
    found = application(POLICIES[0])
    held = patched(found, hold_steps(found, "run-1", whole=False, key=KEY))
    held["spec"]["syncPolicy"]["automated"] = {"prune": False}
    released = patched(held, release_steps(held, "run-1", key=KEY))
    assert released["spec"]["syncPolicy"]["automated"] == {"prune": False}
    assert hold_on(released, KEY) is None


@pytest.mark.parametrize("key", [b"", KEY])
@pytest.mark.parametrize("text", ["yes", "{}", json.dumps({"owner": "run-1"}), "[]"])
def test_a_mark_that_others_changed_is_refused(text: str, key: bytes) -> None:
    """What the automatic sync was is then not known."""
    with pytest.raises(Refused, match="is not as this installation wrote it"):
        hold_on(application(POLICIES[0], {HOLD: text}), key)


def forgeries(held: dict[str, Any]) -> dict[str, str]:
    """Write what a neighbour who may annotate can make of a hold."""
    mark = json.loads(held["metadata"]["annotations"][HOLD])
    changed = {"owner": "run-9", "automated": {"prune": True, "evil": True}, "left": {"x": 1}, "seal": "0" * 64}
    edits = {name: json.dumps({**mark, name: value}) for name, value in changed.items()}
    unsealed = json.dumps({name: value for name, value in mark.items() if name != "seal"})
    return {**edits, "unsealed": unsealed, "not JSON": "yes", "nested": "[" * 100_000, "list": "[]"}


@pytest.mark.parametrize("forgery", ["owner", "automated", "left", "seal", "unsealed", "not JSON", "nested", "list"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_forged_hold_neither_stops_a_rollback_nor_says_what_the_sync_was(forgery: str, *, whole: bool) -> None:
    """It is replaced: what stands after the hold is the sync as it is now, never what the neighbour wrote."""
    for found in (
        application(POLICIES[0]),
        patched(application(POLICIES[0]), hold_steps(application(POLICIES[0]), "run-1", whole=whole, key=KEY)),
    ):
        source = patched(application(POLICIES[0]), hold_steps(application(POLICIES[0]), "run-1", whole=whole, key=KEY))
        forged = copy.deepcopy(found)
        forged["metadata"].setdefault("annotations", {})[HOLD] = forgeries(source)[forgery]
        held = patched(forged, hold_steps(forged, "run-2", whole=whole, key=KEY))
        hold = hold_on(held, KEY)
        assert hold is not None
        assert (is_held(held), hold.owner) == (True, "run-2")
        released = patched(held, release_steps(held, "run-2", key=KEY))
        assert released["spec"] == found["spec"]
        assert HOLD not in released["metadata"].get("annotations", {})


@pytest.mark.parametrize("forgery", ["owner", "automated", "unsealed", "not JSON"])
def test_a_forged_hold_is_not_released_to_what_it_says(forgery: str) -> None:
    """People must say what the sync was; if it is on already, only the mark goes."""
    before = application(POLICIES[0])
    held = patched(before, hold_steps(before, "run-1", whole=False, key=KEY))
    held["metadata"]["annotations"][HOLD] = forgeries(held)[forgery]
    with pytest.raises(Refused, match="is not as this installation wrote it"):
        release_steps(held, "run-1", key=KEY)
    held["spec"] = before["spec"]
    released = patched(held, release_steps(held, "run-1", key=KEY))
    assert (released["spec"], released["metadata"]["annotations"]) == (before["spec"], {})


def test_an_old_hold_that_is_put_back_does_not_stop_a_rollback() -> None:
    """Its seal is right, but the sync is not as it left it."""
    before = application(POLICIES[0])
    old = patched(before, hold_steps(before, "run-1", whole=False, key=KEY))["metadata"]["annotations"][HOLD]
    again = application(POLICIES[0], {HOLD: old})
    held = patched(again, hold_steps(again, "run-2", whole=False, key=KEY))
    assert is_held(held)
    assert patched(held, release_steps(held, "run-2", key=KEY))["spec"] == before["spec"]


def test_a_hold_of_another_application_is_none_of_this_one() -> None:
    """The seal is over the UID."""
    before = application(POLICIES[0])
    held = patched(before, hold_steps(before, "run-1", whole=False, key=KEY))
    held["metadata"]["uid"] = "u-2"
    with pytest.raises(Refused, match="is not as this installation wrote it"):
        hold_on(held, KEY)


def test_a_machine_without_the_key_makes_no_seal_and_checks_none() -> None:
    """As with the state of a workload."""
    before = application(POLICIES[0])
    held = patched(before, hold_steps(before, "run-1", whole=False, key=b""))
    assert patched(held, release_steps(held, "run-1", key=b""))["spec"] == before["spec"]
