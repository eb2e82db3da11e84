"""Calendar: openings, freezes and scheduled releases of several services in the coming weeks, and what overlaps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations, islice
from typing import Literal

from tasks.rules.windows.freeze import Freeze, freeze_in_words
from tasks.rules.windows.opening import Group, openings
from tasks.rules.windows.window import EVER_UNTIL, intervals
from tasks.rules.windows.words import moment_in_words, times_in_words, without_age

Kind = Literal["open", "freeze", "release"]
MOST = 2_000  # of one service and kind
SHORT = timedelta(minutes=15)  # how long a release is drawn that names no end
NOUNS: dict[Kind, str] = {"open": "production may change", "freeze": "freeze", "release": "release"}


@dataclass(frozen=True)
class Event:
    """One line of the calendar.

    Fields:
        kind: What it is.
        service: Whose.
        begin: From when on (UTC).
        end: Until when (UTC): a release begins production by then.
        title: In a few words.
        detail: Times, reasons, whom to ask.
        run: The run's id, of a release.
        has_end: Whether `end` is more than where it is drawn: a release may have no latest moment, and a freeze may be lifted at any.
        lasting: The detail without the age of a calendar; "" if that is not in it.
        key: What tells it from others of its kind and service, if that is not its begin: of what is under way that is this very moment.
    """

    kind: Kind
    service: str
    begin: datetime
    end: datetime
    title: str
    detail: str = ""
    run: str = ""
    has_end: bool = True
    key: str = ""
    lasting: str = ""

    @property
    def uid(self) -> str:
        """A name that stays the same each time that the calendar is made."""
        said = self.run or f"{self.kind} {self.service} {self.key or self.begin.isoformat()} {self.lasting or self.detail}"
        return hashlib.sha256(said.encode()).hexdigest()[:32]


def events_of(service: str, groups: Sequence[Group], at: datetime, until: datetime) -> list[Event]:
    """List when production may change, and the freezes; without an allow window only the freezes.

    Args:
        service: The plan's service.
        groups: The windows of the plan and its policies.
        at: From this moment on (UTC).
        until: Until this one; what begins before it has its own end, and what has none is drawn until there.
    """
    found: list[Event] = []
    if any(window.kind == "allow" for group in groups for window in group):
        for opening in islice(openings(groups, at), MOST):
            if opening.begin >= until:
                break
            why, lasting = (_slots_in_words(some) for some in (opening.because, without_age(opening.because)))
            (end, has_end), title = _end(opening.end, until), f"{service}: production may change"
            key = f"until {end.isoformat()}" if has_end else "under way" if opening.begin == at else ""
            found.append(Event("open", service, opening.begin, end, title, why, has_end=has_end, key=key, lasting=lasting))
    for window in (one for group in groups for one in group if one.kind == "deny"):
        for span in islice(intervals(window, at, until), MOST):
            if span.begin >= until:
                break
            title = f"{service}: freeze ({window.within(span).reason})"
            detail, lasting = (f"of the {one.origin}, {times_in_words(one)} (ask {one.owner})" for one in (window, *without_age((window,))))
            key, (end, has_end) = span.begin.isoformat(), _end(span.end, until)
            found.append(Event("freeze", service, max(span.begin, at), end, title, detail, has_end=has_end, key=key, lasting=lasting))
    return sorted(found, key=lambda one: (one.begin, one.kind))


def _slots_in_words(windows: Group) -> str:
    return "; ".join(f"{times_in_words(one)}: {one.reason} (ask {one.owner})" for one in windows)


def freeze_events(services: Sequence[str], freezes: Iterable[Freeze], at: datetime, until: datetime) -> list[Event]:
    """List the freezes that people set with `shipway freeze`, for each service that they stop.

    Args:
        services: The services of the calendar.
        freezes: The freezes.
        at: From this moment on (UTC).
        until: Until this one.
    """
    return [
        Event(
            "freeze", service, at, freeze.until or until, f"{service}: freeze ({freeze.reason})", freeze_in_words(freeze),
            has_end=freeze.until is not None, key=freeze.id,
        )
        for freeze in freezes
        for service in services
        if freeze.holds(at, service)
    ]  # fmt: skip


def release_event(*, service: str, name: str, run: str, begin: datetime, latest: datetime | None, who: str, why: str) -> Event:
    """Make the event of a scheduled release.

    Args:
        service: Its service.
        name: The run's name.
        run: Its id.
        begin: When production begins at the earliest (UTC).
        latest: When it must have begun; None if that is not bounded.
        who: Who requested it.
        why: Why.
    """
    end = latest if latest and latest > begin else begin + SHORT
    return Event("release", service, begin, end, name, f"requested by {who or 'an unnamed person'}: {why}", run, has_end=end == latest)


def overlaps(events: Iterable[Event]) -> list[str]:
    """Say which scheduled releases may run side by side, and which lie outside of every opening or in a freeze.

    One without a latest moment waits, and is not skipped; beyond the openings that are listed nothing is said.
    """
    known = list(events)
    releases = [one for one in known if one.kind == "release"]
    said = [
        f"{one.title} and {other.title} may run side by side from {moment_in_words(max(one.begin, other.begin))} on"
        for one, other in combinations(sorted(releases, key=lambda one: one.begin), 2)
        if one.begin < other.end and other.begin < one.end
    ]
    for release in releases:
        own = [one for one in known if one.service == release.service]
        will = "will be skipped" if release.has_end else "will wait"
        if frozen := next((one for one in own if one.kind == "freeze" and one.begin <= release.begin and release.end <= one.end), None):
            unless = "" if frozen.has_end else ", unless that is lifted"
            said.append(f"{release.title} {will}: it lies in the {frozen.title.partition(': ')[2]}{unless}")
            continue
        openings_ = [one for one in own if one.kind == "open"]
        if not openings_ or (is_cut(openings_) and release.begin >= openings_[-1].end):
            continue
        if not any(one.begin < release.end and release.begin < one.end for one in openings_):
            until = " until its end" if release.has_end else ""
            said.append(f"{release.title} {will}: production is closed from {moment_in_words(release.begin)}{until or ' on'}")
    return said


def is_cut(openings_: Sequence[Event]) -> bool:
    """Say whether a service has more openings than are listed."""
    return len(openings_) >= MOST


def cuts(events: Iterable[Event]) -> list[str]:
    """Say of which services not all openings are listed, and from when on."""
    found: dict[str, list[Event]] = {}
    for one in events:
        if one.kind == "open":
            found.setdefault(one.service, []).append(one)
    return [
        f"{service} opens more than {MOST:,} times: its openings after {moment_in_words(listed[-1].end)} are not shown"
        for service, listed in found.items()
        if is_cut(listed)
    ]


def _end(end: datetime | None, until: datetime) -> tuple[datetime, bool]:
    """Give the end, and whether it is one: what has none is drawn until the last day."""
    return (end, True) if end is not None and end < EVER_UNTIL else (until, False)
