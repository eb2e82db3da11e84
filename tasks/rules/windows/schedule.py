"""Schedule: from when on production may begin what was scheduled, until when at the latest, and that it is too late."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from blocks.errors import BadInput
from tasks.rules.windows.decision import TO_BEGIN, Decision
from tasks.rules.windows.opening import Group, look, next_opening
from tasks.rules.windows.words import DAYS, moment_in_words, not_known, why_closed
from tasks.rules.windows.zones import in_utc, utc_of, wall_of, zone_of

NOT_BEFORE, NOT_LATER_THAN = "not_before", "not_later_than"  # as a release's record and parameters name them
WITHOUT_WINDOW = timedelta(hours=1)  # how late production may begin, if neither a window nor the person says it
DAY = timedelta(days=1)
FIX = "Write `03:00`, `tomorrow 03:00`, `fri 22:30`, `in 90 min`, or an ISO time as `2026-12-01T03:00` (or with `Z`, `+01:00`)."
RELATIVE = re.compile(r"in (\d{1,5}) ?(min|minutes|h|hours?)")
ON_A_DAY = re.compile(r"(?:(today|tomorrow|[a-z]{3,9}) )?(\d{1,2}:\d{2})")
FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Needs(NamedTuple):
    """How long a scheduled release takes at most.

    Fields:
        before: From its time until production begins: staging, if that does not begin earlier.
        wave: The first wave of production; nothing if it begins whether it fits or not.
    """

    before: timedelta
    wave: timedelta


NOTHING = Needs(timedelta(), timedelta())


class Due(NamedTuple):
    """When production may begin what was scheduled; both in UTC.

    Fields:
        begin: Not before this moment; None for at once.
        latest: Not after this moment; None for ever.
    """

    begin: datetime | None
    latest: datetime | None


def due_in(evidence: Mapping[str, Any]) -> Due | None:
    """Read when a release is due from the evidence of its record's first entry; None if it was not scheduled.

    Raises:
        ValueError: They are not moments, or could not be written in every zone.
    """
    begin, latest = (
        in_utc(datetime.fromisoformat(str(evidence[name]))) if evidence.get(name) else None for name in (NOT_BEFORE, NOT_LATER_THAN)
    )
    return Due(begin, latest) if begin or latest else None


def read_moment(text: str, *, at: datetime, zone: str) -> datetime:
    """Read a moment as people write it.

    Args:
        text: `03:00` (the next one), `today 22:00`, `tomorrow 03:00`, `fri 22:30` (the next one), `in 90 min`, or an ISO time.
        at: Now (UTC).
        zone: The zone of what names none. A time in the gap of a daylight-saving night is the first instant behind it.

    Returns:
        The moment, in UTC.

    Raises:
        BadInput: It is not one, or it has passed.
    """
    words = " ".join(text.lower().split())
    found = _relative(words, at) or _on_a_day(words, at, zone) or _iso(text.strip(), zone)
    if found is None:
        raise BadInput(f"`{text}` is not a time", field="time", fix=FIX)
    if found <= at:
        raise BadInput(f"`{text}` has passed: it is {moment_in_words(at, zone)} now", field="time", fix="Name a time to come.")
    return found


def names_zone(text: str) -> bool:
    """Say whether a moment is the same in every zone: `in 90 min`, or an ISO time with its offset."""
    try:
        return datetime.fromisoformat(text.strip()).tzinfo is not None
    except ValueError:
        return RELATIVE.fullmatch(" ".join(text.lower().split())) is not None


def next_window(groups: Sequence[Group], at: datetime, *, needed: timedelta) -> Due:
    """Schedule for the next opening that is long enough; its end is the latest moment if an allow window is open in it.

    Raises:
        BadInput: There is none within two years, or there are no windows.
    """
    if not groups:
        raise BadInput("neither the plan nor a policy on this machine has windows", field="--next-window", fix="Use `--at`.")
    opening = next_opening(groups, at, needed=needed + TO_BEGIN)
    if opening is None:
        if unknown := not_known(groups):
            raise BadInput("; ".join(unknown), field="--next-window", fix="See `shipway windows PLAN` on the worker's machine.")
        fix = "`shipway windows PLAN` shows them; `--prepare` lets staging begin earlier."
        raise BadInput(f"no window is long enough for {_minutes(needed + TO_BEGIN)}", field="--next-window", fix=fix)
    return Due(opening.begin, opening.end if opening.because else None)


def scheduled(groups: Sequence[Group], begin: datetime, latest: datetime | None, *, zone: str, needs: Needs = NOTHING) -> Due:
    """Schedule for a moment, until the window closes in which it lies; for an hour if none is open then but freezes alone could close it.

    Args:
        groups: The windows of the plan and its policies.
        begin: From when on.
        latest: Until when production must have begun, if that was said.
        zone: In which to speak of it.
        needs: What the release needs.

    Raises:
        BadInput: Production is closed from that moment until the latest one, or no opening that is long enough begins by then.
    """
    if latest is not None and latest < begin:
        raise BadInput(f"it is before {moment_in_words(begin, zone)}", field="--not-later-than", fix="Name a later time.")
    if not groups:
        return Due(begin, latest or begin + WITHOUT_WINDOW)
    seen = look(groups, begin)
    if not seen.is_open and (latest is None or seen.until is None or seen.until > latest):
        wrong = f"production is closed at {moment_in_words(begin, zone)}, and opens {moment_in_words(seen.until, zone)}. "
        raise BadInput(wrong + why_closed(seen.because), field="--at", fix="Name another time, or use `--next-window`.")
    hour = begin + WITHOUT_WINDOW  # what is open until the next freeze, weeks later, is not a window that was chosen
    closes = (seen.until or hour) if seen.because else min(seen.until or hour, hour)
    due = Due(begin, latest or closes)
    opening = next_opening(groups, begin + needs.before, needed=needs.wave + TO_BEGIN if needs.wave else timedelta())
    if due.latest is not None and (opening is None or opening.begin > due.latest):
        times = f"{_minutes(needs.before)} for staging before it, {_minutes(needs.wave)} for itself, and {_minutes(TO_BEGIN)} to begin"
        wrong = f"from {moment_in_words(begin, zone)} on, production may take at most {times}, which does not fit in until "
        fix = "Name another time, or let staging begin earlier with `--prepare`."
        raise BadInput(wrong + moment_in_words(latest or closes, zone), field="--at", fix=fix)
    return due


def decide_due(decide: Callable[[datetime], Decision], due: Due, at: datetime) -> Decision:
    """Decide whether a wave of a scheduled release begins at a moment; what cannot begin in time any more is missed.

    Args:
        decide: Decides by the windows alone.
        due: When it is due.
        at: The moment (UTC).
    """
    span = f"was scheduled to begin production {_span(due)}"
    if due.latest is not None and at > due.latest:
        return Decision(begins=False, until=None, what="", why="", missed=f"it {span}, and it is {_too_late(at, due.latest)}")
    if due.begin is not None and at < due.begin:
        then = decide(due.begin)
        found = replace(then, begins=False, until=then.until or due.begin, opens=due.begin if then.begins else then.opens)
        if then.begins:
            found = replace(found, what=f"production is due {moment_in_words(due.begin)}", why=f"the release {span}")
    else:
        found = decide(at)
    if found.closes is not None and found.until is not None:
        return replace(found, until=min(found.until, due.latest or found.until))
    if found.until is not None and due.latest is not None and found.until > due.latest:
        return replace(found, missed=f"it {span}, but {found.what}: {found.why}")
    return found


def outlasting(due: Due | None, at: datetime, *, until: datetime | None, what: str) -> str:
    """Say why a scheduled release cannot begin any more because of a freeze; "" if it can, or was not scheduled.

    Args:
        due: When it is due.
        at: The moment (UTC).
        until: When the freeze ends by itself; None if it is to be lifted.
        what: The freeze in words.
    """
    if due is None or due.latest is None:
        return ""
    if at > due.latest:
        return f"it was scheduled to begin production {_span(due)}, and it is {_too_late(at, due.latest)}: {what}"
    return f"it was scheduled to begin production {_span(due)}, but {what}" if until is not None and until > due.latest else ""


def wakes_for(due: Due | None, until: datetime) -> datetime:
    """Give until when a release waits at most, that looks again at a moment: past its latest one it has nothing to wait for."""
    return until if due is None or due.latest is None else min(until, due.latest + timedelta(seconds=1))


def due_in_words(due: Due, zone: str = "UTC") -> str:
    """Say when production begins: `from Mon … until Tue …`."""
    return _span(due, zone)


def _span(due: Due, zone: str = "UTC") -> str:
    begin = "" if due.begin is None else f"not before {moment_in_words(due.begin, zone)}"
    latest = "" if due.latest is None else f"not later than {moment_in_words(due.latest, zone)}"
    return " and ".join(part for part in (begin, latest) if part)


def _too_late(at: datetime, latest: datetime) -> str:
    return f"{moment_in_words(at)} now, {(at - latest).total_seconds() / 60:,.4g} min too late"


def _minutes(lasts: timedelta) -> str:
    return f"{lasts.total_seconds() / 60:.4g} min"


def _relative(words: str, at: datetime) -> datetime | None:
    found = RELATIVE.fullmatch(words)
    if found is None:
        return None
    return at + timedelta(minutes=int(found[1])) * (60 if found[2].startswith("h") else 1)


def _on_a_day(words: str, at: datetime, zone: str) -> datetime | None:
    """Read `03:00`, `tomorrow 03:00` or `fri 22:30`: by the wall of the zone, the next one that has not passed."""
    found = ON_A_DAY.fullmatch(words)
    if found is None:
        return None
    try:
        clock = time.fromisoformat(found[2].zfill(5))
    except ValueError:
        return None
    here, day = zone_of(zone), found[1]
    today = wall_of(at, here).date()
    if day in {"today", "tomorrow"}:
        days = [0 if day == "today" else 1]
    elif day is None:
        days = [0, 1]
    else:
        names = [number for number, name in enumerate(FULL_DAYS) if day in {name, DAYS[number].lower()}]
        if not names:
            return None
        ahead = (names[0] - today.weekday()) % 7
        days = [ahead, ahead + 7]
    moments = [utc_of(datetime.combine(today + DAY * ahead, clock), here) for ahead in days]
    return next((moment for moment in moments if moment > at), moments[-1])


def _iso(text: str, zone: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return in_utc(utc_of(found, zone_of(zone)) if found.tzinfo is None else found)
    except (ValueError, OverflowError):
        return None
