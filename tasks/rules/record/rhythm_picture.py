"""The picture of a week's traffic: a row a day, the requests of each quarter of an hour, the quietest windows, and what is closed.

Hand-written SVG like the picture of a watch. What colour says is said a second time: by hatching, by outline and by words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.rules.record.picture_style import FONT
from tasks.rules.record.svg import text_at, xml

WIDTH, ROW, GAP = 900, 44, 10
MOST_HIGH = ROW - 2  # of the busiest quarter of an hour
LEFT, RIGHT, TOP, BOTTOM = 62, 196, 76, 74
PLOT = WIDTH - LEFT - RIGHT
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "holiday")
DAY_MINUTES, SLOT_MINUTES, HOURS = 24 * 60, 15, (0, 3, 6, 9, 12, 15, 18, 21, 24)
DAY_SLOTS = DAY_MINUTES // SLOT_MINUTES
CHARACTER_WIDTH = 6.6
LIGHT = "--ink:#1c2430;--soft:#566273;--rule:#d9dee6;--paper:#ffffff;--bar:#7d9cc0;--edge:#0a5c99;--mark:#c04a00"
DARK = "--ink:#e6e9ef;--soft:#a3adbd;--rule:#39424f;--paper:#14181f;--bar:#41628a;--edge:#8fc0ee;--mark:#ff9d5c"
RULES = """
.shipway-rhythm{LIGHT}
@media (prefers-color-scheme:dark){.shipway-rhythm{DARK}}
.shipway-rhythm text{font-family:FONT;font-size:12px;fill:var(--ink)}
.shipway-rhythm .card{fill:var(--paper);stroke:var(--rule)}.shipway-rhythm .title{font-size:14px;font-weight:600}
.shipway-rhythm .soft{fill:var(--soft);font-size:11.5px;font-variant-numeric:tabular-nums}
.shipway-rhythm .middle{text-anchor:middle}.shipway-rhythm .end{text-anchor:end}
.shipway-rhythm .grid{stroke:var(--rule)}.shipway-rhythm .floor{stroke:var(--soft)}
.shipway-rhythm .bars{fill:var(--bar);stroke:var(--edge);stroke-width:1.2;stroke-linejoin:round}
.shipway-rhythm .closed-line{stroke:var(--ink);stroke-opacity:.42;stroke-width:1}
.shipway-rhythm .hole-dot{fill:var(--soft)}
.shipway-rhythm .best{fill:none;stroke:var(--mark);stroke-width:1.4;stroke-dasharray:3 2.5}
.shipway-rhythm .chosen{fill:var(--mark);fill-opacity:.16;stroke:var(--mark);stroke-width:2.4}
.shipway-rhythm .chosen-text{fill:var(--mark);font-weight:600}
"""


class Mark(NamedTuple):
    """A window of the week that is proposed.

    Fields:
        minute: When it begins, in minutes since Monday 00:00.
        minutes: How long it is.
        label: What stands beside its day.
        is_chosen: Whether it is the one.
    """

    minute: int
    minutes: int
    label: str
    is_chosen: bool = False


class Rhythm(NamedTuple):
    """What the picture shows.

    Fields:
        title: Whose traffic.
        note: By which clock, from how many weeks.
        week: Requests in each quarter of an hour from Monday 00:00 on, then those of a holiday; None where that was not measured.
        marks: The windows.
        closed: Quarters of an hour in which production is closed in the coming week.
        chosen: What is said of the window that was chosen.
    """

    title: str
    note: str
    week: Sequence[float | None]
    marks: Sequence[Mark]
    closed: Sequence[int] = ()
    chosen: str = "chosen"


def rhythm_picture(rhythm: Rhythm, *, name: str) -> str:
    """Draw a week.

    Args:
        rhythm: The week.
        name: Tells this picture's inner ids from those of others on the same page: letters, digits, dashes.

    Returns:
        SVG text, well-formed XML, with a background of its own; light or dark as the reader's system is.
    """
    rows = len(rhythm.week) // DAY_SLOTS
    height = TOP + rows * (ROW + GAP) + BOTTOM
    style = RULES.replace("LIGHT", LIGHT).replace("DARK", DARK).replace("FONT", FONT).strip().replace("\n", "")
    most = max((one for one in rhythm.week if one is not None), default=0.0)
    parts = [
        text_at(14, 26, rhythm.title, "title"), text_at(14, 46, rhythm.note, "soft"), *_hours(rows),
        *(part for day in range(rows) for part in _day(rhythm, day, most, name)),
        *(part for mark in rhythm.marks for part in _mark(mark)), *_labels(rhythm), *_key(height, most, name, rhythm),
    ]  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="shipway-rhythm" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="{name}-title {name}-words"><title id="{name}-title">{xml(rhythm.title)}</title>'
        f'<desc id="{name}-words">{xml(rhythm_in_words(rhythm))}</desc><style>{style}</style>{_patterns(name)}'
        f'<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>{"".join(parts)}</svg>'
    )


def rhythm_in_words(rhythm: Rhythm) -> str:
    """Say what the picture shows, for those who do not see it."""
    said = [rhythm.note, *(f"{DAYS[mark.minute // DAY_MINUTES]} {mark.label}{' (chosen)' * mark.is_chosen}" for mark in rhythm.marks)]
    missing = sum(one is None for one in rhythm.week)
    return "; ".join([*said, f"{missing} of {len(rhythm.week)} quarters of an hour were not measured"] if missing else said) + "."


def _patterns(name: str) -> str:
    return (
        f'<defs><pattern id="{name}-closed" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<line class="closed-line" x1="0" y1="0" x2="0" y2="6"/></pattern>'
        f'<pattern id="{name}-hole" width="6" height="6" patternUnits="userSpaceOnUse">'
        '<circle class="hole-dot" cx="3" cy="3" r="1"/></pattern></defs>'
    )


def _hours(rows: int) -> Iterator[str]:
    bottom = TOP + rows * (ROW + GAP)
    for hour in HOURS:
        x = LEFT + PLOT * hour / 24
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 4}" x2="{x:.1f}" y2="{bottom - GAP}"/>'
        yield text_at(x, bottom + 8, f"{hour:02}:00", "soft middle")


def _day(rhythm: Rhythm, day: int, most: float, name: str) -> Iterator[str]:
    """Draw a day: what is closed, what was not measured, and the requests, as high as the busiest quarter of the week allows."""
    slots = range(day * DAY_SLOTS, (day + 1) * DAY_SLOTS)
    yield text_at(LEFT - 10, _floor(day) - ROW / 2 + 4, DAYS[day], "end")
    closed = set(rhythm.closed)
    for begin, end in _spans([rhythm.week[slot] is not None for slot in slots]):
        yield _bars(day, begin, [(rhythm.week[slots[slot]] or 0.0) / most if most else 0.0 for slot in range(begin, end)])
    yield from (_area(day, span, f"{name}-closed") for span in _spans([slot in closed for slot in slots]))
    yield from (_area(day, span, f"{name}-hole") for span in _spans([rhythm.week[slot] is None for slot in slots]))
    yield f'<line class="floor" x1="{LEFT}" y1="{_floor(day)}" x2="{LEFT + PLOT}" y2="{_floor(day)}"/>'


def _bars(day: int, begin: int, shares: Sequence[float]) -> str:
    """Draw neighbouring quarters as one outline, in relative steps, which are short."""
    width, before, said = PLOT / DAY_SLOTS, 0, f"M{_x(begin):.1f} {_floor(day)}"
    for share in shares:
        tall = round(MOST_HIGH * 10 * share)
        said += f"v{(before - tall) / 10:g}h{width:.2f}"
        before = tall
    return f'<path class="bars" d="{said}v{before / 10:g}z"/>'


def _mark(mark: Mark) -> Iterator[str]:
    """Frame a window; one that goes on after midnight is framed on both days."""
    begin, left = mark.minute, mark.minutes
    while left > 0:
        day, minute = divmod(begin % (7 * DAY_MINUTES), DAY_MINUTES)
        lasts = min(left, DAY_MINUTES - minute)
        x, width = LEFT + PLOT * minute / DAY_MINUTES, PLOT * lasts / DAY_MINUTES
        kind = "chosen" if mark.is_chosen else "best"
        yield f'<rect class="{kind}" x="{x:.1f}" y="{_floor(day) - ROW - 2}" width="{max(width, 4):.1f}" height="{ROW + 4}" rx="2"/>'
        begin, left = begin + lasts, left - lasts


def _labels(rhythm: Rhythm) -> Iterator[str]:
    """Write the requests of each day's window at the right, and point out the chosen one."""
    if rhythm.marks:
        yield text_at(LEFT + PLOT + 12, TOP - 10, f"quietest {rhythm.marks[0].minutes} min: requests", "soft")
    for mark in rhythm.marks:
        day = mark.minute // DAY_MINUTES
        y = _floor(day) - ROW / 2 + 4
        yield text_at(LEFT + PLOT + 12, y, f"{'◆ ' if mark.is_chosen else ''}{mark.label}", "chosen-text" if mark.is_chosen else "soft")


