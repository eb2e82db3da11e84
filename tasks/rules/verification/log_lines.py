"""Which error lines of a new version the old one never logged."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

VARYING = re.compile(r"\b[0-9a-f]{8,}\b|\d+|'[^']{0,200}'|\"[^\"]{0,200}\"", re.IGNORECASE)
LINE_LIMIT = 500


def kind_of(line: str) -> str:
    """Reduce a line to its kind: numbers, ids and quoted texts become `#`.

    Args:
        line: A log line.

    Returns:
        The kind; two lines of one cause share it.
    """
    return VARYING.sub("#", line[:LINE_LIMIT]).strip()


def new_error_kinds(canary: Iterable[str], baseline: Iterable[str], *, pattern: str) -> list[tuple[str, int, str]]:
    """Find the kinds of error lines that only the new version logs.

    Args:
        canary: The new version's lines.
        baseline: The old version's lines.
        pattern: Regular expression of an error line.

    Returns:
        Kind, how often it came and one example, the most frequent first.
    """
    wrong = re.compile(pattern)
    known = {kind_of(line) for line in baseline if wrong.search(line)}
    examples: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for line in canary:
        if wrong.search(line) and (kind := kind_of(line)) not in known:
            counts[kind] += 1
            examples.setdefault(kind, line[:LINE_LIMIT])
    return [(kind, count, examples[kind]) for kind, count in counts.most_common()]
