"""The rules of the outbox: no message is lost, none is sent twice while a process lives, and a run's messages keep their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.outside_text import outside
from tasks.rules.notify.facts import Content
from tasks.rules.notify.outbox import HOLDS_FOR_TRIES, LONGEST_DELAY, TRIED_FOR, Delivery, Message, claim, deliveries_in_order, noted, up_to

AT = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
CONTENT = Content(("rolled_back",), outside("shop 1.1: rolled back"), outside("slow\nTo do: nothing", lines=True))
SECONDS = 30.0


def message(key: str, *, run: str = "", after: float = 0, receivers: tuple[str, ...] = ("slack-webhook/team",)) -> Message:
    """Write a message that was not sent yet."""
    return Message(key, AT + timedelta(seconds=after), run, CONTENT, dict.fromkeys(receivers, Delivery()))


def test_what_is_claimed_is_not_claimed_again_until_the_claim_is_over() -> None:
    """The keeper and the release's process do not both send it; after a process that died the keeper does."""
    claimed = claim(Delivery(), at=AT, seconds=SECONDS)
    assert claimed is not None
    assert claim(claimed, at=AT + timedelta(seconds=SECONDS - 1), seconds=SECONDS, insist=True) is None
    again = claim(claimed, at=AT + timedelta(seconds=SECONDS), seconds=SECONDS)
    assert again is not None
    assert again.tries == 2


def test_what_was_acknowledged_is_never_sent_again() -> None:
    """Whoever asks."""
    done = noted(Delivery(tries=1), at=AT)
    assert claim(done, at=AT + timedelta(days=2), seconds=SECONDS, insist=True) is None


@pytest.mark.parametrize(("tries", "delay"), [(1, 5), (2, 10), (3, 20), (8, 600), (10_000, 600)])
def test_a_failed_try_is_repeated_after_a_delay_that_doubles(tries: int, delay: int) -> None:
    """Up to ten minutes; who insists does not wait."""
    failed = noted(Delivery(tries=tries), at=AT, fault="refused")
    assert failed.fault == "refused"
    assert claim(failed, at=AT + timedelta(seconds=delay - 1), seconds=SECONDS) is None
    assert claim(failed, at=AT + timedelta(seconds=delay), seconds=SECONDS) is not None
    assert claim(failed, at=AT, seconds=SECONDS, insist=True) is not None


@given(jump=st.timedeltas(min_value=timedelta(minutes=11), max_value=timedelta(days=400)), fails=st.booleans())
def test_a_clock_that_was_set_back_holds_no_delivery(jump: timedelta, fails: bool) -> None:  # noqa: FBT001
    """A moment further ahead than any delay was written before the jump."""
    claimed = claim(Delivery(), at=AT, seconds=SECONDS)
    assert claimed is not None
    left = noted(claimed, at=AT, fault="refused") if fails else claimed
    assert claim(left, at=AT - jump, seconds=SECONDS) is not None


def test_messages_of_one_run_go_to_a_receiver_in_order() -> None:
    """The second waits for the first, until that is acknowledged or given up; other runs and receivers do not."""
    first, second, other = message("a", run="r1"), message("b", run="r1", after=1), message("c", run="r2", after=2)
    due = deliveries_in_order([second, other, first], at=AT + timedelta(minutes=1))
    assert [one.key for one in due["slack-webhook/team"]] == ["a", "c"]
    done = first.with_delivery("slack-webhook/team", noted(Delivery(tries=1), at=AT))
    assert [one.key for one in deliveries_in_order([done, second], at=AT)["slack-webhook/team"]] == ["b"]
    late = deliveries_in_order([first, second], at=AT + TRIED_FOR)
    assert [one.key for one in late["slack-webhook/team"]] == ["b"]
    assert deliveries_in_order([first, second], at=AT + TRIED_FOR + timedelta(seconds=1)) == {}


