"""Calendars for tests, written in one line an event."""

from __future__ import annotations


def calendar(*events: str) -> bytes:
    """Write a calendar.

    Args:
        events: The properties of each, parted by `|`; those with a RECURRENCE-ID replace an occurrence of the first one.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//EN"]
    for number, event in enumerate(events):
        uid = [] if "UID:" in event else [f"UID:{0 if 'RECURRENCE-ID' in event else number}"]
        lines += ["BEGIN:VEVENT", *uid, *event.split("|"), "END:VEVENT"]
    return "".join(f"{line}\r\n" for line in [*lines, "END:VCALENDAR"]).encode()
