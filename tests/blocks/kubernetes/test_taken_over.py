"""What a rollback goes by if others change the annotations under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from blocks.kubernetes.objects import taken_over
from blocks.kubernetes.objects.annotations import State, annotations_of, state_of
from blocks.kubernetes.objects.taken_over import as_written, remember

KEY, UID = b"key", "uid-1"
OURS = State(owner="ours", generation=7, rollback="yes", baseline="1.0", canary="0.9", percent=100)


@pytest.fixture(autouse=True)
def _nothing_written() -> Iterator[None]:
    """Begin as a new process does."""
    taken_over._written.clear()
    yield
    taken_over._written.clear()


def workload(annotations: dict[str, Any], *, uid: str = UID) -> dict[str, Any]:
    """Give a workload."""
    return {"metadata": {"uid": uid, "annotations": {name: value for name, value in annotations.items() if value is not None}}, "spec": {}}


def sealed(state: State, *, key: bytes = KEY) -> dict[str, Any]:
    """Give a state as an installation with this key writes it."""
    return annotations_of(state, uid=UID, key=key)


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        (sealed(OURS), OURS),
        ({}, OURS),
        ({**sealed(OURS), "shipway.dev/owner": "evil"}, OURS),
        ({**sealed(OURS), "shipway.dev/generation": "9" * 20}, OURS),
        (sealed(replace(OURS, owner="earlier", generation=6)), OURS),
        (sealed(replace(OURS, owner="alike", generation=7)), OURS),
        (sealed(replace(OURS, owner="stranger", generation=9), key=b"another installation's"), OURS),
        (sealed(replace(OURS, owner="newer", generation=8)), replace(OURS, owner="newer", generation=8)),
    ],
    ids=["as it wrote it", "removed", "another owner", "a generation", "an earlier state", "the same generation", "another key", "newer"],
)
def test_only_a_newer_state_of_our_own_counts_against_a_rollback(found: dict[str, Any], counts: State) -> None:
    """Anything else was written by others, or before."""
    remember(UID, OURS, sealed(OURS))
    assert state_of(as_written(workload({**found, "others": "stay"}), KEY)) == counts
    assert as_written(workload({**found, "others": "stay"}), KEY)["metadata"]["annotations"]["others"] == "stay"


def test_a_rollback_is_remembered_until_it_releases_the_workload() -> None:
    """Its promotion leaves no word of the rollback in the state."""
    promoted = State(owner="ours", generation=7, previous="1.0")
    remember(UID, OURS, sealed(OURS))
    remember(UID, promoted, sealed(promoted))
    assert state_of(as_written(workload({"shipway.dev/owner": "evil"}), KEY)) == promoted


RELEASED = [replace(OURS, owner="a release", rollback=""), replace(OURS, owner="", rollback="")]


@pytest.mark.parametrize("state", RELEASED, ids=["a release's", "released"])
def test_nothing_is_remembered_forward_or_once_the_lease_is_released(state: State) -> None:
    """A release stops where others changed its state."""
    remember(UID, OURS, sealed(OURS))
    remember(UID, state, sealed(state))
    found = workload({"shipway.dev/owner": "evil"})
    assert as_written(found, KEY) is found


def test_another_workload_and_an_installation_without_a_key_go_by_what_is_read() -> None:
    """A seal is what tells ours from others'."""
    remember(UID, OURS, sealed(OURS))
    for found, key in ((workload({"shipway.dev/owner": "evil"}, uid="uid-2"), KEY), (workload({"shipway.dev/owner": "evil"}), b"")):
        assert as_written(found, key) is found
