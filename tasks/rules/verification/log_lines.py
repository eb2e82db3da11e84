"""Log lines: error lines of the canary that the baseline never logged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from blocks.outside_text import OutsideText, outside, without_escapes

VARYING = re.compile(r"\b[0-9a-f]{8,}\b|\d+|'[^']{0,200}'|\"[^\"]{0,200}\"", re.IGNORECASE)
LINE_LIMIT = 500


def kind_of(line: str) -> str:
    """Reduce a line to its kind: numbers, ids and quoted texts become `#`.

    Args:
        line: A log line.

    Returns:
        The kind; two lines of one cause share it, whatever colours they have.
    """
    return VARYING.sub("#", outside(line, limit=LINE_LIMIT)).strip()[:LINE_LIMIT]


def new_error_kinds(canary: Iterable[str], baseline: Iterable[str], *, pattern: str) -> list[tuple[str, int, OutsideText]]:
    """Find the kinds of error lines that only the canary logs.

    Args:
        canary: The canary's lines.
        baseline: The baseline's lines.
        pattern: Regular expression of an error line.

    Returns:
        Kind, how often it came and one example, the most frequent first. A line is matched as it is, and without its escape sequences: a
        coloured ERROR is one, and a pattern may name a tab.
    """
    wrong = re.compile(pattern)

    def is_error(line: str) -> bool:
        return bool(wrong.search(plain := without_escapes(line)) or (plain != line and wrong.search(line)))

    known = {kind_of(line) for line in baseline if is_error(line)}
    examples: dict[str, OutsideText] = {}
    counts: Counter[str] = Counter()
    for line in canary:
        if is_error(line) and (kind := kind_of(line)) not in known:
            counts[kind] += 1
            examples.setdefault(kind, outside(line, limit=LINE_LIMIT))
    return [(kind, count, examples[kind]) for kind, count in counts.most_common()]
