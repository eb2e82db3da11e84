"""Axes: where ticks stand and how numbers are written beside them."""

from __future__ import annotations

import math

TIME_STEPS_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400)
UNIT = "\u00a0%"  # the space does not break
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def ratio_ticks(top: float, *, count: int = 5) -> list[float]:
    """Place ticks on an axis of ratios from 0 to at least `top`, at steps of 1, 2 or 5 times a power of ten.

    Args:
        top: The largest ratio that must fit, above 0.
        count: How many intervals are wanted, about.

    Returns:
        Ticks from 0 up; the last is at or above `top`.
    """
    rough = max(top, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    return [index * step for index in range(math.ceil(top / step - 1e-9) + 1)]


def time_ticks(end_seconds: float, *, count: int = 7) -> list[float]:
    """Place ticks on an axis of time from 0 to at most `end_seconds`, at steps that people count in.

    Args:
        end_seconds: The length of the axis.
        count: How many intervals are allowed at most.

    Returns:
        Ticks in seconds, 0 first.
    """
    fitting = (step for step in TIME_STEPS_SECONDS if end_seconds / step <= count)
    step = next(fitting, math.ceil(end_seconds / count / DAY) * DAY)
    return [float(index * step) for index in range(int(end_seconds // step) + 1)]


def percent(ratio: float) -> str:
    """Write a ratio as a percentage with about two significant digits: `9.2 %`, `0.054 %`, `100 %`, with a space that does not break."""
    value = ratio * 100
    if value == 0:
        return f"0{UNIT}"
    digits = max(0, min(6, 1 - math.floor(math.log10(abs(value)))))
    text = f"{value:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + UNIT


def duration(seconds: float) -> str:
    """Write a length of time as people say it: `0.8 s`, `14 s`, `2 min 5 s`, `3 h 20 min`, `2 d 4 h`."""
    if abs(seconds) < 9.95:  # noqa: PLR2004 - one decimal says something below ten
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    parts = [(whole // DAY, "d"), (whole % DAY // HOUR, "h"), (whole % HOUR // MINUTE, "min"), (whole % MINUTE, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"


def clock(seconds: float, *, longest_seconds: float) -> str:
    """Write a tick of a time axis in the unit that suits the whole axis: `45`, `1:30` or `2:05:00`."""
    whole = round(seconds)
    if longest_seconds < 2 * MINUTE:
        return f"{whole}"
    if longest_seconds < 2 * HOUR:
        return f"{whole // MINUTE}:{whole % MINUTE:02d}"
    return f"{whole // HOUR}:{whole % HOUR // MINUTE:02d}"


def clock_unit(longest_seconds: float) -> str:
    """Name the unit in which `clock` writes."""
    return "seconds" if longest_seconds < 2 * MINUTE else "min:s" if longest_seconds < 2 * HOUR else "h:min"
