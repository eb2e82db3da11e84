"""Receivers with bounds: who is told of what is so urgent, and at which hours of a week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.outside_text import outside
from tasks.rules.notify.facts import Content
from tasks.rules.notify.outbox import KEPT_FOR, TRIED_FOR, Delivery, Message, claim, noted
from tasks.rules.notify.receivers import deliveries_to, opens_at
from tasks.rules.plan.receivers import DAYS, Hours, Receiver, Severity, in_words

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia"]
WORK: dict[str, Any] = {"days": ("mon", "tue", "wed", "thu", "fri"), "begin": "08:00", "end": "18:00", "zone": "Europe/Berlin"}
TUESDAY_NIGHT = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
CONTENT = Content(("deployed",), outside("shop 1.1: deployed"), outside("it serves"))


def hours(**more: Any) -> Hours:
    """Write hours of a working week."""
    return Hours(**{**WORK, **more})


@pytest.mark.parametrize(
    ("at_least", "told"),
    [("info", 4), ("warning", 3), ("error", 2), ("critical", 1)],
)
def test_who_is_told_from_a_severity_on_is_told_of_it_and_of_what_is_worse(at_least: Severity, told: int) -> None:
    """And of nothing else; who is named alone is told of everything."""
    severities: list[Severity] = ["critical", "error", "warning", "info"]
    receivers = ["slack-webhook/all", Receiver(to="apprise/oncall", at_least=at_least)]
    found = [deliveries_to(receivers, one, at=TUESDAY_NIGHT) for one in severities]
    assert [("apprise/oncall" in one) for one in found] == [True] * told + [False] * (4 - told)
    assert all("slack-webhook/all" in one for one in found)


@pytest.mark.parametrize(
    ("at", "opens"),
    [
        ("2026-03-03T08:59+01:00", None),
        ("2026-03-03T08:00+01:00", None),
        ("2026-03-03T07:59+01:00", "2026-03-03T08:00+01:00"),
        ("2026-03-03T18:00+01:00", "2026-03-04T08:00+01:00"),
        ("2026-03-06T18:00+01:00", "2026-03-09T08:00+01:00"),  # over the weekend
        ("2026-03-27T18:00+01:00", "2026-03-30T08:00+02:00"),  # and the night without an hour
    ],
)
def test_at_other_hours_a_message_waits_until_they_begin_by_the_wall(at: str, opens: str | None) -> None:
    """Working hours in Berlin."""
    expected = None if opens is None else datetime.fromisoformat(opens)
    assert opens_at([hours()], at=datetime.fromisoformat(at)) == expected


@pytest.mark.parametrize(("at", "opens"), [("2026-03-04T03:00+01:00", None), ("2026-03-04T06:00+01:00", "2026-03-04T22:00+01:00")])
def test_hours_that_end_before_they_begin_end_on_the_day_after(at: str, opens: str | None) -> None:
    """As those of who is on call at night."""
    expected = None if opens is None else datetime.fromisoformat(opens)
    assert opens_at([hours(begin="22:00", end="06:00")], at=datetime.fromisoformat(at)) == expected


def test_what_is_critical_waits_for_no_hours() -> None:
    """A rollback that failed is told at three at night."""
    receivers = [Receiver(to="slack-webhook/team", hours=(hours(),))]
    assert deliveries_to(receivers, "critical", at=TUESDAY_NIGHT) == {"slack-webhook/team": Delivery()}
    (held,) = deliveries_to(receivers, "error", at=TUESDAY_NIGHT).values()
    assert held.opens == datetime(2026, 3, 3, 7, 0, tzinfo=UTC)


@given(
    at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - hypothesis adds the zone
    days=st.sets(st.sampled_from(DAYS), min_size=1),
    times=st.tuples(st.times(), st.times()),
    zone=st.sampled_from(ZONES),
)
def test_hours_of_every_week_begin_within_eight_days_and_are_open_when_they_do(at: datetime, days: Any, times: Any, zone: str) -> None:
    """Whatever the day, the zone, and whether a night has no such hour."""
    begin, end = (one.strftime("%H:%M") for one in times)
    one = hours(days=tuple(days), begin=begin, end=end, zone=zone)
    moment = at.replace(tzinfo=UTC)
    opens = opens_at([one], at=moment)
    assert opens is None or moment < opens <= moment + timedelta(days=8)
    assert opens is None or opens_at([one], at=opens) is None or opens_at([one], at=opens) != opens


def test_a_message_that_waits_for_hours_is_tried_for_a_day_from_then_on() -> None:
    """Over a weekend it is neither sent, given up nor removed; also who insists waits."""
    at, opens = TUESDAY_NIGHT, TUESDAY_NIGHT + timedelta(days=3)
    held = Message("key", at, "run", CONTENT, {"slack-webhook/team": Delivery(opens=opens)})
    assert Message.from_json(held.to_json()) == held
    delivery = held.deliveries["slack-webhook/team"]
    assert claim(delivery, at=opens - timedelta(seconds=1), seconds=30, insist=True) is None
    claimed = claim(delivery, at=opens, seconds=30)
    assert claimed is not None
    failed = held.with_delivery("slack-webhook/team", noted(claimed, at=opens, fault="refused"))
    for message in (held, failed):
        assert message.is_open("slack-webhook/team", at=opens + TRIED_FOR - timedelta(seconds=1))
        assert message.is_given_up("slack-webhook/team", at=opens + TRIED_FOR)
        assert not message.can_be_removed(at=at + KEPT_FOR)
        assert message.can_be_removed(at=opens + KEPT_FOR)


def test_a_clock_that_was_set_back_holds_no_message_for_longer_than_a_week() -> None:
    """Hours further ahead than a week were written by a clock that was wrong."""
    delivery = Delivery(opens=TUESDAY_NIGHT + timedelta(days=9))
    assert claim(delivery, at=TUESDAY_NIGHT, seconds=30) is not None


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        ("slack-webhook/team", "slack-webhook/team"),
        (Receiver(to="slack-webhook/team"), "slack-webhook/team"),
        (Receiver(to="apprise/oncall", at_least="critical"), "apprise/oncall (critical)"),
        (
            Receiver(to="apprise/mail", at_least="error", hours=(hours(days=("sat", "sun")), hours(days=DAYS, end="06:00", begin="22:00"))),
            "apprise/mail (error and worse, sat sun 08:00 to 18:00 Europe/Berlin, daily 22:00 to 06:00 Europe/Berlin)",
        ),
    ],
)
def test_a_receiver_is_said_with_its_bounds(receiver: str | Receiver, words: str) -> None:
    """In the summary of the plan."""
    assert in_words(receiver) == words
