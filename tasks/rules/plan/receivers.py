"""Plan section for who is told: notification blocks, from which severity on, and during which hours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from tasks.rules.plan.types import CLOCK, BlockName, Section, fault, refuse_doubles
from tasks.rules.plan.windows import Zone

Severity = Literal["critical", "error", "warning", "info"]
"""From the most urgent on."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Clock = Annotated[str, Field(pattern=CLOCK)]


class Hours(Section):
    """Hours of a week in which a receiver is told."""

    days: Annotated[tuple[Day, ...], Field(min_length=1, max_length=7)] = DAYS
    """The days on which they begin; left out, every day."""
    begin: Clock
    """When they begin, by the wall, as `"08:00"` in quotes."""
    end: Clock
    """When they end; at or before `begin`, on the day after."""
    zone: Zone
    """The time zone, an IANA name as `Europe/Berlin`."""

    @field_validator("days")
    @classmethod
    def _once_each(cls, days: tuple[Day, ...]) -> tuple[Day, ...]:
        refuse_doubles(days)
        return days


class Receiver(Section):
    """A receiver that is not told of everything, or not at all hours."""

    to: BlockName
    """A Prefect notification block."""
    at_least: Severity = "info"
    """The least severity of which it is told: `info` (default) is everything, then `warning`, `error`, `critical`."""
    hours: Annotated[tuple[Hours, ...], Field(max_length=10)] = ()
    """When it is told; what happens at other hours is kept until they begin, but for what is critical. Left out, at once."""


def _kind_of_receiver(value: Any) -> str:
    return "name" if isinstance(value, str) else "receiver"


Notified = Annotated[Annotated[BlockName, Tag("name")] | Annotated[Receiver, Tag("receiver")], Discriminator(_kind_of_receiver)]


def block_of(receiver: str | Receiver) -> str:
    """Name the notification block of a receiver."""
    return receiver if isinstance(receiver, str) else receiver.to


def all_have_hours(receivers: Sequence[str | Receiver]) -> bool:
    """Say if no receiver is told at all hours."""
    return all(isinstance(one, Receiver) and one.hours for one in receivers)


def in_words(receiver: str | Receiver) -> str:
    """Say who is told of what: `slack-webhook/team (error and worse, mon tue 08:00 to 18:00 Europe/Berlin)`."""
    if isinstance(receiver, str):
        return receiver
    hours = (f"{'daily' if one.days == DAYS else ' '.join(one.days)} {one.begin} to {one.end} {one.zone}" for one in receiver.hours)
    least = [] if receiver.at_least == "info" else [receiver.at_least + (" and worse" if receiver.at_least != "critical" else "")]
    bounds = ", ".join([*least, *hours])
    return f"{receiver.to} ({bounds})" if bounds else receiver.to


def expect_receivers(receivers: Sequence[str | Receiver], *, announces: bool) -> None:
    """Refuse a receiver that is listed twice, and an announcement of which no receiver is told.

    Args:
        receivers: The plan's.
        announces: Whether the checklist asks that the team was told.
    """
    refuse_doubles([block_of(one) for one in receivers])
    if announces and receivers and all(isinstance(one, Receiver) and one.at_least != "info" for one in receivers):
        fix = "Let one receiver have everything (`at_least: info`), or write `team_told: false` in `checklist`."
        raise fault("no receiver is told of the announcement of a release, which the checklist's `team_told` needs", fix=fix)
