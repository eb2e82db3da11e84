"""How an observation ends: never while a failure is to be rolled back, and never in silence if something is open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.lifecycle.observed import ENDS_AFTER, HELD_FOR, PUT_OFF_FOR, Observed
from tasks.rules.lifecycle.observed_looks import (
    MOST_REFUSED,
    MOST_SILENT,
    REQUESTS,
    TIME_OVER,
    after_refusal,
    put_off,
    with_failure_told,
)
from tests.rules.lifecycle.test_observed import MINUTE, OUTCOMES, F, N, P, begun, look

DAY = timedelta(days=1)


def acted(found: Any, *, held: Any = None) -> Observed:
    """Tell people of a failure that was confirmed, as a look does; its rollback is held up."""
    return with_failure_told(found).model_copy(update={"held": held})


@pytest.mark.parametrize("late", [0 * MINUTE, 3 * MINUTE, 11 * MINUTE, DAY])
@pytest.mark.parametrize("every_minutes", [15, 1440])
def test_a_failure_that_the_last_look_sees_first_is_rolled_back_if_it_is_confirmed(late: timedelta, every_minutes: int) -> None:
    """However late that look comes: its rollback may be held up, or its run be lost, so that time ends nothing then."""
    first = look(begun(on_failure="roll_back", every_minutes=every_minutes), begun().until + late, requests=F).observed
    assert (first.ended, first.due) == ("", begun().until + late + MINUTE)
    second = look(first, first.due, requests=F)
    assert (second.confirmed, second.observed.ended) == ((("production", REQUESTS),), "")
    assert second.observed.due == first.due + second.observed.pause


def test_where_people_are_only_told_the_last_look_ends_it_once_it_confirmed_the_failure() -> None:
    """They are told of it by the look itself."""
    first = look(begun(), begun().until, requests=F).observed
    second = look(first, first.due, requests=F)
    assert (bool(second.confirmed), second.observed.ended, second.observed.untold) == (True, TIME_OVER, "")


@pytest.mark.parametrize(
    ("then", "ended", "told"),
    [
        (P, True, ""),  # it is well again
        (F, False, ""),  # it is requested by this look
        (N, False, ""),
    ],
)
def test_a_rollback_that_is_held_up_after_the_time_is_looked_for_again_after_the_pause(then: str, *, ended: bool, told: str) -> None:
    """As the handbook says: a look that sees the failure afterwards requests it."""
    observed = begun(on_failure="roll_back")
    first = look(observed, observed.until, requests=F).observed
    found = look(first, first.due, requests=F)
    held = acted(found, held=first.due)
    assert (held.is_due(held.due), held.due) == (True, first.due + held.pause)
    assert (then_ := look(held, held.due, requests=then).observed).untold == told
    assert (bool(then_.ended), then_.held is None) == (ended, then == P)


@pytest.mark.parametrize(("after", "over"), [(ENDS_AFTER, False), (DAY, False), (HELD_FOR + 16 * MINUTE, True)])
def test_a_rollback_that_is_held_up_is_waited_for_without_a_verdict_for_a_day(after: timedelta, *, over: bool) -> None:
    """A release that holds production that long is told; and one that was held up while the clock was ahead ends in time."""
    observed = begun(on_failure="roll_back")
    first = look(observed, observed.until, requests=F).observed
    held = acted(look(first, first.due, requests=F), held=first.due)
    later = put_off(held, at=first.due + after, why="a release is under way in production", is_ours=True)
    assert (bool(later.ended), "it is not rolled back: requests of production" in later.untold) == (over, over)
    ahead = held.model_copy(update={"held": first.due + 10 * DAY})
    assert put_off(ahead, at=first.due + ENDS_AFTER, why="x").ended


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([P], ""),
        ([F, P], ""),
        ([N, P], ""),
        ([F, N, P], ""),
        ([F] + [N] * 10, "what failed when it was looked at last may go on, and no second look saw it: health of production"),
        ([N] * 11, "its health in production is not known"),
    ],
)
def test_what_the_last_looks_leave_open_is_told_at_the_end(looks: list[str], told: str) -> None:
    """They come each minute, for ten minutes."""
    observed = begun()
    at = observed.until
    for number, outcome in enumerate(looks):
        assert observed.ended == ""
        at = observed.until + number * MINUTE
        observed = look(observed, at, health=outcome).observed
    assert observed.ended == TIME_OVER
    assert told in observed.untold
    assert bool(observed.untold) is bool(told)


@given(
    st.lists(st.tuples(OUTCOMES, st.sampled_from(["look", "lost", "busy", "ours"]), st.integers(1, 200)), min_size=1, max_size=40),
    st.sampled_from(["tell", "roll_back"]),
    st.sampled_from([5, 60, 1440]),
)
def test_no_observation_ends_in_silence_with_a_failure_or_without_its_last_look(
    steps: list[tuple[str, str, int]], on_failure: str, every_minutes: int
) -> None:
    """Whatever is lost, put off or late."""
    observed = begun(on_failure=on_failure, every_minutes=every_minutes)
    told, at, last = list[str](), observed.due, ""
    for outcome, kind, late in steps:
        at = max(at, observed.due) + late * MINUTE
        if kind == "look":
            found = look(observed, at, health=outcome)
            observed, last = found.observed, outcome
            if found.confirmed:
                assert not (observed.ended and observed.rolls_back), "it is to be rolled back"
                observed = acted(found, held=(observed.held or at) if observed.rolls_back else None)
                told += ["failure"]
        else:
            observed, last = put_off(observed, at=at, why=kind, is_ours=kind == "ours"), kind
        if observed.untold:
            told, observed = [*told, observed.untold], observed.model_copy(update={"untold": ""})
        if observed.ended:
            break
    place = observed.places["production"]
    if observed.ended and (last != P or place.failing):
        assert told, (last, place)
    assert observed.ended or at - observed.until < 400 * DAY


@pytest.mark.parametrize(
    ("is_ours", "fails", "told"),
    [(False, False, True), (False, True, True), (True, False, False), (True, True, True)],
)
def test_looks_that_are_put_off_count_as_silent(*, is_ours: bool, fails: bool, told: bool) -> None:
    """Unless a release of ours looks there itself; but it does not look whether a failure goes on."""
    observed = look(begun(), begun().due, health=F if fails else P).observed
    for _ in range(MOST_SILENT):
        assert observed.untold == ""
        observed = put_off(observed, at=observed.due, why="a release is under way", is_ours=is_ours)
    assert (bool(observed.untold), observed.silent_told) == (told, told)
    assert not told or observed.untold.endswith("so that no failure of it would be seen; a release is under way")
    again = put_off(observed.model_copy(update={"untold": ""}), at=observed.due, why="x", is_ours=is_ours)
    assert again.untold == "", "once"
    well = look(again, again.due).observed
    assert (well.silent_told, well.places["production"].silent) == (False, 0)


@pytest.mark.parametrize(
    ("minutes", "pause", "due"),
    [(20, 15, 15), (20, 1440, 100), (110, 15, 10), (120, 1440, 5), (125, 15, 5), (125, 3, 3)],
)
def test_a_look_that_was_put_off_comes_again_before_the_time_is_over(minutes: int, pause: int, due: int) -> None:
    """Another number makes another run; the last look is due when the time is over, and each five minutes after it."""
    observed, at = begun(), begun().since + minutes * MINUTE
    later = put_off(observed, at=at, why="x", pause=pause * MINUTE)
    assert (later.number, later.due, later.ended, later.looks) == (2, at + due * MINUTE, "", 0)
    assert put_off(observed, at=begun().since + 20 * MINUTE, why="x").due == begun().since + 20 * MINUTE + PUT_OFF_FOR


def test_an_observation_whose_last_look_could_not_be_made_ends_and_that_is_told() -> None:
    """With why."""
    over = put_off(begun(), at=begun().until + ENDS_AFTER, why="the runs of its look were lost")
    assert over.ended == "its time is over, and the last look could not be made"
    assert over.untold.startswith(f"{over.ended}: the runs of its look were lost")


def test_a_rollback_that_was_refused_is_requested_again_a_few_times() -> None:
    """By a look that sees the failure a pause later; then people have to do it, and that is told."""
    observed = begun(on_failure="roll_back")
    at = observed.until
    for number in range(1, MOST_REFUSED):
        observed = after_refusal(observed.model_copy(update={"rollback": f"run-{number}"}), at=at)
        assert (observed.rollback, observed.ended, observed.asked) == ("", "", number)
        assert (observed.is_due(at), observed.is_due(at + observed.pause)) == (False, True)
        assert observed.held_enough(at + observed.pause)
    over = after_refusal(observed.model_copy(update={"rollback": "run-3"}), at=at)
    assert over.ended == "its rollback was refused 3 times, the last one is run-3"
    assert "is not rolled back" in over.untold
