"""The calendar as a page: a bar of 24 hours for each day and service, and all times below; plain HTML, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tasks.rules.windows.calendar import NOUNS, Event, Kind
from tasks.rules.windows.words import DAYS, moment_in_words
from tasks.rules.windows.zones import utc_of, wall_of, zone_of

DAY = timedelta(days=1)
ORDER: tuple[Kind, ...] = ("open", "freeze", "release")
HOURS = (6, 12, 18)
STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #fff; --line: #d5d9e0; --dim: #667085; --open: #5fb980; --freeze: #7aa7e0; --release: #c2410c; --bar: #eef0f3 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ef; --paper: #14181f; --line: #333b48; --dim: #98a2b3; --open: #2f8554; --freeze: #3b6bb0; --release: #fb923c; --bar: #222936 }
}
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.5rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem } p.dim, td.dim { color: var(--dim) }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .6rem .25rem 0; vertical-align: top }
th { font-weight: 600 } tr + tr td { border-top: 1px solid var(--line) } table.days td { border: 0; padding-block: .12rem } td.day { white-space: nowrap; width: 9rem }
tr.monday td { border-top: 1px solid var(--line) !important; padding-top: .4rem }
.bar { position: relative; height: 1.15rem; background: var(--bar); border-radius: 3px; overflow: hidden; min-width: 9rem }
.bar span { position: absolute; top: 0; bottom: 0 } .bar .tick { width: 1px; background: var(--line) }
.open { background: var(--open) } .freeze { background: var(--freeze) }
.bar .release { background: var(--release); min-width: 4px; top: 35%; bottom: 35% } .key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin: 0 .3rem 0 1rem }
.entry { white-space: nowrap } td .key { margin-left: 0 } td.when { white-space: nowrap }
.key.release { background: var(--release) } .hours { display: flex; justify-content: space-between; color: var(--dim); font-size: .75rem; font-weight: 400 }
ul.warn { border-left: 4px solid var(--release); margin: 1rem 0; padding: .3rem 1rem .3rem 2rem } .weekend { color: var(--dim) }
@media print { body { margin: 0 } .bar, .bar span, .key { print-color-adjust: exact } }
"""  # noqa: E501 - CSS


class Page(NamedTuple):
    """What the page shows.

    Fields:
        services: In their order.
        events: Of all of them.
        notes: Overlaps, and what is not known.
        zone: By whose wall.
        at: When it is made (UTC).
        days: How many.
    """

    services: Sequence[str]
    events: Sequence[Event]
    notes: Sequence[str]
    zone: str
    at: datetime
    days: int


def page_text(page: Page) -> str:
    """Write the page; it needs nothing from outside."""
    keys = "".join(f'<span class="entry"><i class="key {kind}"></i>{escape(NOUNS[kind])}</span> ' for kind in ORDER)
    notes = "".join(f"<li>{escape(note)}</li>" for note in page.notes)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Deployment calendar</title><style>{STYLE}</style></head>\n<body>\n<h1>Deployment calendar</h1>\n"
        f'<p class="dim">{page.days} days, by the time of {escape(page.zone)}. Made {escape(moment_in_words(page.at, page.zone))}. '
        f"{keys}</p>\n"
        + (f'<ul class="warn">{notes}</ul>\n' if notes else "")
        + _days(page)
        + "<h2>All times</h2>\n"
        + _times(page)
        + "</body></html>\n"
    )


def _days(page: Page) -> str:
    hours = '<div class="hours"><span>0</span><span>6</span><span>12</span><span>18</span><span>24</span></div>'
    heads = "".join(f"<th>{escape(service)}{hours}</th>" for service in page.services)
    zone = zone_of(page.zone)
    first = wall_of(page.at, zone).date()
    rows = "".join(_day(page, first + DAY * number, zone) for number in range(page.days))
    return f'<table class="days"><tr><th></th>{heads}</tr>\n{rows}</table>\n'


def _day(page: Page, day: date, zone: ZoneInfo) -> str:
    begin, end = (utc_of(datetime.combine(one, time()), zone) for one in (day, day + DAY))
    cells = "".join(f"<td>{_bar(page, service, day, begin, end)}</td>" for service in page.services)
    monday, weekend = (' class="monday"' if day.weekday() == 0 else ""), " weekend" if day.weekday() > 4 else ""  # noqa: PLR2004 - Friday
    return f'<tr{monday}><td class="day{weekend}">{DAYS[day.weekday()]} {day:%Y-%m-%d}</td>{cells}</tr>\n'


def _bar(page: Page, service: str, day: date, begin: datetime, end: datetime) -> str:
    """Draw a day of a service; one that has 23 or 25 hours is as wide, and its hours are where they are."""
    zone, lasts = zone_of(page.zone), end - begin
    ticks = "".join(
        f'<span class="tick" style="left:{(utc_of(datetime.combine(day, time(hour)), zone) - begin) / lasts:.2%}"></span>' for hour in HOURS
    )
    spans = "".join(
        f'<span class="{one.kind}" style="left:{(max(one.begin, begin) - begin) / lasts:.2%};'
        f'width:{(min(one.end, end) - max(one.begin, begin)) / lasts:.2%}" title="{escape(_words(one, zone))}"></span>'
        for kind in ORDER
        for one in page.events
        if (one.kind, one.service) == (kind, service) and one.begin < end and one.end > begin
    )
    return f'<div class="bar">{spans}{ticks}</div>'


def _times(page: Page) -> str:
    zone = zone_of(page.zone)
    rows = "".join(
        f"<tr><td class='when'>{escape(_span(one, zone))}</td><td><i class='key {one.kind}'></i>{escape(one.title)}</td>"
        f'<td class="dim">{escape(one.detail)}</td></tr>\n'
        for one in sorted(page.events, key=lambda one: (one.begin, one.service, one.kind))
    )
    return f"<table>{rows}</table>\n" if rows else '<p class="dim">Nothing is planned, and no windows are written.</p>\n'


def _words(event: Event, zone: ZoneInfo) -> str:
    return f"{event.title}, {_span(event, zone)}"


def _span(event: Event, zone: ZoneInfo) -> str:
    begin, end = wall_of(event.begin, zone), wall_of(event.end, zone)
    days = (end.date() - begin.date()).days
    date_of_end = f"{DAYS[end.weekday()]} " + ("" if days == 1 else f"{end:%Y-%m-%d} ")
    until = f"{date_of_end if days else ''}{end:%H:%M}"
    return f"{DAYS[begin.weekday()]} {begin:%Y-%m-%d %H:%M} – {until}"


def at_midnight(at: datetime, zone: str, *, days: int) -> datetime:
    """Give the end of the last day (UTC), by the wall of a zone."""
    here = zone_of(zone)
    return utc_of(datetime.combine(wall_of(at, here).date() + DAY * days, time()), here).astimezone(UTC)
