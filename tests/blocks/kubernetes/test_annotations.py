"""What Shipway remembers on a workload, and who may change it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Refused, Superseded, Tampered
from blocks.kubernetes.objects.annotations import (
    NO_STATE,
    SEAL,
    State,
    acquired,
    annotations_of,
    check_lease,
    expect_genuine,
    key_of,
    number_in,
    state_of,
)
from blocks.kubernetes.observe.drift import LEFT
from blocks.kubernetes.stateful import PARTITION
from blocks.platform import Lease

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
states = st.builds(
    State,
    owner=words,
    generation=st.integers(0, 10**9),
    rollback=st.sampled_from(["", "yes"]),
    baseline=words,
    baseline_revision=words,
    canary=words,
    percent=st.integers(0, 100),
    phase=st.sampled_from(["", "promoting"]),
    previous=words,
)


def workload(annotations: dict[str, Any]) -> dict[str, Any]:
    """Write what of a workload is read."""
    return {"metadata": {"uid": "uid-1", "annotations": annotations}}


def written(state: State, *, uid: str = "uid-1", key: bytes = b"k" * 32) -> dict[str, str]:
    """Write a state as it stands on the workload."""
    return {name: value for name, value in annotations_of(state, uid=uid, key=key).items() if value is not None}


@given(states)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    """Every field survives the way through annotations, and an empty one leaves no annotation behind."""
    for key in (b"", b"k" * 32):
        found = written(state, key=key)
        assert state_of(workload(found)) == state
        assert all(name.startswith("shipway.dev/") and value for name, value in found.items())
        assert (SEAL in found) == bool(key)


def test_an_untouched_workload_belongs_to_no_one() -> None:
    """A workload without any annotation is one that no one ever released."""
    assert state_of({"metadata": {}}) == NO_STATE


@given(states.filter(lambda state: state != NO_STATE), st.sampled_from(list(State.__dataclass_fields__)))
def test_a_state_of_which_others_changed_any_field_is_not_believed(state: State, field: str) -> None:
    """Nor one without its seal, one of another workload, or one under another key; without a key nothing can be checked."""
    key, found = b"k" * 32, written(state)
    assert expect_genuine(workload(found), key, title="shop/web") == state
    name = f"shipway.dev/{field.replace('_', '-')}"
    changed = {**found, name: "7" if found.get(name) != "7" else "8"}
    unsealed = {one: value for one, value in found.items() if one != SEAL}
    for other in (changed, unsealed, written(state, uid="uid-2"), written(state, key=b"x" * 32)):
        with pytest.raises(Tampered, match="shop/web are not as this installation wrote them"):
            expect_genuine(workload(other), key, title="shop/web")
        assert expect_genuine(workload(other), b"", title="shop/web") == state_of(workload(other))


@pytest.mark.parametrize("value", ["9" * 10_000, "9" * 4_000, "9" * 24, "9" * 26, "٣" * 4])
def test_a_generation_of_any_length_is_read_and_can_be_followed_by_the_next_one(value: str) -> None:
    """Python itself refuses to read a number of more than 4,300 digits."""
    state = acquired(state_of(workload({"shipway.dev/generation": value})), "run", takeover=True, workload="shop/web")
    check_lease(state_of(workload(written(state))), Lease(owner="run", generation=state.generation), workload="shop/web")


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "0x10"])
def test_a_number_that_someone_edited_into_nonsense_is_not_there(value: str) -> None:
    """It never raises: an operator must be able to release over it."""
    assert state_of(workload({"shipway.dev/percent": value})).percent == 0


@pytest.mark.parametrize(
    ("owner", "generation", "error"),
    [("run", 5, None), ("run", 4, Superseded), ("other", 4, Superseded), ("other", 5, Refused), ("run", 6, Refused)],
)
def test_only_the_newest_owner_acts(owner: str, generation: int, error: type[Exception] | None) -> None:
    """An older generation is told to stop, whoever it was; another is refused with the holder's name."""
    state, lease = State(owner="run", generation=5), Lease(owner=owner, generation=generation)
    if error is None:
        check_lease(state, lease, workload="shop/web")
        return
    with pytest.raises(error, match="shop/web"):
        check_lease(state, lease, workload="shop/web")


def test_a_claim_raises_the_generation_and_fences_the_same_owner_too() -> None:
    """A run that was thought dead and is not has an older generation than its successor."""
    first = acquired(NO_STATE, "run", takeover=False, workload="shop/web")
    second = acquired(first, "run", takeover=False, workload="shop/web")
    assert (first.generation, second.generation) == (1, 2)
    with pytest.raises(Superseded):
        check_lease(second, Lease(owner="run", generation=first.generation), workload="shop/web")


def test_another_owner_is_refused_unless_it_goes_back() -> None:
    """A rollback takes over, and the state says that it goes back."""
    held = State(owner="run", generation=1, canary="1.1")
    with pytest.raises(Refused, match="owned by run"):
        acquired(held, "other", takeover=False, workload="shop/web")
    taken = acquired(held, "other", takeover=True, workload="shop/web")
    assert (taken.owner, taken.generation, taken.rollback, taken.canary) == ("other", 2, "yes", "1.1")


@given(st.text(max_size=30) | st.integers(-5, 2_000).map(str))
def test_a_number_in_an_annotation_is_one_that_can_be_meant(text: str) -> None:
    """Others may write there what they like; nothing of it is an error, and nothing of it is too large."""
    found = number_in(workload({"n": text}), "n", most=1_000)
    assert found is None or 0 <= found <= 1_000
    assert (found is None) == (text not in {str(number).zfill(width) for number in range(1_001) for width in (1, 2, 3, 4)})


@pytest.mark.parametrize("text", ["9" * 5_000, "٣", "²", "-1", "1e2", "x", "", "1001"])
def test_what_is_not_such_a_number_is_not_there(text: str) -> None:
    """Each of these stopped a rollback once, or could have had it start a million pods."""
    assert number_in(workload({"n": text}), "n", most=1_000) is None
    assert number_in(None, "n", most=1_000) is None


def test_each_note_on_a_workload_has_a_name_of_its_own() -> None:
    """A field of the state under the name of another note would break the seal."""
    assert not {key_of(field.name) for field in fields(State)} & {SEAL, LEFT, PARTITION}