def _key(height: int, most: float, name: str, rhythm: Rhythm) -> Iterator[str]:
    """Explain what is drawn, and nothing else."""
    y, x = height - 18.0, 14.0
    yield text_at(14, height - 40, f"The height of a row is {most:,.0f} requests in a quarter of an hour.", "soft")
    items = [("chosen", rhythm.chosen)] if any(mark.is_chosen for mark in rhythm.marks) else []
    items += [("best", "the quietest of each day")] if any(not mark.is_chosen for mark in rhythm.marks) else []
    items += [("closed", "closed in the coming week")] if rhythm.closed else []
    items += [("hole", "not measured, which is not quiet")] if None in rhythm.week else []
    for kind, words in items:
        fill = f' fill="url(#{name}-{kind})"' if kind in {"closed", "hole"} else ""
        kind_ = "grid" if fill else kind
        yield f'<rect class="{kind_}"{fill} x="{x:.1f}" y="{y - 10:.1f}" width="18" height="12" rx="2"/>'
        yield text_at(x + 24, y, words, "soft")
        x += 24 + len(words) * CHARACTER_WIDTH + 18


def _spans(is_so: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Give the runs of true values, as begin and end."""
    begin: int | None = None
    for index, value in enumerate([*is_so, False]):
        if value and begin is None:
            begin = index
        elif not value and begin is not None:
            yield begin, index
            begin = None


def _area(day: int, span: tuple[int, int], pattern: str) -> str:
    begin, end = (_x(one) for one in span)
    return f'<rect fill="url(#{pattern})" x="{begin:.1f}" y="{_floor(day) - ROW}" width="{end - begin:.1f}" height="{ROW}"/>'


def _x(slot: int) -> float:
    return LEFT + PLOT * slot / DAY_SLOTS


def _floor(day: int) -> int:
    return TOP + day * (ROW + GAP) + ROW
