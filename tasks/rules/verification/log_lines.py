"""Log lines: error lines of the canary that the baseline never logged."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import regex

from blocks.outside_text import OutsideText, outside, without_escapes
from blocks.secret_text import CUT
from tasks.rules.analysis.outcome import Outcome

VARYING = re.compile(r"\b[0-9a-f]{8,}\b|\d+|'[^']{0,200}'|\"[^\"]{0,200}\"", re.IGNORECASE)
LINE_LIMIT = 500
CLEANED_LIMIT = 8 * LINE_LIMIT  # of an error line: the most that is cleaned, so that no length costs time
MOST_SECONDS = 60.0
MOST_KINDS = 10_000


class NewErrors(NamedTuple):
    """What a search found.

    Fields:
        kinds: Kind, how often it came and one example, the most frequent first.
        lines: How many lines the canary logged.
        fault: Why the search of the canary's log is not whole; "" if it is.
        known: The kinds of error lines that the baseline logged, each as `hash_of` gives it, for a later search.
        in_part: Why the baseline's log is known only in part, or not at all; "" if it is known.
    """

    kinds: list[tuple[str, int, OutsideText]]
    lines: int
    fault: str
    known: list[str]
    in_part: str = ""


class ErrorSearch:
    """Looks for error lines while a log is read, in bounded memory and time.

    A line is matched as it is, and without its escape sequences: a coloured ERROR is one, and a pattern may name a tab. What a version
    logs, a pattern that backtracks over it, and what its error lines hold, take a minute at most. A baseline whose log takes longer, or has
    too many kinds, is known only in part. Lines that are alike as they were written are cleaned once.

    Args:
        pattern: Regular expression of an error line.
        canary: The version under release.
        baseline: The version before, if there is one.
        known: Kinds that it logged earlier, when its log could still be read, as `NewErrors.known` has them.
        clean: Applied to error lines before they are compared and shortened, as what hides secrets.
        seconds: How long all lines of a version may take.
    """

    def __init__(
        self,
        pattern: str,
        *,
        canary: str,
        baseline: str | None,
        known: Iterable[str] = (),
        clean: Callable[[str], str] = str,
        seconds: float = MOST_SECONDS,
    ) -> None:
        """Start without a line."""
        self._wrong, self._clean, self._left = regex.compile(pattern), clean, dict.fromkeys((canary, baseline), seconds)
        self._counts: dict[str, Counter[str]] = {one: Counter() for one in (canary, baseline) if one}
        self._examples: dict[str, OutsideText] = {}
        self._cleaned: dict[str, str] = {}
        self._canary, self._baseline, self._known = canary, baseline, dict.fromkeys(known)
        self.lines, self._faults = 0, dict[str, str]()

    def take(self, version: str, text: str) -> bool:
        """Look at one line; one of another version does not count.

        Returns:
            Whether the search of that version has ended: further lines of it count for nothing.
        """
        if version not in self._counts or version in self._faults:
            return True
        self.lines += version == self._canary
        began = time.monotonic()
        self._faults |= {version: fault} if (fault := self._taken(version, text)) else {}
        self._left[version] -= time.monotonic() - began
        return version in self._faults

    def _taken(self, version: str, text: str) -> str:
        """Count a line if it is an error; gives why the search of that version ends, "" if it goes on."""
        if self._left[version] <= 0:
            return f"the error lines of {version} take too long to be compared; make `logs.error_pattern` narrower"
        try:
            if not self._is_error(text, seconds=self._left[version]):
                return ""
        except TimeoutError:
            return f"matching a line of {version} against `logs.error_pattern` takes too long; write one without nested repeats"
        kind, counts = self._kind_of(text), self._counts[version]
        if kind not in counts and len(counts) >= MOST_KINDS:
            return f"{version} logs more than {MOST_KINDS:,} kinds of error lines; make `logs.error_pattern` narrower"
        counts[kind] += 1
        return ""

    def found(self) -> NewErrors:
        """List the kinds that only the canary logged."""
        known, in_part = self._known, f"there is not a version before {self._canary} to compare with"
        if self._baseline and self._baseline != self._canary:
            known = known | dict.fromkeys(hash_of(kind) for kind, _ in self._counts[self._baseline].most_common())
            in_part = self._faults.get(self._baseline, "")
        logged = self._counts[self._canary].most_common()
        new = [(kind, count, self._examples[kind]) for kind, count in logged if hash_of(kind) not in known]
        return NewErrors(new, self.lines, self._faults.get(self._canary, ""), list(known), in_part)

    def _is_error(self, text: str, *, seconds: float) -> bool:
        spellings = dict.fromkeys((without_escapes(text), text))
        return any(self._wrong.search(one, timeout=max(seconds, 0.001), concurrent=True) for one in spellings)

    def _kind_of(self, text: str) -> str:
        """Reduce a line to its kind, cleaned; those that are of one kind before that are of one kind."""
        raw = kind_of(text)
        if (known := self._cleaned.get(raw)) is not None:
            return known
        kind = kind_of(cleaned := self._clean(_beginning(text)))
        self._examples.setdefault(kind, outside(cleaned, limit=LINE_LIMIT))
        if len(self._cleaned) < 2 * MOST_KINDS:
            self._cleaned[raw] = kind
        return kind


def _beginning(text: str) -> str:
    """Give what of a line is cleaned; a cut shows, since half a secret at the end is found by that."""
    text = without_escapes(text)
    return text if len(text) <= CLEANED_LIMIT else text[: CLEANED_LIMIT - 1] + CUT


def kind_of(line: str) -> str:
    """Reduce a line to its kind: numbers, ids and quoted texts become `#`.

    Args:
        line: A log line.

    Returns:
        The kind; two lines of one cause share it, whatever colours they have.
    """
    return VARYING.sub("#", outside(line, limit=LINE_LIMIT)).strip()[:LINE_LIMIT]


def hash_of(kind: str) -> str:
    """Give the short form of a kind, so that all kinds of a version can be kept: the first 64 bits of its SHA-256."""
    return hashlib.sha256(kind.encode()).hexdigest()[:16]


def judge_logs(found: NewErrors, *, missing: str, allowed: int, incomplete: str) -> tuple[Outcome, str, bool]:
    """Judge what a version logged.

    Kinds can be told to be new only if the baseline's log is known. If it is known only in part, they are a warning.
    A log of which not one line was read, since its platform has none or does not give it, is not judged.

    Args:
        found: What the search found.
        missing: Which lines could not be read; "" if all were.
        allowed: How many new kinds of error lines are allowed.
        incomplete: The plan's `logs.incomplete`, for a log of which lines are missing, of either version.

    Returns:
        The outcome, why, and whether there was anything to judge.
    """
    if missing and not found.lines and not found.fault:
        return (Outcome.NO_DATA if incomplete == "fail" else Outcome.PASSED), f"no line was read: {missing}", incomplete == "fail"
    said = f"{len(found.kinds)} new kind(s) of error lines in {found.lines:,} lines, {allowed} allowed"
    wrong = "; ".join(one for one in (found.fault, missing) if one)
    is_above = len(found.kinds) > allowed
    doubt = f"; a warning only, as the baseline's log is known in part: {found.in_part}" if is_above and found.in_part else ""
    reason = said + (f": {found.kinds[0][2]}" if found.kinds else "") + doubt + (f"; but {wrong}" if wrong else "")
    if is_above and not doubt:
        return Outcome.FAILED, reason, True
    if found.fault:
        return Outcome.ERROR, reason, True
    return (Outcome.NO_DATA if (missing or doubt) and incomplete == "fail" else Outcome.PASSED), reason, True
