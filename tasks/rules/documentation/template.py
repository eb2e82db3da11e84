"""Templates of the page that documents a deployment: Markdown in which `{{ name }}` is filled in, and nothing else happens.

What is filled in quotes people, Git and services, so it is escaped for Markdown's running text; a template may have a name only where that
holds: not in code, in a link's address or in HTML, where other rules apply.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

INLINE = ("service", "version", "baseline", "outcome", "reason", "requester", "approvers", "opened", "closed", "duration", "digest", "run")
BLOCKS = ("problems", "why", "people", "changes", "checklist", "checks", "pictures", "rollback", "course")
NAMES = (*INLINE, *BLOCKS)
MAX_BYTES = 100_000
FIX = "Write it outside of code, or close the code in its line; indent it by less than four columns."

_FIELD = re.compile(r"\{\{([^{}\n]*)\}\}")
_FENCE = re.compile(r"[\s>*+\-\d.)]*(`{3,}|~{3,})(.*)")
_HTML = re.compile(r"<([A-Za-z/!?]|\{\{)")
_ADDRESS = re.compile(r"\]\([^)]*$|\]:\s*\S*$")
_BARE_BEFORE = re.compile(r"[:@]|www\.?$|www\.", re.IGNORECASE)  # forges make links of addresses in running text, too
_BARE_AFTER = re.compile(r"@|://")
_INDENTED = re.compile(r" {4}| {0,3}\t")
_TICKS = re.compile(r"\\.|`+")


class Fault(NamedTuple):
    """What is wrong with a line of a template, from 1, and what to write instead."""

    line: int
    wrong: str
    fix: str


def faults_of(text: str) -> list[Fault]:
    """Find everything in a template that cannot be filled in safely; empty if it can be used."""
    return sorted({*_faults_of_lines(text), *_faults_of_addresses(text), *_faults_of_inline_code(text), *_faults_of_bare_addresses(text)})


def filled(text: str, values: Mapping[str, str]) -> str:
    """Fill a template in, once: what is filled in is not looked through again.

    Args:
        text: A template without faults.
        values: By name, each as Markdown in which no text of others can act. A block that is empty leaves its line out.
    """
    lines: list[str] = []
    for line in text.splitlines():
        found = _FIELD.fullmatch(line.strip())
        if found and found[1].strip() in BLOCKS and not values[found[1].strip()]:
            continue
        lines.append(_FIELD.sub(lambda one: values[one[1].strip()], line))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _faults_of_lines(text: str) -> Iterator[Fault]:
    fence = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if _HTML.search(line):
            yield Fault(number, "it has HTML, or an address in `<…>`", "Write it in Markdown.")
        if "{{" in (rest := _FIELD.sub("", line)) or "}}" in rest or "{%" in rest:
            yield Fault(number, "it has braces that do not name anything", "Write `{{ name }}` in one line; no code runs in a template.")
        fields = list(_FIELD.finditer(line))
        is_fence, fence = _fence_after(line, fence)
        for found in fields:
            yield from _faults_of_field(found, number, in_code=bool(fence) or is_fence, is_alone=line == found[0])


def _faults_of_field(found: re.Match[str], number: int, *, in_code: bool, is_alone: bool) -> Iterator[Fault]:
    name = found[1].strip()
    if name not in NAMES:
        yield Fault(number, f"`{found[0]}` is not known", _nearest(name, NAMES))
    elif in_code:
        yield Fault(number, f"`{found[0]}` is in a block of code, where it could not be escaped", "Take it out of there.")
    elif name in BLOCKS and not is_alone:
        yield Fault(number, f"`{found[0]}` is more than one line", "Write it alone in its line, from the first column.")


def _faults_of_addresses(text: str) -> Iterator[Fault]:
    for found in _FIELD.finditer(text):
        before = text[: found.start()]
        if _ADDRESS.search(before.rpartition("\n\n")[2]) or before.endswith(("]", "\\")):
            wrong = f"`{found[0]}` is in the address of a link, or right behind a bracket or backslash"
            yield Fault(before.count("\n") + 1, wrong, "Write it as text of its own.")


def _faults_of_inline_code(text: str) -> Iterator[Fault]:
    """Find names in code of a line or by indentation, and those beside a backtick that may pair with one in another line."""
    fence, fields, stray = "", list[tuple[int, str]](), False
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        is_fence, fence = _fence_after(line, fence)
        if fence or is_fence or not line.strip():
            if stray:
                yield from (
                    Fault(one, f"`{name}` is in a paragraph with a backtick that its line does not close", FIX) for one, name in fields
                )
            fields, stray = [], False
            continue
        in_code, is_open = _code_of(line)
        stray |= is_open
        for found in _FIELD.finditer(line):
            fields.append((number, found[0]))
            if any(start < found.start() < end for start, end in in_code) or _INDENTED.match(line):
                yield Fault(number, f"`{found[0]}` is in code, where it could not be escaped", FIX)


def _code_of(line: str) -> tuple[list[tuple[int, int]], bool]:
    """Give the spans of code in a line, and whether a backtick begins one that the line does not end."""
    spans: list[tuple[int, int]] = []
    begun: re.Match[str] | None = None
    place = 0
    while found := _TICKS.search(line, place):
        place = found.end()
        if begun is None:
            begun = found if found[0].startswith("`") else None
        elif found[0].startswith("\\"):
            place = found.start() + 1  # in code a backslash escapes nothing
        elif found[0] == begun[0]:
            spans.append((begun.start(), found.end()))
            begun = None
    return spans, begun is not None


def _faults_of_bare_addresses(text: str) -> Iterator[Fault]:
    """Find names that stand in one word with what makes it an address, or with a name that could."""
    for number, line in enumerate(text.splitlines(), start=1):
        for found in _FIELD.finditer(line):
            before, after = (_FIELD.sub("www", part) for part in (line[: found.start()], line[found.end() :]))
            word = "" if before[-1:].isspace() else (before.split() or [""])[-1]
            rest = "" if after[:1].isspace() else (after.split() or [""])[0]
            if _BARE_BEFORE.search(word) or _BARE_AFTER.search(rest):
                yield Fault(
                    number, f"`{found[0]}` is in one word with an address, or with a name that could begin one", "Put a space between."
                )


def _fence_after(line: str, fence: str) -> tuple[bool, str]:
    """Say whether a line begins or ends a block of code, and give the fence that is open after it."""
    found = _FENCE.match(line)
    if not found:
        return False, fence
    if not fence:
        return True, found[1]
    closes = found[1].startswith(fence) and not found[2].strip()
    return closes, "" if closes else fence


def _nearest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean `{{{{ {near[0]} }}}}`?" if near else f"Write one of {', '.join(known)}."
