"""What Shipway remembers on a workload, and who may change it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Refused, Superseded
from blocks.kubernetes.objects.annotations import NO_STATE, State, acquired, annotations_of, check_lease, state_of
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
    return {"metadata": {"annotations": annotations}}


@given(states)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    """Every field survives the way through annotations, and an empty one leaves no annotation behind."""
    written = {key: value for key, value in annotations_of(state).items() if value is not None}
    assert state_of(workload(written)) == state
    assert all(key.startswith("shipway.dev/") and value for key, value in written.items())


def test_an_untouched_workload_belongs_to_nobody() -> None:
    """A workload without any annotation is one that nobody ever released."""
    assert state_of({"metadata": {}}) == NO_STATE


@pytest.mark.parametrize("value", ["", "many", "-1", "1.5", "0x10"])
def test_a_number_that_somebody_edited_into_nonsense_is_not_there(value: str) -> None:
    """It never raises: an operator must be able to release over it."""
    assert state_of(workload({"shipway.dev/percent": value})).percent == 0


@pytest.mark.parametrize(
    ("owner", "generation", "error"),
    [("run", 5, None), ("run", 4, Superseded), ("other", 4, Superseded), ("other", 5, Refused), ("run", 6, Refused)],
)
def test_only_the_newest_owner_acts(owner: str, generation: int, error: type[Exception] | None) -> None:
    """An older generation is told to stop, whoever it was; somebody else is refused with the holder's name."""
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