def test_a_message_is_delivered_with_what_its_run_said_before() -> None:
    """A rollback that failed does not wait until the delay of an earlier message is over; other runs are not touched."""
    first, other, loud, later = (
        message("a", run="r1"),
        message("b", run="r2"),
        message("c", run="r1", after=1),
        message("d", run="r1", after=2),
    )
    due = up_to(loud, [later, loud, other, first], at=AT)
    assert [one.key for one in due["slack-webhook/team"]] == ["a", "c"]
    done = first.with_delivery("slack-webhook/team", noted(Delivery(tries=1), at=AT))
    assert [one.key for one in up_to(loud, [done, loud], at=AT)["slack-webhook/team"]] == ["c"]
    assert [one.key for one in up_to(message("e"), [message("e"), message("f")], at=AT)["slack-webhook/team"]] == ["e"]


def test_what_is_about_no_run_waits_for_nothing() -> None:
    """As a notice that a window moved."""
    due = deliveries_in_order([message("a"), message("b", after=1)], at=AT)
    assert [one.key for one in due["slack-webhook/team"]] == ["a", "b"]


def test_one_receiver_that_is_down_holds_no_other() -> None:
    """Each has its own order."""
    both = message("a", run="r1", receivers=("x/down", "x/up")).with_delivery("x/up", noted(Delivery(tries=1), at=AT))
    due = deliveries_in_order([both, message("b", run="r1", after=1, receivers=("x/down", "x/up"))], at=AT)
    assert {name: [one.key for one in found] for name, found in due.items()} == {"x/down": ["a"], "x/up": ["b"]}


@given(
    tries=st.integers(0, 50),
    faults=st.text(max_size=20),
    times=st.lists(st.none() | st.datetimes(timezones=st.just(UTC)), min_size=3, max_size=3),
)
def test_a_message_is_read_as_it_was_written(tries: int, faults: str, times: list[datetime | None]) -> None:
    """The keeper goes on by what another process kept."""
    delivery = Delivery(tries, times[0], times[1], times[2], faults)
    kept = message("a", run="r1").with_delivery("slack-webhook/team", delivery)
    assert Message.from_json(kept.to_json()) == kept


def test_the_longest_delay_is_shorter_than_the_time_that_is_tried() -> None:
    """Else a receiver that comes back within the day would get nothing."""
    assert LONGEST_DELAY * 10 < TRIED_FOR


TEAM = "slack-webhook/team"
LOUD = Content(("rollback_failed",), outside("shop 1.1: ROLLBACK FAILED"), outside("slow", lines=True))


def failed(message: Message, tries: int) -> Message:
    """Let a receiver refuse a message so often."""
    return message.with_delivery(TEAM, noted(Delivery(tries=tries), at=message.at, fault="refused"))


def loud(key: str, *, run: str, after: float) -> Message:
    """Write a critical message."""
    return replace(message(key, run=run, after=after), content=LOUD)


def test_a_critical_message_waits_for_no_other_and_goes_before_what_failed() -> None:
    """For the keeper and for the run itself; what was not tried yet keeps its place before it."""
    first, last = message("a", run="r1"), loud("z", run="r1", after=9)
    assert [one.key for one in deliveries_in_order([first, last], at=AT)[TEAM]] == ["a", "z"]
    assert [one.key for one in deliveries_in_order([failed(first, 1), last], at=AT)[TEAM]] == ["z", "a"]
    assert [one.key for one in up_to(last, [failed(first, 1), last], at=AT)[TEAM]] == ["z", "a"]
    assert [one.key for one in up_to(last, [first, last], at=AT)[TEAM]] == ["a", "z"]


def test_the_run_with_the_most_urgent_message_goes_first() -> None:
    """Ten refused requests of others came before it."""
    others = [message(f"a{number}", run=f"r{number}", after=number) for number in range(10)]
    due = deliveries_in_order([*others, failed(message("b", run="x", after=20), 1), loud("z", run="x", after=21)], at=AT)[TEAM]
    assert [one.key for one in due] == ["z", "b", *(one.key for one in others)]


@pytest.mark.parametrize(("tries", "due"), [(HOLDS_FOR_TRIES - 1, ["a"]), (HOLDS_FOR_TRIES, ["a", "b"])])
def test_a_message_that_failed_often_holds_the_later_ones_of_its_run_no_more(tries: int, due: list[str]) -> None:
    """A receiver may refuse it for what it says; a third one still waits for the second."""
    messages = [failed(message("a", run="r1"), tries), message("b", run="r1", after=1), message("c", run="r1", after=2)]
    assert [one.key for one in deliveries_in_order(messages, at=AT)[TEAM]] == due
