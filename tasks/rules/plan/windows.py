"""Plan sections for windows: when production may change, in a plan and in a policy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from tasks.rules.plan.types import WALL_TIME, Person, Section, fault, refuse_doubles, refusing
from tasks.rules.windows import cron, window, zones

WallTime = Annotated[str, Field(pattern=WALL_TIME)]
GroupName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Line = Annotated[str, Field(min_length=1, max_length=200), refusing(cron.cron_fault, fix=cron.FIX)]
Zone = Annotated[str, Field(min_length=1, max_length=100), refusing(zones.zone_fault, fix=zones.FIX)]


class Window(Section):
    """A window: either it recurs (`cron` and a duration), or it is open once (`from`, `until` or both)."""

    cron: Line | None = None
    """When it opens, again and again: minute, hour, day of the month, month, day of the week, as `0 22 * * 1-5`."""
    duration_minutes: Annotated[int, Field(ge=1, le=527_040)] | None = None
    """How long it is open each time, exactly."""
    duration_days: Annotated[int, Field(ge=1, le=366)] | None = None
    """Or how long in days: it closes so many days later at the same time of the wall."""
    begins: WallTime | None = Field(default=None, alias="from")
    """When it opens once, as `2026-12-20T18:00`; left out, it was always open."""
    until: WallTime | None = None
    """When it closes; left out, it never does."""
    zone: Zone
    """The time zone of all these times, an IANA name as `Europe/Berlin`."""
    reason: Annotated[str, Field(min_length=1, max_length=300)]
    """Why it is there; whoever waits reads it."""
    owner: Annotated[str, Field(min_length=1, max_length=100)]
    """Whom to ask about it: a person or a team."""

    @field_validator("begins", "until")
    @classmethod
    def _is_a_date(cls, text: str | None) -> str | None:
        try:
            _wall(text)
        except ValueError as error:
            raise fault(f"`{text}` is not a date: {error}", fix="Write a date that exists, as `2026-12-20T18:00`.") from None
        return text

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        durations = (self.duration_minutes is not None) + (self.duration_days is not None)
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
        lasts = timedelta(minutes=self.duration_minutes or 0, days=self.duration_days or 0)
        return window.Window(
            kind, self.zone, self.reason, self.owner, origin, self.cron or "", lasts,
            by_wall=self.duration_days is not None,
            begins=None if self.begins is None else _wall(self.begins),
            ends=None if self.until is None else _wall(self.until),
        )  # fmt: skip


class BothWindows(Section):
    """Windows: production may change while one of `allow` is open, or there is none, and none of `deny` is."""

    allow: Annotated[list[Window], Field(max_length=50)] = Field(default_factory=list)
    """When production may change; empty allows every time."""
    deny: Annotated[list[Window], Field(max_length=50)] = Field(default_factory=list)
    """When it must not, whatever is allowed: freezes."""
    one_at_a_time: GroupName | None = None
    """A name of your choice: of all services that name it, one at a time changes production; the others wait for their turn."""

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


class Windows(BothWindows):
    """Windows: production begins while one of `allow` is open, or there is none, and none of `deny` is; else the release waits."""

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


def _wall(text: str | None) -> datetime:
    """Read a time of the wall; a date alone is its midnight."""
    return datetime.fromisoformat(text or "2000-01-01")
