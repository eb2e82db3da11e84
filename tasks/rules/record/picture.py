"""The picture of one SLI: both revisions' ratios over the time watched, with their bounds and the moment of decision.

Hand-written SVG: no library to load, a few kilobytes, and text that follows the page's light or dark. Everything that colour
says is said a second time: by line style and marker, by hatching, by a label at the line's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from tasks.rules.record.axis import clock, clock_unit, duration, percent, ratio_ticks, time_ticks
from tasks.rules.record.series import Point, Series, Stream, WatchedStep
from tasks.rules.record.svg import drawing, text_at

WIDTH, HEIGHT = 860, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 168, 76, 50
CHARACTER_WIDTH = 6.4
LINE_SPACING, BAND_SPACING = 1.5, 3.0
SETTLED_REQUESTS = 20
LONGEST_VERSION = 14
DOTS = {"canary": "●", "baseline": "□"}
WORDS = {"watching": "inconclusive", "no_data": "no data", "mismatch": "another share"}
SIGNS = {"failed": "✕", "passed": "✓"}
Side = Literal["canary", "baseline"]
Place = TypeVar("Place", bound=tuple[float, ...])


@dataclass(frozen=True)
class Frame:
    """How values become places: `end_seconds` fills the width, `top_ratio` the height."""

    end_seconds: float
    top_ratio: float

    def x(self, seconds: float) -> float:
        """Place a moment."""
        return LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.end_seconds

    def y(self, ratio: float) -> float:
        """Place a ratio; what is off the scale stays at its edge."""
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.04, ratio / self.top_ratio)


def picture(series: Series, *, name: str, style: Literal["page", "card"]) -> str:
    """Draw one SLI.

    Args:
        series: The SLI's readings.
        name: Tells this picture's inner ids from those of others on the same page: letters, digits, dashes.
        style: `page` takes its colours from the page it stands in; `card` brings its own background and stands anywhere.

    Returns:
        SVG text, well-formed XML.
    """
    parts = [_title(series)]
    if any(_ratio(point, side) is not None for point in series.points for side in ("canary", "baseline")):
        parts += _chart(series, name)
    else:
        parts.append(text_at(WIDTH / 2, HEIGHT / 2, "No requests were counted in this watch: there is nothing to draw.", "label middle"))
    heading, words = _heading(series), in_words(series)
    return drawing(parts, name=name, title=heading, words=words, style=style, width=WIDTH, height=HEIGHT)


def in_words(series: Series) -> str:
    """Say what the picture shows, for those who do not see it."""
    told = [f"{_share(step)}: {step.outcome}" + (f" at {duration(step.decided.seconds)}" if step.decided else "") for step in series.steps]
    ends = [f"{label} ended at {value}" for label, value in _ends(series)]
    return f"{series.measure.capitalize()}. " + "; ".join([*told, *ends]) + "."


def _heading(series: Series) -> str:
    place = f" in {series.environment}" if series.environment else ""
    return f"{series.name}{place}: {series.measure}" + ("" if series.deciding else " (shown only, does not decide)")


def _title(series: Series) -> str:
    return text_at(12, 24, _heading(series), "title")


def _chart(series: Series, name: str) -> list[str]:
    frame = Frame(series.steps[-1].end_seconds, ratio_ticks(_top(series))[-1])
    room = f'x="{LEFT - 5}" y="{TOP - 6}" width="{WIDTH - LEFT - RIGHT + 10}" height="{HEIGHT - TOP - BOTTOM + 10}"'
    clip = f'<clipPath id="{name}-clip"><rect {room}/></clipPath>'
    hatch = (
        f'<pattern id="{name}-hatch" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="canary-shade" width="7" height="7"/><line class="hatch" x1="0" y1="0" x2="0" y2="7"/></pattern>'
    )
    curves = [
        *(_band(step, frame, "baseline", name) for step in series.steps),
        *(_band(step, frame, "canary", name) for step in series.steps),
        *(_line(step, frame, "baseline") for step in series.steps),
        *(_line(step, frame, "canary") for step in series.steps),
    ]
    return [
        f"<defs>{clip}{hatch}</defs>", *_axes(frame), _limit(series, frame), f'<g clip-path="url(#{name}-clip)">', *curves, "</g>",
        *(_marks(step, frame) for step in series.steps), *_boundaries(series, frame), *_end_labels(series, frame),
    ]  # fmt: skip


def _top(series: Series) -> float:
    """Choose the largest ratio shown: every settled reading, the limit, and the last bounds as far as they leave the lines readable."""
    seen = [
        ratio
        for step in series.steps
        for point in step.points
        for side in ("canary", "baseline")
        if (ratio := _ratio(point, side)) is not None and (_stream(point, side).total >= SETTLED_REQUESTS or point is step.points[-1])
    ]
    largest = max([*seen, series.limit or 0.0, 1e-4])
    bounds = [
        high for step in series.steps if step.points for side in ("canary", "baseline") if (high := _stream(step.points[-1], side).high)
    ]
    return min(1.0, max(largest * 1.15, min(max(bounds, default=0.0), largest * 1.6)))


def _axes(frame: Frame) -> list[str]:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for ratio in ratio_ticks(frame.top_ratio):
        y = frame.y(ratio)
        parts.append(
            f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
            + text_at(LEFT - 8, y + 4, percent(ratio), "tick end")
        )
    for seconds in time_ticks(frame.end_seconds):
        x = frame.x(seconds)
        parts.append(f'<line class="axis" x1="{x:.1f}" y1="{floor}" x2="{x:.1f}" y2="{floor + 5}"/>')
        parts.append(text_at(x, floor + 19, clock(seconds, longest_seconds=frame.end_seconds), "tick middle"))
    parts.append(f'<line class="axis" x1="{LEFT}" y1="{floor}" x2="{right}" y2="{floor}"/>')
    unit = clock_unit(frame.end_seconds)
    return [*parts, text_at((LEFT + right) / 2, HEIGHT - 10, f"time watched ({unit}; pauses between steps left out)", "tick middle")]


def _limit(series: Series, frame: Frame) -> str:
    if series.limit is None or series.limit > frame.top_ratio:
        return ""
    y = frame.y(series.limit)
    return f'<line class="limit" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>'


def _band(step: WatchedStep, frame: Frame, side: Side, name: str) -> str:
    """Draw the always-valid bounds of one step as an area between two thin edges."""
    bounds = _apart(
        [
            (frame.x(point.seconds), frame.y(max(0.0, stream.low)), frame.y(stream.high))
            for point in step.points
            if (stream := _stream(point, side)).low is not None and stream.high is not None and stream.total > 0
        ],
        BAND_SPACING,
    )
    if len(bounds) < 2:  # noqa: PLR2004 - an area has two ends
        return ""
    outline = [f"{x:.1f},{high:.1f}" for x, _, high in bounds] + [f"{x:.1f},{low:.1f}" for x, low, _ in reversed(bounds)]
    fill = f' fill="url(#{name}-hatch)"' if side == "canary" else ""
    return f'<polygon class="{side}-band"{fill} points="{" ".join(outline)}"/>'


def _line(step: WatchedStep, frame: Frame, side: Side) -> str:
    seen = [(frame.x(point.seconds), frame.y(ratio)) for point in step.points if (ratio := _ratio(point, side)) is not None]
    places = _apart(seen, LINE_SPACING)
    if not places:
        return ""
    room = max(1, round(36 / max(0.1, (places[-1][0] - places[0][0]) / len(places))))
    markers = "".join(_marker(x, y, side) for x, y in places[::-1][::room])
    return f'<polyline class="{side}-line" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>' + markers


def _apart(places: list[Place], spacing: float) -> list[Place]:
    """Leave out what is nearer to its left neighbour than the eye can part, but never the last one."""
    kept: list[Place] = []
    for place in places:
        if not kept or place[0] - kept[-1][0] >= spacing:
            kept.append(place)
    return kept if not places or kept[-1] is places[-1] else [*kept, places[-1]]


def _marker(x: float, y: float, side: Side) -> str:
    if side == "canary":
        return f'<circle class="canary-mark" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    return f'<rect class="baseline-mark" x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6"/>'


def _marks(step: WatchedStep, frame: Frame) -> str:
    """Mark the moment of decision: a line through the plot and a ring around the canary's reading."""
    if step.decided is None:
        return ""
    x, ratio = frame.x(step.decided.seconds), _ratio(step.decided, "canary")
    ring = "" if ratio is None else f'<circle class="decision" cx="{x:.1f}" cy="{frame.y(ratio):.1f}" r="6.5"/>'
    return f'<line class="decision" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>{ring}'


