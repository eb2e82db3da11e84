"""Plan sections for windows: when production may change, in a plan and in a policy."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from tasks.rules.plan.promql import fill, places_in, quoting_fault
from tasks.rules.plan.types import WALL_TIME, Person, Section, fault, refuse_doubles, refusing
from tasks.rules.windows import address, cron, rrule, window, zones
from tasks.rules.windows.holidays import COUNTRY, FIX, Holidays, holidays_fault

KNOWN_PLACES = frozenset({"service", "environment", "target"})
WallTime = Annotated[str, Field(pattern=WALL_TIME)]
GroupName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Line = Annotated[str, Field(min_length=1, max_length=200), refusing(cron.cron_fault, fix=cron.FIX)]
Reason = Annotated[str, Field(min_length=1, max_length=300)]
Owner = Annotated[str, Field(min_length=1, max_length=100)]
Address = Annotated[str, Field(min_length=1, max_length=2_000), refusing(address.address_fault, fix=address.FIX)]
Zone = Annotated[str, Field(min_length=1, max_length=100), refusing(zones.zone_fault, fix=zones.FIX)]


class _Window(Section):
    """What windows of every kind have."""

    zone: Zone
    """The time zone of all its times, an IANA name as `Europe/Berlin`."""


class CalendarWindow(_Window):
    """A window that is open during the events of a calendar: an iCalendar file, which the worker reads again and again."""

    ics: Address
    """Where it is: an address with https, a file on the worker's machine, or `credential/NAME`, a block that holds the address."""
    reason: Reason = "by the calendar"
    """Why it is there; whoever waits reads it, with the event's own summary."""
    owner: Owner = "whoever keeps the calendar"
    """Whom to ask about it: a person or a team."""

    def on(self, kind: window.Kind, *, origin: str) -> window.Window:
        """Give the window as the rules of windows take it, without what the calendar says."""
        return window.Window(kind, self.zone, self.reason, self.owner, origin, ics=self.ics)


class HolidayWindow(_Window):
    """A window that is open on public holidays, from midnight to midnight by the wall."""

    holidays: Annotated[str, Field(pattern=COUNTRY)]
    """Whose holidays: the country's code, as `DE`."""
    subdivision: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """The code of one of its parts, whose holidays count as well, as `BE`; left out, only those of the whole country."""
    days_before: Annotated[int, Field(ge=0, le=7)] = 0
    """How many days before each holiday count as well."""
    reason: Reason = "public holiday"
    """Why it is there; whoever waits reads it, with the holiday's name."""
    owner: Owner = "whoever wrote the windows"
    """Whom to ask about it: a person or a team."""

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if wrong := holidays_fault(self.holidays, self.subdivision or ""):
            raise fault(wrong, fix=FIX)
        return self

    def on(self, kind: window.Kind, *, origin: str) -> window.Window:
        """Give the window as the rules of windows take it."""
        whose = Holidays(self.holidays, self.subdivision or "", self.days_before)
        return window.Window(kind, self.zone, self.reason, self.owner, origin, holidays=whose)


class _WrittenWindow(_Window):
    """What windows have whose times are written, and not read elsewhere."""

    duration_minutes: Annotated[int, Field(ge=1, le=527_040)] | None = None
    """How long it is open each time, exactly."""
    duration_days: Annotated[int, Field(ge=1, le=366)] | None = None
    """Or how long in days: it closes so many days later at the same time of the wall."""
    reason: Reason
    """Why it is there; whoever waits reads it."""
    owner: Owner
    """Whom to ask about it: a person or a team."""

    @field_validator("begins", "until", check_fields=False)
    @classmethod
    def _is_a_date(cls, text: str | None) -> str | None:
        try:
            _wall(text)
        except ValueError as error:
            raise fault(f"`{text}` is not a date: {error}", fix="Write a date that exists, as `2026-12-20T18:00`.") from None
        return text

    def durations(self) -> int:
        """Count the durations that are given."""
        return (self.duration_minutes is not None) + (self.duration_days is not None)

    def lasts(self) -> timedelta:
        """Give how long it is open each time; by the wall if that is in days."""
        return timedelta(minutes=self.duration_minutes or 0, days=self.duration_days or 0)


