"""Decision: may a wave of production begin now, or until when does it wait?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tasks.rules.windows.opening import Group, cut_at, longest_opening, look, next_opening, openings
from tasks.rules.windows.words import NEVER, look_in_words, moment_in_words, never_read, why_closed, zone_of_all

LOOK_AGAIN = timedelta(days=1)  # where nothing says when it opens: a freeze without an end may be lifted
TooShort = Literal["wait", "proceed", "ask", "postpone"]  # `postpone`: people were asked, and said so
TO_BEGIN = timedelta(minutes=5)  # from the opening until the wave begins: the keeper wakes the run, which compares what was approved


@dataclass(frozen=True)
class Decision:
    """What a wave does.

    Fields:
        begins: Whether it begins now.
        until: When it looks again (UTC), if it waits: the moment of the opening.
        what: What it waits for, in a few words: `production opens Mon 2026-11-30 22:00 UTC`.
        opens: When it opens (UTC), if it waits and that is known.
        why: The windows that decide, with their reasons and owners.
        closes: When the window closes that is open and may be too short, if people are to be asked whether to begin; else None.
        missed: Why it cannot begin any more as it was scheduled, see `schedule.decide_due`; "" if it can.
    """

    begins: bool
    until: datetime | None
    what: str
    why: str
    missed: str = ""
    closes: datetime | None = None
    opens: datetime | None = None


def decide(groups: Sequence[Group], at: datetime, *, needed: timedelta, if_too_short: TooShort) -> Decision:
    """Decide at a moment.

    Args:
        groups: The windows of the plan and of its policies.
        at: The moment (UTC).
        needed: The longest time that the wave takes. An opening that is waited for is `TO_BEGIN` longer, as it begins a moment later.
        if_too_short: What to do if that does not fit.
    """
    seen = look(groups, at)
    fits = if_too_short == "proceed" or seen.until is None or seen.until - at >= needed
    if seen.is_open and fits:
        return Decision(begins=True, until=None, what=f"production is {look_in_words(seen)}", why="")
    zone = zone_of_all(seen.because)
    if seen.is_open and if_too_short == "ask":
        what = f"production is open until {moment_in_words(seen.until, zone)}, and people are asked whether to begin"
        return Decision(begins=False, until=seen.until, what=what, why=_too_short(seen.until, at, needed, zone), closes=seen.until)
    opening = next_opening(groups, at, needed=timedelta() if if_too_short == "proceed" else needed + TO_BEGIN)
    if opening is None and if_too_short in {"ask", "postpone"}:  # they are asked again then
        opening = next((one for one in openings(groups, at) if one.begin > at), None)
    what = f"production opens {moment_in_words(opening.begin, zone) if opening else f'{NEVER}; looks again in a day'}"
    why = _too_short(seen.until, at, needed, zone) if seen.is_open else why_closed(seen.because)
    if opening is None and (longest := longest_opening(groups, at)):
        what = f"no opening {NEVER.removeprefix('not ')} is long enough; looks again in a day"
        why = f"{why}; {_needs(needed)}, and the longest opening is {_minutes(longest)}"
    elif not seen.is_open and opening is not None and opening.begin != seen.until:
        why = f"{why}; what opens before that is too short: {_needs(needed)}"
    opens = None if opening is None else opening.begin
    return Decision(begins=False, until=opens or at + LOOK_AGAIN, what=what, why=why, opens=opens)


def fault(groups: Sequence[Group], at: datetime, *, needed: timedelta, if_too_short: TooShort) -> str:
    """Say why no release could ever begin production, from a moment on; "" if one can."""
    if next_opening(groups, at) is None:
        if unread := never_read(groups):
            return f"production stays closed by {'; '.join(unread)}"
        seen = look(groups, at)
        fix = "" if any(one.is_unknown for one in seen.because) else ". Change the windows"
        return f"production never opens: {look_in_words(seen)}{_cut(groups, at)}{fix}"
    longest = longest_opening(groups, at)
    if if_too_short != "wait" or longest is None or longest >= needed + TO_BEGIN:
        return ""
    return (
        f"no window is long enough: a wave of production takes at most {_minutes(needed)}, and {_minutes(TO_BEGIN)} to begin; "
        f"the longest opening is {_minutes(longest)}{_cut(groups, at)}. "
        f"Make a window longer, or write `if_too_short: proceed`, or `ask`"
    )


def _cut(groups: Sequence[Group], at: datetime) -> str:
    """Say from when on openings are not looked at; "" if all are."""
    behind = cut_at(groups, at)
    return "" if behind is None else f". The windows have too many openings: those from {moment_in_words(behind)} on are not looked at"


def _too_short(until: datetime | None, at: datetime, needed: timedelta, zone: str) -> str:
    left = timedelta() if until is None else until - at
    return f"the window closes {moment_in_words(until, zone)}, in {_minutes(left)}, and {_minutes(needed)} may be needed"


def _needs(needed: timedelta) -> str:
    return f"{_minutes(needed)} may be needed, and {_minutes(TO_BEGIN)} to begin"


def _minutes(lasts: timedelta) -> str:
    return f"{lasts.total_seconds() / 60:.4g} min"
