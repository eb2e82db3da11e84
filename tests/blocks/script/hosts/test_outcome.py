"""What partial success means, as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import BadInput, RolloutFailed, ScriptFailed, ShipwayError, Superseded, Temporary, Unreachable
from blocks.script.hosts.outcome import error_of, in_words, may_go_on

TEN = tuple(f"web-{number}" for number in range(1, 11))
FAILED = ScriptFailed("it exited with 1", evidence=("boom",), act="deploy 1.1 on web-2", step="deploy-on-web-2", runs=2, lines=("boom",))
LOST = Unreachable("web-3 does not answer", delay_seconds=4)
LATE = Superseded("a newer owner")
WRONG = BadInput("the key has changed", field="known_hosts", fix="Find out why")
Outcomes = dict[str, ShipwayError | None]


def test_partial_success_on_3_of_10_is_said_host_by_host() -> None:
    """Who reads it knows where what runs."""
    outcomes: Outcomes = {"web-1": None, "web-2": None, "web-3": None, "web-4": FAILED}
    found = in_words(outcomes, TEN, what="deploy 1.1")
    assert found == (
        "deploy 1.1: done on 3 of 10 hosts (web-1, web-2, web-3); failed on web-4: it exited with 1; "
        "not begun on web-5, web-6, web-7, web-8, web-9, web-10"
    )


@pytest.mark.parametrize(
    ("outcomes", "is_forward", "wanted"),
    [
        ({"web-1": None, "web-2": None, "web-3": None}, True, type(None)),
        ({"web-1": None, "web-2": FAILED}, True, ScriptFailed),
        ({"web-1": LOST, "web-2": FAILED}, True, ScriptFailed),
        ({"web-1": None, "web-2": LOST}, True, Unreachable),
        ({"web-1": None, "web-2": Temporary("again")}, True, Temporary),
        ({"web-1": WRONG, "web-2": LOST}, True, BadInput),
        ({"web-1": None, "web-2": WRONG}, True, RolloutFailed),  # one host has moved
        ({"web-1": FAILED, "web-2": LATE}, True, Superseded),
        ({"web-1": None, "web-2": FAILED, "web-3": LOST}, False, RolloutFailed),
        ({"web-1": None, "web-2": None, "web-3": LOST}, False, Unreachable),
        ({"web-1": None, "web-2": WRONG, "web-3": None}, False, RolloutFailed),
        ({"web-1": LATE, "web-2": WRONG, "web-3": None}, False, Superseded),
        ({"web-1": None, "web-2": None}, True, Temporary),  # one was never asked: that is not a success
    ],
)
def test_an_effect_ends_with_what_its_hosts_say_together(outcomes: Outcomes, is_forward: bool, wanted: type) -> None:  # noqa: FBT001
    """Done is done on all of them."""
    assert type(error_of(outcomes, TEN[:3], what="deploy 1.1", is_forward=is_forward)) is wanted


def test_people_are_asked_about_the_script_of_the_host_that_failed() -> None:
    """With its runs and its last lines; the message says where the others stand."""
    found = error_of({"web-1": None, "web-2": FAILED}, TEN[:3], what="deploy 1.1", is_forward=True)
    assert isinstance(found, ScriptFailed)
    assert (found.act, found.step, found.runs, found.lines) == ("deploy 1.1 on web-2", "deploy-on-web-2", 2, ("boom",))
    assert "done on 1 of 3 hosts (web-1)" in str(found)


@pytest.mark.parametrize(
    ("hosts", "is_forward", "offered"),
    [
        (("web-1", "web-2", "web-3"), True, "web-2"),
        (("web-2", "web-3"), True, "web-2"),  # the other one has yet to get it
        (("web-2",), True, ""),  # nothing would be left to judge
        (("web-1", "web-2"), False, None),  # a rollback restores all
    ],
)
def test_a_host_may_be_left_out_if_another_one_of_the_step_is_there(
    hosts: tuple[str, ...],
    is_forward: bool,  # noqa: FBT001 - of a table
    offered: str | None,
) -> None:
    """With how many hosts there are, to say of how many it is one."""
    outcomes: Outcomes = {host: FAILED if host == "web-2" else None for host in hosts if host != "web-3"}
    found = error_of(outcomes, hosts, what="deploy 1.1", is_forward=is_forward, of=10)
    assert (found.host if isinstance(found, ScriptFailed) else None) == offered
    assert not isinstance(found, ScriptFailed) or found.hosts == 10


@pytest.mark.parametrize(
    ("outcomes", "is_forward", "goes_on"),
    [
        ({"web-1": None}, True, True),
        ({"web-1": LOST}, True, False),
        ({"web-1": None, "web-2": FAILED}, True, False),
        ({"web-1": FAILED}, False, True),
        ({"web-1": LOST}, False, True),
        ({"web-1": LATE}, False, False),
    ],
)
def test_forward_stops_at_the_first_failure_and_a_rollback_goes_on(outcomes: Outcomes, is_forward: bool, goes_on: bool) -> None:  # noqa: FBT001
    """All that can be restored is, unless a newer owner does that."""
    assert may_go_on(outcomes, is_forward=is_forward) is goes_on


@given(st.dictionaries(st.sampled_from(TEN), st.sampled_from([None, FAILED, LOST, LATE, WRONG]), max_size=10), st.booleans())
def test_it_is_a_success_only_if_each_host_did_it(outcomes: Outcomes, is_forward: bool) -> None:  # noqa: FBT001 - a property
    """Whatever else happened, there is an error."""
    found = error_of(outcomes, TEN, what="deploy 1.1", is_forward=is_forward)
    assert (found is None) == (len(outcomes) == 10 and set(outcomes.values()) == {None})
