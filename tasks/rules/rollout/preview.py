"""What a release would change, as it is kept and shown: bounded, and never silent about what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MOST_LINES = 200
LONGEST_LINE = 400


def bounded_preview(
    *, changes: Sequence[str] = (), drift: Sequence[str] = (), notes: Sequence[str] = (), refused: str = ""
) -> dict[str, Any]:
    """Keep at most 200 lines of each kind, 400 characters each; what is left out is counted."""
    return {"changes": _bounded(changes), "drift": _bounded(drift), "notes": _bounded(notes), "refused": refused[: 4 * LONGEST_LINE]}


def _bounded(lines: Sequence[str]) -> list[str]:
    kept = [line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 1]}…" for line in lines[:MOST_LINES]]
    return kept + ([f"… and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else [])


def preview_lines(previews: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write the previews of all environments as lines, what others changed first: that is what no one expects.

    Args:
        previews: By environment, as `bounded_preview` makes them.
    """
    titles = (("drift", "changed by others since the last release"), ("changes", "would change"), ("notes", "note"))
    lines = [f"{name} would refuse it: {one['refused']}" for name, one in previews.items() if one["refused"]]
    for kind, title in titles:
        lines += [f"{name}, {title}: {line}" for name, one in previews.items() for line in one[kind]]
    return lines


def refusals(previews: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which environments would refuse the release, and why; empty where none would."""
    return "; ".join(f"{name} would refuse it: {one['refused']}" for name, one in previews.items() if one["refused"])
