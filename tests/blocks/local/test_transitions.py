"""What orders make of a local environment's state."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import Refused, ShipwayError, Superseded, WorldMoved
from blocks.local.agent import transitions
from blocks.local.state.file import Specification, State, new_state
from blocks.platform import Lease

SPECIFICATION = Specification(
    command=["serve"], working_directory="", environment={}, ready_path="/", drain_seconds=1, stop_seconds=1, answer_timeout_seconds=1
)
MARK = Lease(owner="run-1", generation=1)


def claimed() -> State:
    """An empty environment that run-1 owns."""
    return transitions.acquire_lease(new_state("tiny", port=1), "run-1", takeover=False)


def deployed() -> State:
    """The same with 1.0 as the baseline."""
    return transitions.promote(transitions.prepare(claimed(), MARK, "1.0", specification=SPECIFICATION), MARK)


def with_canary() -> State:
    """The same with 1.1 as the canary at 25 %."""
    return transitions.shift(transitions.prepare(deployed(), MARK, "1.1", specification=SPECIFICATION), MARK, 25)


def versions(state: State) -> tuple[str | None, str | None, int]:
    """Baseline, canary and share."""
    names = [None if key is None else state["revisions"][key]["version"] for key in (state["baseline"], state["canary"])]
    return names[0], names[1], state["percent"]


def test_an_order_under_an_older_generation_is_superseded() -> None:
    """Of two copies of one run only the newer can act."""
    state = transitions.acquire_lease(with_canary(), "run-1", takeover=False)
    for order in (transitions.promote, transitions.abort):
        with pytest.raises(Superseded):
            order(state, MARK)
    with pytest.raises(Superseded):
        transitions.shift(state, MARK, 50)
    with pytest.raises(Superseded):
        transitions.prepare(state, MARK, "1.2", specification=SPECIFICATION)


def test_another_owner_is_refused_with_the_holders_name() -> None:
    """Who finds the environment taken learns by whom."""
    with pytest.raises(Refused, match="run-1"):
        transitions.acquire_lease(claimed(), "run-2", takeover=False)


def test_a_takeover_fences_the_previous_owner_out() -> None:
    """A rollback takes the environment, and what it takes it from can do nothing any more."""
    state = transitions.acquire_lease(claimed(), "rollback", takeover=True)
    with pytest.raises(Superseded):
        transitions.abort(state, MARK)


def test_an_owner_that_gave_up_must_claim_again() -> None:
    """No one acts on an environment without owning it."""
    with pytest.raises(Refused, match="Acquire"):
        transitions.abort(transitions.release_lease(claimed(), MARK), MARK)


def test_giving_up_an_environment_of_another_changes_nothing() -> None:
    """A late goodbye of a fenced-out run does not free its successor's claim."""
    state = transitions.acquire_lease(claimed(), "run-2", takeover=True)
    assert transitions.release_lease(state, MARK) == state


def test_preparing_the_baselines_version_leaves_no_canary() -> None:
    """What serves already need not be brought in."""
    assert versions(transitions.prepare(with_canary(), MARK, "1.0", specification=SPECIFICATION)) == ("1.0", None, 0)


def test_preparing_another_version_replaces_the_canary_at_no_share() -> None:
    """The newcomer gets no traffic from its predecessor's share."""
    assert versions(transitions.prepare(with_canary(), MARK, "1.2", specification=SPECIFICATION)) == ("1.0", "1.2", 0)


def test_preparing_the_same_version_with_another_command_starts_it_anew() -> None:
    """A canary runs what the newest order says."""
    before = with_canary()
    other: Specification = {**SPECIFICATION, "command": ["other"]}
    assert transitions.prepare(before, MARK, "1.1", specification=other)["canary"] != before["canary"]


def test_a_share_for_no_canary_means_that_the_world_moved() -> None:
    """Traffic is never promised to something that is not there."""
    with pytest.raises(WorldMoved):
        transitions.shift(deployed(), MARK, 5)


def test_promotion_remembers_the_version_before() -> None:
    """A rollback after promotion knows where to go."""
    state = transitions.promote(with_canary(), MARK)
    assert (versions(state), state["previous"]) == (("1.1", None, 0), "1.0")


ORDERS = st.one_of(
    st.tuples(st.just("prepare"), st.sampled_from(["1.0", "1.1", "1.2"])),
    st.tuples(st.just("prepare as the baseline"), st.sampled_from(["1.0", "1.1", "1.2"])),
    st.tuples(st.just("shift"), st.integers(0, 100)),
    st.tuples(st.sampled_from(["promote", "abort"]), st.none()),
)


def obey(state: State, kind: str, what: object) -> State:
    """Apply one order; one that is refused leaves the state."""
    try:
        match kind, what:
            case "prepare", str(version):
                return transitions.prepare(state, MARK, version, specification=SPECIFICATION)
            case "prepare as the baseline", str(version):
                return transitions.prepare(state, MARK, version, specification=None)
            case "shift", int(percent):
                return transitions.shift(state, MARK, percent)
            case "promote", _:
                return transitions.promote(state, MARK)
            case _:
                return transitions.abort(state, MARK)
    except ShipwayError:
        return state


@given(orders=st.lists(ORDERS, max_size=12))
def test_any_course_of_orders_keeps_the_state_whole_and_repeats_harmlessly(orders: list[tuple[str, object]]) -> None:
    """Pointers lead to revisions, no share goes without a canary, no order changes its input, and giving one twice is giving it once."""
    state = claimed()
    for kind, what in orders:
        before = copy.deepcopy(state)
        after = obey(state, kind, what)
        assert state == before
        assert obey(after, kind, what) == after
        assert {after["baseline"], after["canary"]} - {None} <= after["revisions"].keys()
        assert after["canary"] is not None or after["percent"] == 0
        state = after
