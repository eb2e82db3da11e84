"""Outbox: a message and its delivery to each receiver, and when which delivery is tried next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Self, get_args

from blocks.outside_text import OutsideText, outside
from tasks.rules.notify.facts import SEVERITIES, Content, Fact, in_order
from tasks.rules.plan.receivers import Severity

FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=5), timedelta(minutes=10)
URGENCY = get_args(Severity)
TRIED_FOR = timedelta(days=1)
HOLDS_FOR_TRIES = 5
LONGEST_HOURS = timedelta(days=8)  # until hours of a week begin again
KEPT_FOR = timedelta(days=2)  # from its time: who asks for the same message again meanwhile sends nothing


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of a message to one receiver.

    Fields:
        tries: How often it was tried.
        after: Not to be tried before; None if it was not tried yet.
        claimed_until: Until when another process may be sending it.
        delivered: When the receiver acknowledged it; None if it did not.
        fault: Why the last try failed; "" if none did.
        opens: When the receiver's hours begin, before which it is not tried; None if it is told at once.
    """

    tries: int = 0
    after: datetime | None = None
    claimed_until: datetime | None = None
    delivered: datetime | None = None
    fault: str = ""
    opens: datetime | None = None

    def waits_for_hours(self, *, at: datetime) -> bool:
        """Say if the receiver's hours have not begun yet; ones that are further ahead than can be were written before the clock jumped."""
        return self.delivered is None and lasts(self.opens, at=at, most=LONGEST_HOURS)

    def to_json(self) -> dict[str, Any]:
        """Write it as JSON."""
        times = {"opens": self.opens, "after": self.after, "claimed_until": self.claimed_until, "delivered": self.delivered}
        return {"tries": self.tries, "fault": self.fault} | {name: at.isoformat() for name, at in times.items() if at is not None}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read it back."""
        times = {name: datetime.fromisoformat(value[name]) for name in ("opens", "after", "claimed_until", "delivered") if name in value}
        return cls(tries=int(value["tries"]), fault=str(value["fault"]), **times)


@dataclass(frozen=True, slots=True)
class Message:
    """A message in the outbox.

    Fields:
        key: What it is about; the same message is asked for with the same key.
        at: When it was written.
        run: The flow run that it is about, within which messages are delivered in their order; "" if none.
        content: What it tells.
        deliveries: By receiver, a notification block as `slack-webhook/team`.
    """

    key: str
    at: datetime
    run: str
    content: Content
    deliveries: dict[str, Delivery] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Write it as JSON."""
        content = {"facts": list(self.content.facts), "subject": self.content.subject, "body": self.content.body}
        deliveries = {name: one.to_json() for name, one in self.deliveries.items()}
        return {"key": self.key, "at": self.at.isoformat(), "run": self.run, **content, "deliveries": deliveries}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Read it back.

        Raises:
            KeyError, TypeError, ValueError: It is not one.
        """
        facts: list[Fact] = [fact for fact in SEVERITIES if fact in value["facts"]]
        content = Content(in_order(facts or ["announced"]), outside(value["subject"], limit=200), _body(value["body"]))
        deliveries = {str(name): Delivery.from_json(one) for name, one in value["deliveries"].items()}
        return cls(str(value["key"]), datetime.fromisoformat(value["at"]), str(value["run"]), content, deliveries)

    def with_delivery(self, receiver: str, delivery: Delivery) -> Self:
        """Change one delivery."""
        return replace(self, deliveries={**self.deliveries, receiver: delivery})

    def is_given_up(self, receiver: str, *, at: datetime) -> bool:
        """Say if a delivery failed for so long that it is not tried any more."""
        delivery = self.deliveries[receiver]
        return delivery.delivered is None and at - self._since(delivery) >= TRIED_FOR

    def is_open(self, receiver: str, *, at: datetime) -> bool:
        """Say if a delivery is still to be made."""
        return self.deliveries[receiver].delivered is None and not self.is_given_up(receiver, at=at)

    @property
    def is_critical(self) -> bool:
        """Whether it waits for no other."""
        return self.content.severity == "critical"

    def holds(self, receiver: str) -> bool:
        """Say if later messages of its run wait for it."""
        return self.deliveries[receiver].tries < HOLDS_FOR_TRIES

    def can_wait(self, receiver: str) -> bool:
        """Say if it goes after a critical message of its run: it failed before, so it may fail or hang again."""
        return not self.is_critical and self.deliveries[receiver].tries > 0

    def can_be_removed(self, *, at: datetime) -> bool:
        """Say if nothing more comes of it."""
        return all(at - self._since(one) >= KEPT_FOR for one in self.deliveries.values())

    def _since(self, delivery: Delivery) -> datetime:
        """Give from when on a delivery could be made."""
        return max(self.at, delivery.opens or self.at)


def claim(delivery: Delivery, *, at: datetime, seconds: float, insist: bool = False) -> Delivery | None:
    """Claim a delivery for one try, so that no other process sends it meanwhile; None if it is not due.

    A process that dies between sending and noting it leaves the claim: when that is over, the message is sent again. A receiver may so get
    it twice, and never not at all.

    Args:
        delivery: As it is kept.
        at: Now.
        seconds: How long a try may take.
        insist: Try before the delay after a failed try is over.
    """
    if delivery.delivered is not None or delivery.waits_for_hours(at=at):
        return None
    if lasts(delivery.claimed_until, at=at, most=timedelta(seconds=seconds)):
        return None
    if not insist and lasts(delivery.after, at=at, most=LONGEST_DELAY):
        return None
    return replace(delivery, tries=delivery.tries + 1, claimed_until=at + timedelta(seconds=seconds))


def noted(delivery: Delivery, *, at: datetime, fault: str = "") -> Delivery:
    """Note how a try ended: acknowledged, or to be tried again after a delay that doubles, of 10 minutes at most."""
    if not fault:
        return replace(delivery, claimed_until=None, after=None, delivered=at, fault="")
    delay = min(FIRST_DELAY * 2 ** min(delivery.tries - 1, 10), LONGEST_DELAY)
    return replace(delivery, claimed_until=None, after=at + delay, fault=fault)


def deliveries_in_order(messages: Iterable[Message], *, at: datetime) -> dict[str, list[Message]]:
    """List by receiver what is still to be delivered: the most urgent runs first, then in order of time.

    Of one run only the first message is, until it is delivered, given up or failed `HOLDS_FOR_TRIES` times; it is as urgent as the most
    urgent one that waits behind it. A critical message waits for none: a receiver may refuse the earlier one for what it says.

    Args:
        messages: The outbox.
        at: Now.
    """
    found: dict[str, list[Message]] = {}
    urgency: dict[tuple[str, str], int] = {}
    is_held: dict[tuple[str, str], bool] = {}
    for message in sorted(messages, key=lambda one: (one.at, one.key)):
        for receiver in message.deliveries:
            if not message.is_open(receiver, at=at):
                continue
            line = (receiver, message.run or message.key)
            if not is_held.get(line, False) or message.is_critical:
                found.setdefault(receiver, []).append(message)
            is_held[line] = is_held.get(line, False) or message.holds(receiver)
            urgency[line] = min(urgency.get(line, len(URGENCY)), URGENCY.index(message.content.severity))
    return {
        name: sorted(some, key=lambda one: (of := urgency[name, one.run or one.key], of == 0 and one.can_wait(name)))
        for name, some in found.items()
    }


def up_to(message: Message, messages: Iterable[Message], *, at: datetime) -> dict[str, list[Message]]:
    """List by receiver what is to be delivered up to a message: first the earlier ones of its run that were not acknowledged.

    A critical message goes before those that failed already.

    Args:
        message: The message.
        messages: The outbox.
        at: Now.
    """
    own = [one for one in messages if one.key == message.key or (message.run and one.run == message.run)]
    earlier = sorted((one for one in own if (one.at, one.key) <= (message.at, message.key)), key=lambda one: (one.at, one.key))
    found = {name: [one for one in earlier if name in one.deliveries and one.is_open(name, at=at)] for name in message.deliveries}
    return {name: sorted(some, key=lambda one: message.is_critical and one.can_wait(name)) for name, some in found.items() if some}


def lasts(until: datetime | None, *, at: datetime, most: timedelta) -> bool:
    """Say if a moment is ahead; one that is further ahead than can be was written before the clock jumped, and holds nothing."""
    return until is not None and at < until <= at + most


def _body(text: Any) -> OutsideText:
    return outside(text, limit=4_000, lines=True)
