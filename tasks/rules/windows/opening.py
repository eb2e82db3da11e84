"""Openings: when all windows together let production change, when they close, and why.

Windows come in groups: the plan's are one, each policy's are one. It is open while in every group an allow window is open, or the group has
none, and no deny window of any group is. All is computed in UTC over intervals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tasks.rules.windows.window import Interval, Window, intervals

Group = tuple[Window, ...]
HORIZON = timedelta(days=731)  # two years and a leap day: what opens later counts as never
MOST_INTERVALS = 20_000  # of one window, looked at in one answer; what lies behind them is not known, and counts as closed
MOST_LOOKS = (
    1_000_000  # at windows, in one answer, likewise: a few hundred thousand openings of a few windows, or ten thousand of a hundred
)


class Stretch(NamedTuple):
    """A time in which it is open, or closed for one reason.

    Fields:
        begin: From when on (UTC).
        end: Until when (UTC); None if nothing says so, or if it is closed beyond the horizon.
        is_open: Whether production may change.
        because: The windows: those that deny, or the allow windows of the first group of which none is open; else the open allow windows.
        is_cut: Whether it counts as closed only because the windows have too many openings to look through.
    """

    begin: datetime
    end: datetime | None
    is_open: bool
    because: Group
    is_cut: bool = False

    def lasts(self) -> timedelta | None:
        """Say how long it is; None for longer than anything that is looked at."""
        return None if self.end is None else self.end - self.begin


@dataclass(frozen=True)
class Look:
    """The answer for one moment.

    Fields:
        at: The moment (UTC).
        is_open: Whether production may change.
        until: When it closes or opens (UTC); None if it does not within the horizon.
        because: As in `Stretch`, at that moment.
    """

    at: datetime
    is_open: bool
    until: datetime | None
    because: Group


def look(groups: Sequence[Group], at: datetime) -> Look:
    """Say if production may change at a moment, until when that stays so, and why.

    Raises:
        BadInput: This machine does not know the zone of a window.
    """
    found = stretches(groups, at)
    first = next(found)
    until = next((stretch.begin for stretch in found if stretch.is_open != first.is_open), None)
    return Look(at, first.is_open, until, first.because)


def next_opening(groups: Sequence[Group], at: datetime, *, needed: timedelta = timedelta()) -> Stretch | None:
    """Find the first time from a moment on in which it is open for at least so long.

    Returns:
        The stretch, which begins at the moment if it is open then; None if there is none within the horizon.
    """
    for stretch in openings(groups, at):
        lasts = stretch.lasts()
        if lasts is None or lasts >= needed:
            return stretch
    return None


def openings(groups: Sequence[Group], at: datetime) -> Iterator[Stretch]:
    """List the times from a moment on in which it is open; neighbours are joined."""
    whole: Stretch | None = None
    for stretch in stretches(groups, at):
        if not stretch.is_open:
            if whole is not None:
                yield whole
            whole = None
        else:
            whole = Stretch(whole.begin, stretch.end, True, whole.because) if whole else stretch  # noqa: FBT003 - a field
    if whole is not None:
        yield whole


def longest_opening(groups: Sequence[Group], at: datetime) -> timedelta | None:
    """Give the longest time for which it is open within the horizon; None if that does not end, zero if it never opens."""
    longest = timedelta()
    for stretch in openings(groups, at):
        lasts = stretch.lasts()
        if lasts is None:
            return None
        longest = max(longest, lasts)
    return longest


def stretches(groups: Sequence[Group], at: datetime, *, horizon: timedelta = HORIZON) -> Iterator[Stretch]:
    """Go through the time from a moment on; each stretch ends where the next one begins, the last one lies at the horizon.

    The cost is bounded: it looks at most at two years, at 20,000 intervals of a window, and at a million of all; and as often at windows.
    """
    end = at + horizon
    most = min(MOST_INTERVALS, MOST_LOOKS // max(sum(map(len, groups)), 1))
    cursors = [[_Cursor(window, at, end, most=most) for window in group] for group in groups]
    each = [one for group in cursors for one in group]
    moment, looks = at, 0
    while True:
        found, looks = _stretch(cursors, moment), looks + len(each)
        if looks > MOST_LOOKS or any(one.is_spent for one in each):
            yield found._replace(end=None, is_open=False, is_cut=True)
            return
        if found.end is None or found.end >= end:
            yield found if found.is_open else found._replace(end=None)
            return
        yield found
        moment = found.end


def cut_at(groups: Sequence[Group], at: datetime) -> datetime | None:
    """Give from when on the windows have too many openings to look through (UTC), which counts as closed; None if they have not."""
    return next((stretch.begin for stretch in stretches(groups, at) if stretch.is_cut), None)


def _stretch(groups: Sequence[Sequence[_Cursor]], moment: datetime) -> Stretch:
    """Look at one moment, and find the next one at which something may change."""
    denying = [one for group in groups for one in group if one.window.kind == "deny" and one.covers(moment)]
    if denying:
        freed = max(one.end(moment) for one in denying)
        return Stretch(moment, freed, is_open=False, because=tuple(one.named(moment) for one in denying))
    changes = [one.begin(moment) for group in groups for one in group if one.window.kind == "deny"]
    opened: list[Window] = []
    for group in groups:
        allowing = [one for one in group if one.window.kind == "allow"]
        covering = [one for one in allowing if one.covers(moment)]
        if allowing and not covering:
            starts = [start for one in allowing if (start := one.begin(moment)) is not None]
            return Stretch(moment, min(starts, default=None), is_open=False, because=tuple(one.window for one in allowing))
        if covering:
            changes.append(max(one.end(moment) for one in covering))
            opened += [one.named(moment) for one in covering]
    end = min((change for change in changes if change is not None), default=None)
    return Stretch(moment, end, is_open=True, because=tuple(opened))


class _Cursor:
    """The intervals of one window, gone through once from left to right."""

    def __init__(self, window: Window, at: datetime, until: datetime, *, most: int) -> None:
        self.window = window
        self._left = most
        self._found = intervals(window, at, until)
        self._now: Interval | None = next(self._found, None)

    def _reach(self, moment: datetime) -> Interval | None:
        """Give the interval that is open at a moment, or the next one."""
        while self._now is not None and self._now.end <= moment:
            self._left -= 1
            self._now = None if self.is_spent else next(self._found, None)  # whoever asks looks if it is spent
        return self._now

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def covers(self, moment: datetime) -> bool:
        found = self._reach(moment)
        return found is not None and found.begin <= moment

    def named(self, moment: datetime) -> Window:
        """Give the window with the reason that its interval at a moment has."""
        found = self._reach(moment)
        return self.window if found is None else self.window.within(found)

    def begin(self, moment: datetime) -> datetime | None:
        found = self._reach(moment)
        return None if found is None else found.begin

    def end(self, moment: datetime) -> datetime:
        found = self._reach(moment)
        return moment if found is None else found.end