class RuleWindow(_WrittenWindow):
    """A window that recurs by a rule of RFC 5545, as calendars write it."""

    rrule: Annotated[str, Field(min_length=1, max_length=500)]
    """The days on which it opens, as `FREQ=MONTHLY;BYDAY=-1FR`: the last Friday of each month."""
    begins: Annotated[WallTime, Field(alias="from")]
    """When it opens first, as `2026-01-30T22:00`; it opens at this time of the wall on each of the days."""

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if self.durations() != 1:
            raise fault(f"`rrule` needs one duration, and has {self.durations()}", fix="Write `duration_minutes` or `duration_days`.")
        if wrong := rrule.rule_fault(self.rrule, _wall(self.begins)):
            raise fault(wrong, fix=rrule.FIX)
        return self

    def on(self, kind: window.Kind, *, origin: str) -> window.Window:
        """Give the window as the rules of windows take it."""
        return window.Window(
            kind, self.zone, self.reason, self.owner, origin, lasts=self.lasts(),
            by_wall=self.duration_days is not None, begins=_wall(self.begins), rrule=self.rrule,
        )  # fmt: skip


class Window(_WrittenWindow):
    """A window: either it recurs (`cron` and a duration), or it is open once (`from`, `until` or both)."""

    cron: Line | None = None
    """When it opens, again and again: minute, hour, day of the month, month, day of the week, as `0 22 * * 1-5`."""
    begins: WallTime | None = Field(default=None, alias="from")
    """When it opens once, as `2026-12-20T18:00`; left out, it was always open."""
    until: WallTime | None = None
    """When it closes; left out, it never does."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        durations = self.durations()
        once = self.begins is not None or self.until is not None
        if (self.cron is not None) == once:
            wrong = "`cron` is given beside `from` or `until`" if once else "neither `cron` nor `from` nor `until` is given"
            raise fault(wrong, fix="Write `cron` with a duration for a window that recurs, or `from` and `until` for one time.")
        if self.cron is not None and durations != 1:
            raise fault(f"`cron` needs one duration, and has {durations}", fix="Write `duration_minutes` or `duration_days`.")
        if once and durations:
            raise fault("a duration is given without `cron`", fix="Write `until` instead.")
        if self.begins is not None and self.until is not None and _wall(self.until) <= _wall(self.begins):
            raise fault(f"it closes at {self.until}, not after {self.begins}", fix="Write `until` later than `from`.")
        return self

    def on(self, kind: window.Kind, *, origin: str) -> window.Window:
        """Give the window as the rules of windows take it.

        Args:
            kind: Whether it allows or denies.
            origin: Where it is written: `plan`, `policy NAME`.
        """
        return window.Window(
            kind, self.zone, self.reason, self.owner, origin, self.cron or "", self.lasts(),
            by_wall=self.duration_days is not None,
            begins=None if self.begins is None else _wall(self.begins),
            ends=None if self.until is None else _wall(self.until),
        )  # fmt: skip


OWN_FIELDS = {"ics": "calendar", "holidays": "holiday", "rrule": "rule"}


def _kind_of_window(value: Any) -> str:
    """Tell the kinds of windows apart by the field that only one of them has."""
    fields = value if isinstance(value, Mapping) else type(value).model_fields if isinstance(value, Section) else ()
    return next((kind for name, kind in OWN_FIELDS.items() if name in fields), "times")


AnyWindow = Annotated[
    Annotated[Window, Tag("times")]
    | Annotated[CalendarWindow, Tag("calendar")]
    | Annotated[HolidayWindow, Tag("holiday")]
    | Annotated[RuleWindow, Tag("rule")],
    Discriminator(_kind_of_window),
]


class BothWindows(Section):
    """Windows: production may change while one of `allow` is open, or there is none, and none of `deny` is."""

    allow: Annotated[list[AnyWindow], Field(max_length=50)] = Field(default_factory=list)
    """When production may change; empty allows every time."""
    deny: Annotated[list[AnyWindow], Field(max_length=50)] = Field(default_factory=list)
    """When it must not, whatever is allowed: freezes."""
    one_at_a_time: GroupName | None = None
    """A name of your choice: of all services whose plans name it, or whose policies do, one at a time changes production."""

    def group(self, origin: str) -> tuple[window.Window, ...]:
        """Give all windows as the rules of windows take them."""
        allow, deny = [one.on("allow", origin=origin) for one in self.allow], [one.on("deny", origin=origin) for one in self.deny]
        return (*allow, *deny)


class Overrides(Section):
    """Overrides: who may have one release go on although a window is closed or a freeze is in force."""

    who: Annotated[list[Person], Field(min_length=1, max_length=100)]
    """Who may, by name as enrolled; each override is proved by code or signature."""
    second_person: bool = False
    """Whether a second one of them must agree, by an override of the same."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        refuse_doubles(self.who)
        if self.second_person and len(self.who) == 1:
            raise fault("a second person is needed, and only one is listed", fix="List more names in `who`.")
        return self


