"""Windows in words, for people: one window, what holds now, and until when."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from tasks.rules.windows.address import address_in_words
from tasks.rules.windows.opening import HORIZON, Group, Look
from tasks.rules.windows.window import Window
from tasks.rules.windows.zones import wall_of, zone_of

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ALWAYS = "at all times"
NEVER = f"not within {HORIZON.days // 365} years"


def moment_in_words(moment: datetime | None, zone: str = "UTC") -> str:
    """Write a moment by the wall of a zone, and in UTC: `Mon 2026-11-30 22:00 Europe/Berlin (21:00 UTC)`; `not within 2 years` for None."""
    if moment is None:
        return NEVER
    wall = wall_of(moment, zone_of(zone))
    utc = "" if zone == "UTC" else f" ({moment:%H:%M} UTC)"
    return f"{DAYS[wall.weekday()]} {wall:%Y-%m-%d %H:%M} {zone}{utc}"


def window_in_words(window: Window) -> str:
    """Name one window: where it is written, its times, its reason and whom to ask."""
    if window.is_unknown:
        return f"{window.reason} (ask {window.owner})"
    noun = "freeze" if window.kind == "deny" else "window"
    return f"{noun} of the {window.origin}: {times_in_words(window)}, because: {window.reason} (ask {window.owner})"


def windows_name(groups: Sequence[Group]) -> str:
    """Name these windows as they are written: `windows:` and a digest, which another window, time, reason or owner changes."""
    said = "\n".join(sorted(_lasting(window) for group in groups for window in group))
    return f"windows:{hashlib.sha256(said.encode()).hexdigest()[:12]}"


def _lasting(window: Window) -> str:
    """Write a window in words that stay the same while its calendar says the same, however old that is."""
    return f"{window_in_words(replace(window, calendar=None))} {window.calendar.digest if window.calendar else ''}".rstrip()


def notes_of(groups: Sequence[Group]) -> list[str]:
    """List what people should know about the calendars of windows: which are old or were never read, and why."""
    found = {window.ics: window.calendar.note for group in groups for window in group if window.calendar and window.calendar.note}
    return [f"{address_in_words(ics)}: {note}" for ics, note in found.items()]


def never_read(groups: Sequence[Group]) -> list[str]:
    """List the calendars of windows that were never read, and why."""
    return notes_of([tuple(one for one in group if one.calendar is not None and one.calendar.until is None) for group in groups])


def not_known(groups: Sequence[Group]) -> list[str]:
    """List what is not known of windows, so that production is closed: calendars that were never read, and the quietest time."""
    return [*never_read(groups), *(window.reason for group in groups for window in group if window.is_unknown)]


def without_age(windows: Group) -> Group:
    """Give windows whose words stay the same however old their calendars are, and why they could not be read."""
    return tuple(replace(one, calendar=None) for one in windows)


def times_in_words(window: Window) -> str:
    """Write the times of a window: `0 22 * * 1-5 for 240 min in Europe/Berlin`."""
    if window.ics:
        note = f" ({window.calendar.note})" if window.calendar and window.calendar.note else ""
        return f"the events of {address_in_words(window.ics)} in {window.zone}{note}"
    if whose := window.holidays:
        part = f"-{whose.subdivision}" if whose.subdivision else ""
        before = f" and {whose.days_before} day{'s' * (whose.days_before > 1)} before each" if whose.days_before else ""
        return f"the public holidays of {whose.country}{part}{before} in {window.zone}"
    if recurs := window.cron or window.rrule:
        lasts = f"{window.lasts.days} day(s)" if window.by_wall else f"{window.lasts.total_seconds() / 60:g} min"
        first = f" from {window.begins:%Y-%m-%d %H:%M} on" if window.rrule and window.begins else ""
        return f"`{recurs}`{first} for {lasts} in {window.zone}"
    if window.is_unknown:
        return ALWAYS
    begin = f"from {window.begins:%Y-%m-%d %H:%M} " if window.begins else ""
    end = f"until {window.ends:%Y-%m-%d %H:%M}" if window.ends else "without an end"
    return f"{begin}{end} in {window.zone}"


def look_in_words(look: Look) -> str:
    """Say in one sentence if production may change, until when, and why."""
    if look.is_open:
        return f"open until {moment_in_words(look.until, zone_of_all(look.because))}" if look.until else "open, without an end in sight"
    when = moment_in_words(look.until, zone_of_all(look.because))
    return f"closed; opens {when}. {why_closed(look.because)}"


def why_closed(because: Group) -> str:
    """Say which windows hold: the freezes, or the allow windows of which none is open."""
    named = "; ".join(window_in_words(one) for one in because)
    return named if any(one.kind == "deny" for one in because) else f"outside of the {named}"


def zone_of_all(windows: Group) -> str:
    """Give the zone in which to speak of windows: theirs if they share one, else UTC."""
    zones = {one.zone for one in windows}
    return zones.pop() if len(zones) == 1 else "UTC"
