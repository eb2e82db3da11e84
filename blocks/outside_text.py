"""Text from outside, made safe once: what services, platforms, Git, people and the API say, before anything of ours carries it.

A log line, a body, an exception's text may hold anything: escape sequences of a terminal, NUL, which PostgreSQL refuses, lone surrogates,
which are not UTF-8, line separators, directions. `outside` is the only way to an `OutsideText`, which every validator takes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

from blocks.secret_text import hide

OutsideText = NewType("OutsideText", str)
"""Text that passed through `outside`. mypy refuses plain text in its place."""

LINE_LIMIT = 2_000
REASON_LIMIT = 500
NAME_LIMIT = 64
ENDING_LIMIT = 16_000
KEY_LIMIT = 300
PART_LIMIT_BYTES = 200
LAST_LINES, LAST_LINE_LIMIT = 3, 200  # of a log, in a message
NO_REASON = OutsideText("no reason given")
UNKNOWN = OutsideText("unknown")
MARK = "\N{REPLACEMENT CHARACTER}"
BREAK = "\N{ZERO WIDTH SPACE}"

# ECMA-48: control sequences (colours, cursor), strings that end (titles, links), and the other escapes. A string without an end is no
# string: it would hide the rest of the line.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
)
# How Python writes bytes in an exception, as h11 does with an answer's header; one that was cut has no end.
_BYTES = re.compile(r"""(?:bytearray\(|(?<![\w'"]))[bB](?:'(?>(?:[^'\\]|\\.)*)(?:'|$)|"(?>(?:[^"\\]|\\.)*)(?:"|$))\)?""", re.DOTALL)
BYTES = "(bytes)"
_BREAKS = re.compile(r"\r\n?|[\v\f\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")
# Extended autolinks (https://github.github.com/gfm/#autolinks-extension-), and those of other schemes, which some renderers link, too.
_LINKED = re.compile(r":(?=//)|www(?=\.)|@(?=[\w.+-])", re.IGNORECASE)
# Controls, directions (bidi), lone surrogates, the byte-order mark, and what Unicode calls no characters.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)


def outside(text: object, *, limit: int = LINE_LIMIT, lines: bool = False) -> OutsideText:
    """Clean text from outside.

    Escape sequences are dropped. Whitespace of any kind becomes one space each run; with `lines`, line breaks of any kind become newlines,
    and tabs and spaces stay. Every other control character, direction, lone surrogate and noncharacter becomes U+FFFD.

    Args:
        text: Anything; what is not text is converted to it.
        limit: The most characters; longer text is cut, and ends in `…`.
        lines: Keep it in lines.

    Returns:
        The text; cleaned again it stays as it is. It may be empty.
    """
    found = without_escapes(_written(text)[: 8 * limit + LINE_LIMIT])  # cut first, so that no length costs time
    found = _BREAKS.sub("\n", found) if lines else _SPACES.sub(" ", found).strip()
    found = _UNSAFE.sub(MARK, found)
    return OutsideText(found if len(found) <= limit else f"{found[: limit - 1].rstrip()}…")


def without_escapes(text: str) -> str:
    """Drop the escape sequences of terminals, so that a coloured word is that word."""
    return _ESCAPES.sub("", text) if "\x1b" in text or not text.isascii() else text


def unlinked(text: str) -> str:
    """Break the addresses of pages and of mail in a text by a zero-width space, for what makes links of them unasked.

    An escape is not enough: renderers of Markdown look for addresses in the text as it reads once its escapes and entities are resolved.

    Args:
        text: In which this is done before it is escaped.
    """
    return _LINKED.sub(lambda found: found[0] + BREAK, text)


def as_reason(text: object) -> OutsideText:
    """Make a reason for the record: one line of at most 500 characters that is never empty, without the secrets of this process.

    Args:
        text: Anything.
    """
    return said("" if text is None else text, limit=REASON_LIMIT) or NO_REASON


def as_name(text: object) -> OutsideText:
    """Make a person's name for the record: one line of at most 64 characters, `unknown` if it is empty."""
    return outside("" if text is None else text, limit=NAME_LIMIT) or UNKNOWN


def as_ending(text: object) -> OutsideText:
    """Make the words of an ending, which may join those of many targets: one line of at most 16,000 characters that is never empty."""
    return said(text, limit=ENDING_LIMIT) or NO_REASON


def error_text(error: BaseException, *, limit: int = LINE_LIMIT) -> OutsideText:
    """Write an error as its class and its words, one of ours as its words alone, in one line, without the secrets of this process."""
    words = _written(error)
    name = "" if words and getattr(error, "is_in_words", False) is True else f"{type(error).__name__}: "
    return said(without_bytes(name + words), limit=limit)


def without_bytes(text: str) -> str:
    """Replace the bytes that an exception's text shows: they are a piece of an answer, with what it may hold.

    Args:
        text: As `illegal header line: bytearray(b'X-Key: …')`, which becomes `illegal header line: (bytes)`.
    """
    return _BYTES.sub(BYTES, text) if "b'" in text or 'b"' in text or "B'" in text or 'B"' in text else text


def said(text: object, *, limit: int = LINE_LIMIT, lines: bool = False) -> OutsideText:
    """Clean text as `outside` does, without the secrets that this process holds: for what is read by people, never for keys.

    Args:
        text: Anything.
        limit: The most characters.
        lines: Keep it in lines.
    """
    whole = hide(_written(text)[: 8 * limit + LINE_LIMIT])  # before it is cut, and again once no escape sequence stands within a secret
    return OutsideText(hide(outside(whole, limit=limit, lines=lines))[:limit])


def last_lines(lines: Iterable[str]) -> str:
    """Quote the end of a log for an error's message: its last three different lines that say something, 600 characters at most.

    Args:
        lines: The log's end.

    Returns:
        `; its last lines: …`, or "" if the log says nothing.
    """
    told = [*dict.fromkeys(line for line in (said(one, limit=LAST_LINE_LIMIT) for one in lines) if line)][-LAST_LINES:]
    return f"; its last lines: {' | '.join(told)}" if told else ""


def safe_key(text: str) -> str:
    """Make a key that records and result storages take, the same for the same text.

    Args:
        text: A key with parts between slashes, of which some come from outside, as a version that a platform reports.

    Returns:
        The same text where it is one clean line of at most 300 characters, no part of which is `..` or longer than a file's name;
        else its clean beginning and its SHA-256.
    """
    parts = text.split("/")
    plain = outside(text, limit=KEY_LIMIT) == text and not {".", ".."} & set(parts)
    if text and plain and all(len(part.encode()) <= PART_LIMIT_BYTES for part in parts):
        return text
    begin = re.sub(r"[^0-9A-Za-z_-]+", "-", outside(text, limit=PART_LIMIT_BYTES // 2))
    return f"{begin}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _written(text: object) -> str:
    if isinstance(text, str):
        return text
    try:
        return str(text)
    except Exception:  # noqa: BLE001 - a third party's error whose own message fails
        return f"{type(text).__name__} without words"
