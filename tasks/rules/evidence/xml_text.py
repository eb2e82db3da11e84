"""XML text: cleaned of the characters that XML forbids, in any declared encoding."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from xml.etree.ElementTree import ParseError

CHUNK_BYTES = 65_536
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
LONGEST_REFERENCE = 24
FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
REFERENCE = re.compile(r"&#(?:x([0-9A-Fa-f]{1,16})|([0-9]{1,16}));")
DECLARED = re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._:-]{1,40})["']""")
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
NOT_OF_FILES = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
INCOMPLETE = {3, 5, 13, 20}  # expat: no element found, unclosed token, partial character, unclosed CDATA section
JUNK_AFTER = 9
JUNK_BEFORE = {2, 30}  # a syntax error outside of the root, a declaration that is not first
LAST_CHARACTER = 0x10FFFF


class UnknownEncodingError(Exception):
    """The file names an encoding that no file can have; the message says which."""


def clean_text(data: bytes) -> Iterator[str]:
    """Decode XML, and replace each character that XML forbids by U+FFFD, written out or as `&#27;`.

    Args:
        data: The file.

    Yields:
        Its text in pieces of about 64 kB. What stands before the first `<` and is white is left out. Bytes that the encoding
        does not have become U+FFFD; a file that names UTF-16 and is not is read as UTF-8.

    Raises:
        UnknownEncodingError: The encoding that it names is not one.
    """
    mark, encoding = _encoding(data)
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    rest, begun = "", False
    for start in range(mark, max(len(data), mark + 1), CHUNK_BYTES):
        is_last = start + CHUNK_BYTES >= len(data)
        text = rest + decoder.decode(data[start : start + CHUNK_BYTES], final=is_last)
        text = text if begun else text.lstrip(" \t\r\n\ufeff")
        begun = begun or bool(text)
        cut = -1 if is_last else text.rfind("&", max(len(text) - LONGEST_REFERENCE, 0))  # a reference may end in the next piece
        text, rest = (text, "") if cut < 0 else (text[:cut], text[cut:])
        yield REFERENCE.sub(_allowed, FORBIDDEN.sub(REPLACEMENT, text))


def _encoding(data: bytes) -> tuple[int, str]:
    """Find how many bytes mark the encoding, and which it is."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return len(mark), encoding
    if data[:2] in {b"<\0", b"\0<"}:
        return 0, "utf-16-le" if data[0] else "utf-16-be"
    found = DECLARED.match(data[:400])
    named = found.group(1).decode("ascii") if found else "utf-8"
    try:
        name = codecs.lookup(named).name
        if name.startswith(("utf-16", "utf-32")):
            return 0, "utf-8"  # its first bytes show that it is not: programs copy that line from a constant
        b" ".decode(name, errors="replace")  # refuses what is not about text, such as `zip`
    except LookupError:
        name = ""
    if not name or name in NOT_OF_FILES:
        message = f"it names the encoding `{named}`, which is not one of files; write it as UTF-8"
        raise UnknownEncodingError(message)
    return 0, name


def _allowed(reference: re.Match[str]) -> str:
    code = int(reference[1], 16) if reference[1] else int(reference[2])
    is_character = code <= LAST_CHARACTER and not FORBIDDEN.match(chr(code))
    return reference[0] if is_character else REPLACEMENT


def explain(error: ParseError) -> str:
    """Return what is wrong with XML, and what to change.

    Args:
        error: The parser's error on the cleaned text.

    Returns:
        A clause that follows the file's name.
    """
    line, column = error.position
    if error.code in INCOMPLETE:
        return f"it is not complete XML: it ends in line {line}; its writer was stopped before, so run the tests again"
    if error.code == JUNK_AFTER:
        return f"after its end more follows in line {line}; write each report to a file of its own"
    if error.code in JUNK_BEFORE:
        return f"it is not valid XML: there is text before its first tag, in line {line}; write nothing else to the report's file"
    said = str(error).partition(":")[0]
    fix = "update what writes the report, or keep captured output out of it: a `<` or `&` in it is not escaped"
    return f"it is not valid XML: line {line}, column {column + 1}: {said}; {fix}"
