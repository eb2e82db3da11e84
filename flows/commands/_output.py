"""How commands write: a sign for each outcome, colour on a terminal alone, whole lines elsewhere, and JSON for programs."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

WIDTH = 150
CELL = 32_000  # spreadsheets take no longer one
FORMULA = ("=", "+", "-", "@")
CLEAR = "\r\033[K"
KINDS = {"opened": "▶", "effect": "→", "gate": "⏸", "rollback": "↩", "refused": "✗", "approval": "✓", "closed": "■"}
OUTCOMES = {
    "passed": "✓", "accepted": "✓", "deployed": "✓", "rehearsed": "✓",
    "failed": "✗", "error": "✗", "refused": "✗", "rejected": "✗", "rolled_back": "↩", "cancelled": "↩", "partly_deployed": "↩",
    "no_data": "?", "watching": "?", "mismatch": "?",
}  # fmt: skip
COLOURS = {"✓": "32", "✗": "31", "↩": "31", "?": "33", "⏸": "33"}


def show(text: object = "", *, error: bool = False, end: str = "\n") -> None:
    """Print for people; the one way to the terminal of what may quote the API, a record, a log or a person.

    No escape sequence, control character or direction of theirs reaches the terminal, and no secret that this process holds.

    Args:
        text: In lines.
        error: To standard error.
        end: What follows.
    """
    from blocks.outside_text import said

    found = str(text)
    _write(said(found, limit=len(found) + 1, lines=True), error=error, end=end)


def show_secret(text: str) -> None:
    """Print what the person who runs this command is meant to see, such as a password that was just made."""
    from blocks.outside_text import outside

    _write(outside(text, limit=len(text) + 1, lines=True))


def show_marked(word: str, code: str, text: str) -> None:
    """Print a line that begins with a coloured word of ours, see `colour`."""
    from blocks.outside_text import said

    _write(f"{colour(word, code)}{said(text, limit=len(text) + 1, lines=True)}")


def show_markdown(text: str, *, title: str = "") -> None:
    """Print markdown, between lines if it has a title. Links show where they lead."""
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.text import Text

    from blocks.outside_text import said

    console = Console()
    if title:
        console.rule(Text(said(title)))
    console.print(Markdown(said(text, limit=len(text) + 1, lines=True), hyperlinks=False))
    if title:
        console.rule()


def _write(text: str, *, error: bool = False, end: str = "\n") -> None:
    print(text, file=sys.stderr if error else sys.stdout, end=end, flush=True)


def sign_of(kind: str, outcome: str) -> str:
    """Choose the sign of a record's entry: by its outcome, if it has one, else by its kind.

    Args:
        kind: The entry's kind.
        outcome: `passed`, `failed` …; "" for none.

    Returns:
        One character. A check that did not pass never has the sign of one that did.
    """
    if outcome in OUTCOMES and kind != "rollback":
        return OUTCOMES[outcome]
    return "✗" if outcome in {"failed", "error"} else KINDS.get(kind, "·")


def colour(text: str, code: str, *, stream: TextIO | None = None) -> str:
    """Colour a text for a terminal.

    Args:
        text: What is shown.
        code: The SGR parameter, as "31" for red; "" for none.
        stream: Where it is shown; standard output if None.

    Returns:
        The text as it is if the stream is not a terminal, TERM is dumb, or NO_COLOR is set (https://no-color.org).
    """
    shown = (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\033[{code}m{text}\033[0m" if shown and code else text


def coloured_sign(sign: str) -> str:
    """Colour a sign: green for passed, red for failed and rolled back, yellow for what needs a person."""
    return colour(sign, COLOURS.get(sign, ""))


def one_line(text: str) -> str:
    """Write a text in one line without control characters: whole, or cut to a readable length on a terminal."""
    from blocks.outside_text import said

    return cut(said(text, limit=len(text) + 1), width=WIDTH)


def cut(line: str, *, width: int) -> str:
    """Shorten a line for a terminal; anywhere else it stays whole."""
    return line if len(line) <= width or not sys.stdout.isatty() else f"{line[: width - 1]}…"


def progress(seconds: float, text: str) -> None:
    """Show progress in the terminal's last line, which the next line overwrites; nothing elsewhere."""
    if sys.stdout.isatty():
        line = f"{seconds:6.1f} s  … {one_line(text)}"
        _write(f"{CLEAR}{cut(line, width=shutil.get_terminal_size().columns - 1)}", end="")


def entry_line(seconds: float, *, kind: str, outcome: str, text: str) -> None:
    """Show one entry of a record in one line.

    Args:
        seconds: Since the first one that is shown.
        kind: The entry's kind.
        outcome: Its outcome, or "".
        text: What happened, and why.
    """
    clear = CLEAR if sys.stdout.isatty() else ""
    _write(f"{clear}{seconds:6.1f} s  {coloured_sign(sign_of(kind, outcome))} {one_line(text)}")


def add_json(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    """Describe the option that asks for JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs; errors stay on standard error")


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON document: times in ISO 8601, other values that JSON does not have as text.

    It is ASCII, so that no control character of a run's name or of a message reaches the terminal.
    """
    _write(json.dumps(value, indent=2, default=as_text).replace("\x7f", "\\u007f"))


def print_csv(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows of the same fields as CSV (RFC 4180), with a header; lists are written with spaces, nothing as an empty cell.

    No cell begins a formula when a spreadsheet opens the file: what people wrote may begin with `=`.
    """
    text = io.StringIO()
    writer: Any = None
    for row in rows:
        if writer is None:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(row)
        writer.writerow(map(_cell, row.values()))
    _write(text.getvalue(), end="")


def _cell(value: object) -> str | float:
    from blocks.outside_text import outside

    if isinstance(value, bool) or value is None:
        return "" if value is None else str(value).lower()
    if isinstance(value, int | float):
        return value
    found = outside(" ".join(map(str, value)) if isinstance(value, list) else as_text(value), limit=CELL)
    return f"'{found}" if found.startswith(FORMULA) else found


def as_text(value: object) -> str:
    """Write a value that JSON does not have: a time in ISO 8601, any other as its text."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