def _boundaries(series: Series, frame: Frame) -> list[str]:
    """Head each step with its share of traffic and how it ended, as much as fits above it."""
    parts = []
    for index, step in enumerate(series.steps):
        left, right = frame.x(step.start_seconds), frame.x(step.end_seconds)
        if index:
            parts.append(f'<line class="boundary" x1="{left:.1f}" y1="{TOP - 36}" x2="{left:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        room = (right - left) / CHARACTER_WIDTH
        parts.append(_fitting((left + right) / 2, TOP - 26, room, (f"{_share(step)} of traffic", _share(step)), "step middle"))
        sign = SIGNS.get(step.outcome, "?")
        words = f"{sign} {WORDS.get(step.outcome, step.outcome)}"
        after = f" in {duration(step.decided.seconds - step.start_seconds)}" if step.decided else ""
        kind = f"outcome-{step.outcome}" if step.outcome in SIGNS else "outcome-open"
        parts.append(_fitting((left + right) / 2, TOP - 11, room, (words + after, words, sign), f"{kind} middle"))
    return parts


def _fitting(x: float, y: float, room: float, choices: tuple[str, ...], kind: str) -> str:
    text = next((choice for choice in choices if len(choice) <= room), "")
    return text_at(x, y, text, kind) if text else ""


def _end_labels(series: Series, frame: Frame) -> list[str]:
    """Label each line at its right end, pushed apart where lines end close to each other."""
    wanted: list[tuple[float, list[str], str]] = []
    for side, stream, step in _last_streams(series):
        y = frame.y(stream.ratio or 0)
        earlier = "" if step is series.steps[-1] else f" at {_share(step)}"
        counts = f"{percent(stream.ratio or 0)}: {stream.bad:,.0f} of {stream.total:,.0f}{earlier}"
        wanted.append((y, [f"{DOTS[side]} {side} {_short(getattr(series, side))}".rstrip(), counts], f"{side}-text"))
    if series.limit is not None and series.limit <= frame.top_ratio:
        wanted.append((frame.y(series.limit), [f"limit {percent(series.limit)}"], "limit-text"))
    wanted.sort(key=lambda label: label[0])
    places = _spread([y for y, _, _ in wanted], [15.0 * len(lines) + 5 for _, lines, _ in wanted])
    x = WIDTH - RIGHT + 8
    return [
        text_at(x, place + 15 * index - 7.5 * (len(lines) - 1) + 4, line, kind if index == 0 else f"{kind} small")
        for place, (_, lines, kind) in zip(places, wanted, strict=True)
        for index, line in enumerate(lines)
    ]


def _spread(centres: list[float], heights: list[float]) -> list[float]:
    """Move labels apart, down first and then up from the floor, so that none covers another."""
    places: list[float] = []
    edge = float(TOP - 12)
    for centre, height in zip(centres, heights, strict=True):
        places.append(max(centre, edge + height / 2))
        edge = places[-1] + height / 2
    edge = float(HEIGHT - BOTTOM + 12)
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], edge - heights[index] / 2)
        edge = places[index] - heights[index] / 2
    return places


def _last_streams(series: Series) -> list[tuple[Side, Stream, WatchedStep]]:
    """Find where each revision's line ends; the baseline's may end in an earlier step."""
    found: list[tuple[Side, Stream, WatchedStep]] = []
    sides: tuple[Side, Side] = ("canary", "baseline")
    for side in sides:
        seen = [(_stream(point, side), step) for step in series.steps for point in step.points if _ratio(point, side) is not None]
        found += [(side, *seen[-1])] if seen else []
    return found


def _ends(series: Series) -> list[tuple[str, str]]:
    return [(f"{side} {getattr(series, side)}".strip(), percent(stream.ratio or 0)) for side, stream, _ in _last_streams(series)]


def _short(version: str) -> str:
    return version if len(version) <= LONGEST_VERSION else version[: LONGEST_VERSION - 1] + "…"


def _stream(point: Point, side: str) -> Stream:
    return point.canary if side == "canary" else point.baseline


def _ratio(point: Point, side: str) -> float | None:
    return _stream(point, side).ratio


def _share(step: WatchedStep) -> str:
    return "all" if step.percent is None else f"{step.percent} %"
