"""What a forge is still to be told: in which order, until when, and what a later state may change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from blocks.forge.deployments import Seen
from tasks.rules.notify.deployments import STATES, Noted, State, in_line, in_words, state_of, undelivered
from tasks.rules.notify.outbox import HOLDS_FOR_TRIES, LONGEST_DELAY

AT = datetime(2026, 12, 1, 12, tzinfo=UTC)


def noted(state: State = "success", *, minutes: float = 0, environment: str = "production", forge: str = "forge/shop") -> Noted:
    """Return a note that was made so many minutes ago."""
    at = AT - timedelta(minutes=minutes)
    return Noted(forge, {"environment": environment, "service": "shop", "version": "1.1"}, state, begun=at, changed=at)


@pytest.mark.parametrize("one", [noted(), replace(noted("in_progress"), number=7, after=0), noted().after_try(at=AT, fault="no")])
def test_a_note_is_read_back_as_it_was_written(one: Noted) -> None:
    """Whatever is known of it."""
    assert Noted.from_json(one.to_json()) == one


def test_releases_of_an_environment_are_told_in_their_order_and_others_beside_them() -> None:
    """What was made last is shown as current."""
    notes = {
        "b": noted(minutes=1), "a": noted(minutes=2), "c": noted(environment="other"), "d": noted(forge="forge/else", minutes=3),
    }  # fmt: skip
    assert in_line(notes, at=AT) == {"forge/shop": ["a", "c"], "forge/else": ["d"]}
    notes["a"] = notes["a"].after_try(at=AT)
    assert in_line(notes, at=AT) == {"forge/shop": ["b", "c"], "forge/else": ["d"]}


def test_one_that_is_refused_holds_others_five_times_and_a_silent_forge_for_as_long_as_it_is_silent() -> None:
    """A refusal may be of one commit; silence is of all."""
    tried = noted(minutes=5)
    tried = replace(tried, delivery=replace(tried.delivery, tries=HOLDS_FOR_TRIES))
    later = noted()
    refused = tried.after_try(at=AT, fault="it answered 422")
    assert in_line({"a": refused, "b": later}, at=AT) == {"forge/shop": ["a", "b"]}
    assert in_line({"a": replace(refused, delivery=replace(refused.delivery, tries=1)), "b": later}, at=AT) == {"forge/shop": ["a"]}
    silent = tried.after_try(at=AT, fault="it does not answer", silent_seconds=1)
    assert in_line({"a": silent, "b": later}, at=AT) == {"forge/shop": ["a"]}


def test_a_forge_is_left_alone_for_as_long_as_it_asks_up_to_the_longest_delay() -> None:
    """More would count as written before the clock jumped."""
    tried = replace(noted(), delivery=replace(noted().delivery, tries=1))
    assert tried.after_try(at=AT, fault="busy", silent_seconds=60).delivery.after == AT + timedelta(seconds=60)
    assert tried.after_try(at=AT, fault="busy", silent_seconds=3_600).delivery.after == AT + LONGEST_DELAY
    assert tried.after_try(at=AT, fault="no").delivery.after == AT + timedelta(seconds=5)


def test_what_has_ended_stays_as_it_ended() -> None:
    """And a new state is told at once, however often the last one failed."""
    begun = noted("in_progress").after_try(at=AT, fault="no")
    ended = begun.becomes("failure", at=AT)
    assert (ended.state, ended.delivery.tries, ended.delivery.after) == ("failure", 0, None)
    for state in STATES:
        assert ended.becomes(state, at=AT) == ended


def test_what_is_not_taken_for_a_day_is_given_up_and_kept_a_day_longer() -> None:
    """For the doctor."""
    one = noted(minutes=60 * 25).after_try(at=AT, fault="it answered 422")
    one = replace(one, delivery=replace(one.delivery, tries=9))
    assert one.is_given_up(at=AT)
    assert in_line({"a": one}, at=AT) == {}
    assert not one.can_be_removed(at=AT)
    assert one.can_be_removed(at=AT + timedelta(days=1))
    assert undelivered([one, noted()]) == [one]
    assert in_words(one) == "forge/shop: deployment of shop 1.1 as success (it answered 422)"


def test_a_release_that_goes_on_is_kept_however_long_people_take() -> None:
    """But not for ever: its run may have been removed."""
    one = noted("in_progress", minutes=60 * 24 * 30)
    assert not one.can_be_removed(at=AT)
    assert one.can_be_removed(at=AT + timedelta(days=31))


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("deployed", "success"),
        ("cancelled", "error"),
        *((one, "failure") for one in ("failed", "rolled_back", "partly_deployed", "refused")),
    ],
)
def test_only_a_version_that_serves_everywhere_is_a_success(outcome: str, state: str) -> None:
    """Whatever else became of it."""
    assert state_of(outcome) == state


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_told_unless_the_forge_has_it_or_a_later_one(state: State) -> None:
    """A success that a later one replaced is not told again, and nothing is in progress once more."""
    assert Seen(1, state).has_reached(state)
    assert not Seen(1, "").has_reached(state)
    assert Seen(1, state).has_reached("in_progress")
    assert Seen(1, "", is_past=True).has_reached(state) == (state in {"success", "in_progress"})
    assert not Seen(1, "in_progress").has_reached("success")
