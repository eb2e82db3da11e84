"""Quietest window: the time of the week that was measured as the quietest, as a window of production. What is not known is closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from tasks.rules.windows.window import Window
from tasks.rules.windows.words import DAYS, moment_in_words
from tasks.rules.windows.zones import in_utc

DAY_MINUTES, WEEK_MINUTES = 24 * 60, 7 * 24 * 60
RENEWED_AFTER = timedelta(days=7)
OVERDUE_AFTER = timedelta(days=8)  # from then on its age is said, whatever else is
HOLDS_FOR = timedelta(days=14)  # what was measured before that is not known any more
TRIED_AFTER = timedelta(hours=1)  # how long the keeper waits after a try
CLOCKS_DIFFER = timedelta(hours=1)  # by which two machines may disagree
FIX = "Run `shipway windows PLAN --measure` on the worker's machine"
Moment = Annotated[AwareDatetime, AfterValidator(in_utc)]


class Asked(BaseModel):
    """What is asked for; what was measured for something else does not count.

    Fields:
        minutes: How long the window is.
        zone: By whose wall.
        counters: The request counter of each environment of production.
        country: Whose public holidays are a kind of day of their own; "" for none.
        subdivision: Those of a part of it; "" for those of the whole country.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    minutes: int
    zone: str
    counters: dict[str, str]
    country: str = ""
    subdivision: str = ""


class Chosen(BaseModel):
    """The window that was chosen.

    Fields:
        asked: What for.
        at: When it was measured.
        minute: When it begins, in minutes since Monday 00:00 by the wall.
        expected: Requests in it, on average.
        most: Requests in it at most.
        weeks: In how many weeks it was measured.
        decides: Whether the plan's steps can decide in it.
        needed: Requests in it that they need; None if no number would do.
        probe_minutes: How long probes would take for a verdict; None if they cannot decide, or need not.
        quietest: If another one is quieter, but does not decide: when that is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    asked: Asked
    at: Moment
    minute: Annotated[int, Field(ge=0, lt=WEEK_MINUTES)]
    expected: float
    most: float
    weeks: int
    decides: bool
    needed: float | None
    probe_minutes: float | None = None
    quietest: str = ""

    @property
    def words(self) -> str:
        """When it is, as `Tue 03:15–04:15 Europe/Berlin`."""
        return f"{span_in_words(self.minute, self.asked.minutes)} {self.asked.zone}"


def span_in_words(minute: int, minutes: int) -> str:
    """Say when a window of the week is, as `Tue 03:15–04:15`."""
    end = (minute + minutes) % WEEK_MINUTES
    same_day = minute // DAY_MINUTES == end // DAY_MINUTES and minutes < DAY_MINUTES
    return f"{DAYS[minute // DAY_MINUTES]} {_clock(minute)}–{'' if same_day else f'{DAYS[end // DAY_MINUTES]} '}{_clock(end)}"


def why_unknown(chosen: Chosen | None, asked: Asked, at: datetime, *, fault: str = "") -> str:
    """Say why it is not known when the quietest time is; "" if it is.

    Args:
        chosen: What was measured last; None if nothing was.
        asked: What the plan asks for.
        at: The moment (UTC).
        fault: Why the last try to measure failed.
    """
    if chosen is None:
        return f"it was not measured on this machine. {FIX}"
    if chosen.asked != asked:
        return f"it was measured for another length, zone, counter or country than the plan names. {FIX}"
    if chosen.at > at + CLOCKS_DIFFER:
        return f"it was measured {moment_in_words(chosen.at)}, which is still to come: look at the clock of this machine"
    if at - chosen.at > HOLDS_FOR:
        since = f", and could not be measured since: {fault}" if fault else ""
        return f"it was last measured {moment_in_words(chosen.at)}, more than {HOLDS_FOR.days} days ago{since}. {FIX}"
    return ""


def quietest_window(chosen: Chosen | None, asked: Asked, at: datetime, *, owner: str, fault: str = "") -> Window:
    """Give the window in which production may change; one that denies every time if it is not known.

    Its words stay the same from one measurement to the next, so that an override of it holds.

    Args:
        chosen: What was measured last.
        asked: What the plan asks for.
        at: The moment (UTC).
        owner: Whom to ask.
        fault: Why the last try to measure failed.
    """
    unknown = why_unknown(chosen, asked, at, fault=fault)
    if unknown or chosen is None:
        return closed_window(unknown, zone=asked.zone, owner=owner)
    hour, minute = divmod(chosen.minute % DAY_MINUTES, 60)
    cron = f"{minute} {hour} * * {(chosen.minute // DAY_MINUTES + 1) % 7}"
    judged = " in which a canary can be judged" if chosen.decides and chosen.needed else ""
    reason = f"the quietest {asked.minutes} min of the week by measured traffic{judged}"
    return Window("allow", asked.zone, reason, owner, "plan", cron, timedelta(minutes=asked.minutes))


def closed_window(why: str, *, zone: str, owner: str) -> Window:
    """Give a window that denies every time, as the quietest one is not known."""
    return Window("deny", zone, f"the quietest time of the week is not known: {why}", owner, "plan", is_unknown=True)


def is_due(chosen: Chosen, tried: datetime, at: datetime) -> bool:
    """Say if it is time to measure again: a week after it was measured, and then an hour after each try."""
    return (at - chosen.at >= RENEWED_AFTER or chosen.at > at + CLOCKS_DIFFER) and not timedelta() <= at - tried < TRIED_AFTER


def chosen_in_words(chosen: Chosen, at: datetime, *, fault: str = "") -> str:
    """Say when it is, with its requests, whether a canary can be judged in it, and how old that is."""
    said = f"{chosen.words}, about {chosen.expected:,.0f} requests and {chosen.most:,.0f} at most, from {chosen.weeks} weeks"
    if chosen.decides:
        quieter = f" ({chosen.quietest} is quieter, and too quiet to judge)" if chosen.quietest else ""
        said = f"{said}; a canary can be judged then{quieter}"
    elif chosen.needed is None:
        said = f"{said}; a step cannot decide with any number of requests, see `shipway check`"
    else:
        probes = "" if chosen.probe_minutes is None else f"; probes would need {chosen.probe_minutes:,.0f} min"
        said = f"{said}; too quiet to judge, like all other times: the steps need about {chosen.needed:,.0f}{probes}"
    age = at - chosen.at
    overdue = f", {age.days} days ago; it counts for {HOLDS_FOR.days}" if age > OVERDUE_AFTER else ""
    return f"{said}. Measured {moment_in_words(chosen.at)}{overdue}{f'. The last try failed: {fault}' if fault else ''}"


NOT_ASKED = "If its plan has no `windows.quietest` any more, `shipway windows PLAN --measure` forgets it"


def moved_in_words(service: str, before: Chosen, after: Chosen) -> str:
    """Say that it moved; "" if it did not."""
    if (before.minute, before.asked.minutes, before.asked.zone) == (after.minute, after.asked.minutes, after.asked.zone):
        return ""
    return (
        f"{service}: the quietest window moved from {before.words} to {after.words}, with about {after.expected:,.0f} requests. "
        f"Production changes only then. {NOT_ASKED}"
    )


def _clock(minute: int) -> str:
    return f"{minute % DAY_MINUTES // 60:02}:{minute % 60:02}"
