"""Charts of bars, upright or lying; what colour says of a layer is said a second time: solid, hatched, crossed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.rules.record.axis import duration, ratio_ticks, time_ticks
from tasks.rules.record.svg import Style, drawing, text_at

WIDTH, UPRIGHT_HEIGHT, ROW = 860, 300, 30
LEFT, RIGHT, TOP, BOTTOM = 48, 20, 76, 50
NAMES_LEFT, WORDS_RIGHT = 210, 210  # of bars that lie
MOST_TICKS, GAP = 5, 0.18
CHARACTER_WIDTH, LABEL_GAP = 6.6, 16
LONGEST_NAME, END = 30, 14


class Bar(NamedTuple):
    """One bar.

    Fields:
        label: What it is of.
        parts: How long each layer of it is, from the axis on; at most three.
        words: What stands behind one that lies.
    """

    label: str
    parts: tuple[float, ...]
    words: str = ""


class Mark(NamedTuple):
    """A line through upright bars: where it is, counted in bars from the left, and what it says."""

    place: float
    label: str


class Chart(NamedTuple):
    """What is drawn.

    Fields:
        title: What it is.
        layers: The names of the layers.
        bars: In their order.
        below: What the axis says.
        empty: What is said without a bar.
        marks: Lines through it.
        at_edges: Whether labels stand where a bar begins, as those of a histogram do.
    """

    title: str
    layers: tuple[str, ...]
    bars: tuple[Bar, ...]
    below: str
    empty: str
    marks: tuple[Mark, ...] = ()
    at_edges: bool = False


def upright(chart: Chart, *, name: str, style: Style) -> str:
    """Draw counts as upright bars, side by side.

    Args:
        chart: What is drawn.
        name: As `drawing` takes it.
        style: Likewise.
    """
    top = max((sum(bar.parts) for bar in chart.bars), default=0.0)
    parts = [_title(chart), *_key(chart, name), *(_columns(chart, top, name) if top else _nothing(chart, UPRIGHT_HEIGHT))]
    return drawing(
        parts, name=name, title=chart.title, words=in_words(chart), style=style, width=WIDTH, height=UPRIGHT_HEIGHT
    )  # fmt: skip


def lying(chart: Chart, *, name: str, style: Style, in_seconds: bool = False) -> str:
    """Draw bars that lie below one another, with their names before and their words behind them; arguments as those of `upright`.

    Args:
        chart: What is drawn.
        name: As `drawing` takes it.
        style: Likewise.
        in_seconds: Whether the axis is of time, and not of counts.
    """
    height = TOP + BOTTOM + ROW * max(2, len(chart.bars))
    top = max((sum(bar.parts) for bar in chart.bars), default=0.0)
    parts = [_title(chart), *_key(chart, name), *(_rows(chart, top, name, in_seconds=in_seconds) if top else _nothing(chart, height))]
    return drawing(parts, name=name, title=chart.title, words=in_words(chart), style=style, width=WIDTH, height=height)


def in_words(chart: Chart) -> str:
    """Say what a chart shows, for those who do not see it."""
    if not any(sum(bar.parts) for bar in chart.bars):
        return chart.empty
    said = [f"{bar.label}: {bar.words or _parts_in_words(chart, bar)}" for bar in chart.bars if sum(bar.parts)]
    return "; ".join([*said, *(mark.label for mark in chart.marks)]) + "."


def _parts_in_words(chart: Chart, bar: Bar) -> str:
    told = [f"{part:g} {layer}" for part, layer in zip(bar.parts, chart.layers, strict=False) if part]
    return ", ".join(told)


def _title(chart: Chart) -> str:
    return text_at(12, 24, chart.title, "title")


def _nothing(chart: Chart, height: int) -> list[str]:
    return [text_at(WIDTH / 2, height / 2 + 10, chart.empty, "label middle")]


def _key(chart: Chart, name: str) -> Iterator[str]:
    """Write the patterns, and what each layer is; one layer needs no key."""
    for number, lines in ((1, ("0",)), (2, ("0", "90"))):
        drawn = "".join(f'<line class="lines-{number}" x1="0" y1="0" x2="0" y2="7" transform="rotate({turn} 3.5 3.5)"/>' for turn in lines)
        yield (
            f'<defs><pattern id="{name}-{number}" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            f"{drawn}</pattern></defs>"
        )
    x = 12.0
    for number, layer in enumerate(chart.layers if len(chart.layers) > 1 else ()):
        yield _box(x, 38, 14, 12, number, name) + text_at(x + 20, 48, layer, "tick")
        x += 44 + CHARACTER_WIDTH * len(layer)


def _box(x: float, y: float, width: float, height: float, layer: int, name: str) -> str:
    fill = f' fill="url(#{name}-{layer})"' if layer else ""
    return (
        f'<rect class="layer layer-{layer}"{fill} x="{x:.1f}" y="{y:.1f}" width="{max(0.5, width):.1f}" height="{max(0.5, height):.1f}"/>'
    )


def _columns(chart: Chart, most: float, name: str) -> Iterator[str]:
    ticks = ratio_ticks(most, count=max(1, min(MOST_TICKS, int(most))))
    floor, wide = UPRIGHT_HEIGHT - BOTTOM, (WIDTH - LEFT - RIGHT) / len(chart.bars)
    scale = (floor - TOP) / ticks[-1]
    for tick in ticks:
        y = floor - tick * scale
        yield f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>' + text_at(
            LEFT - 8, y + 4, f"{tick:g}", "tick end"
        )
    room = LABEL_GAP + CHARACTER_WIDTH * max(len(bar.label) for bar in chart.bars)
    every = math.ceil(room / wide)
    for number, bar in enumerate(chart.bars):
        left, y = LEFT + wide * (number + GAP / 2), float(floor)
        for layer, part in enumerate(bar.parts):
            y -= part * scale
            if part:
                yield _box(left, y, wide * (1 - GAP), part * scale, layer, name)
        if number % every == 0:
            x = LEFT + wide * (number if chart.at_edges else number + 0.5)
            yield text_at(x, floor + 18, bar.label, "tick middle")
    yield f'<line class="axis" x1="{LEFT}" y1="{floor}" x2="{WIDTH - RIGHT}" y2="{floor}"/>'
    yield text_at((LEFT + WIDTH - RIGHT) / 2, UPRIGHT_HEIGHT - 10, chart.below, "tick middle")
    yield from _marks(chart.marks, wide, floor)


def _marks(marks: Sequence[Mark], wide: float, floor: int) -> Iterator[str]:
    """Draw the lines; each label one line lower than that before it, on the side that has room."""
    for number, mark in enumerate(marks):
        x, y = LEFT + wide * mark.place, TOP - 22 + 16 * number
        fits = x + 8 + CHARACTER_WIDTH * len(mark.label) < WIDTH - RIGHT
        for kind in ("halo", "limit"):  # so that the line is seen on a bar, too
            yield f'<line class="{kind}" x1="{x:.1f}" y1="{y - 6}" x2="{x:.1f}" y2="{floor}"/>'
        yield text_at(x + (5 if fits else -5), y + 2, mark.label, "limit-text" if fits else "limit-text end")


def _rows(chart: Chart, most: float, name: str, *, in_seconds: bool) -> Iterator[str]:
    right = WIDTH - WORDS_RIGHT
    count = max(1, min(MOST_TICKS, int(most)))
    ticks = time_ticks(most, count=MOST_TICKS) if in_seconds else ratio_ticks(most, count=count)
    scale = (right - NAMES_LEFT) / max(most, ticks[-1])
    floor = TOP + ROW * len(chart.bars)
    for tick in ticks:
        x = NAMES_LEFT + tick * scale
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{floor}"/>'
        yield text_at(x, floor + 16, duration(tick) if in_seconds else f"{tick:g}", "tick middle")
    for number, bar in enumerate(chart.bars):
        x, y = float(NAMES_LEFT), TOP + ROW * number
        yield text_at(NAMES_LEFT - 10, y + 15, _short(bar.label), "end")
        for layer, part in enumerate(bar.parts):
            if part:
                yield _box(x, y, part * scale, ROW - 10, layer, name)
            x += part * scale
        yield text_at(x + 8, y + 15, bar.words, "tick")
    yield f'<line class="axis" x1="{NAMES_LEFT}" y1="{TOP - 6}" x2="{NAMES_LEFT}" y2="{floor}"/>'
    yield text_at((NAMES_LEFT + right) / 2, floor + 36, chart.below, "tick middle")


def _short(name: str) -> str:
    """Cut a long name in its middle: its end tells it from others, as the phase of a service does."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - END - 1]}…{name[-END:]}"