class PolicyWindows(BothWindows):
    """Windows of a policy, and who may set them aside."""

    lifted_by: Annotated[list[Person], Field(max_length=100)] = Field(default_factory=list)
    """Who may lift a freeze of these services, beside the person who set it; empty lets every enrolled person."""
    overrides: Overrides | None = None
    """Who may override windows and freezes; left out, no one may."""


class Quietest(Section):
    """The quietest window: production begins only in the quietest time of the week by measured traffic, within all other windows."""

    minutes: Annotated[int, Field(ge=5, le=1_440)]
    """How long it is; a wave that takes longer does not fit."""
    zone: Zone
    """By whose wall the week is measured, an IANA name as `Europe/Berlin`."""
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    """Whom to ask about it: a person or a team."""
    counter: Annotated[str, Field(min_length=1, max_length=2_000)] | None = None
    """The request counter in `judgement.prometheus`, as `http_requests_total{job="shop"}`; default is that of the SLIs."""
    holidays: Annotated[str, Field(pattern=COUNTRY)] | None = None
    """A country, as `DE`, whose public holidays do not count as days of the week; left out, they are days like all others."""
    subdivision: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """One of its parts, whose holidays count as well, as `BE`; left out, only those of the whole country."""

    @model_validator(mode="after")
    def _has_known_holidays(self) -> Self:
        if self.subdivision and not self.holidays:
            raise fault("`subdivision` is given without `holidays`", fix="Write the country in `holidays`, as `DE`.")
        if self.holidays and (wrong := holidays_fault(self.holidays, self.subdivision or "")):
            raise fault(wrong, fix=FIX)
        return self

    @field_validator("counter")
    @classmethod
    def _can_be_filled(cls, text: str | None) -> str | None:
        if text is not None and (wrong := quoting_fault(text)) is not None:
            raise fault(wrong[0], fix=wrong[1])
        if text is not None and (unknown := sorted(places_in(text) - KNOWN_PLACES)):
            raise fault(f"`{{{unknown[0]}}}` is of one version, and traffic is counted over all", fix="Leave it out.")
        return text

    def counter_in(self, words: Mapping[str, str]) -> str | None:
        """Give the counter in an environment; None if the SLIs say it.

        Args:
            words: The values of `{service}`, `{environment}` and `{target}`.
        """
        return None if self.counter is None else fill(self.counter, {name: value for name, value in words.items() if value})


class Windows(BothWindows):
    """Windows: production begins while one of `allow` is open, or there is none, and none of `deny` is; else the release waits."""

    quietest: Quietest | None = None
    """Only in the quietest time of the week, as it was measured; left out, the windows alone say when."""
    if_too_short: Literal["wait", "proceed", "ask"] = "wait"
    """If a wave does not fit in what is left of the window: `wait` for the next that is long enough, `proceed`, or `ask` people."""
    time: Literal["longest", "history"] = "longest"
    """How long a wave is taken to need: its `longest` time by the steps, or what 90 % of earlier releases took (`history`)."""
    history_at_least: Annotated[int, Field(ge=3, le=50)] = 5
    """With `time: history`, how many releases with the same steps must have been measured; with fewer the longest time counts."""
    when_it_closes: Literal["finish", "hold"] = "finish"
    """If the window closes while a wave goes on: `finish` it, or `hold` it before its next step until the window opens again."""
    held_at_most_minutes: Annotated[float, Field(gt=0, le=525_600)] | None = None
    """If a wave is held for so long before one step, by a freeze or a window, it is rolled back; left out, it waits as long as it takes."""

    def are_there(self) -> bool:
        """Say if they limit when production may change."""
        return bool(self.allow or self.deny or self.quietest)


def _wall(text: str | None) -> datetime:
    """Read a time of the wall; a date alone is its midnight."""
    return datetime.fromisoformat(text or "2000-01-01")
