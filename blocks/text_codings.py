"""Codings of text taken off, with the place of each character: percent, JSON, HTML and their like; base64, base32, hexadecimal, byte lists.

What is sought is read in the same way as the text, so that it does not matter how often, in part or in which order something was escaped.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from html.entities import html5
from typing import NamedTuple

ROUNDS = 6
END = "\uffff"
"""Stands between the decoded runs of digits; nothing is found across it."""
LAST = 0x10FFFF
FEWEST_DIGITS = 8

Replace = Callable[[re.Match[str]], str]
_PERCENT = re.compile(r"%(?:25)*(?:[uU](?P<unit>[0-9A-Fa-f]{4})|(?P<octet>[0-9A-Fa-f]{2}))")
_ENTITY = re.compile(r"&(?:amp;)*(?:#(?P<decimal>\d{1,7});?|#[xX](?P<hex>[0-9A-Fa-f]{1,6});?|(?P<name>[A-Za-z][A-Za-z0-9]{1,31};))")
_BACKSLASH = re.compile(
    r"(?<!\\)\\++(?:[uUxX]\{(?P<point>[0-9A-Fa-f]{1,6})\}|U(?P<long>00[01][0-9A-Fa-f]{5})|[uU](?P<unit>[0-9A-Fa-f]{4})"
    r"|[xX](?P<octet>[0-9A-Fa-f]{2})|(?P<octal>[0-3][0-7]{2})|(?P<control>[abefnrtvABEFNRTV]))"
)
_OCTETS = re.compile(
    "[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\ud800-\udbff][\udc00-\udfff]|[\udc80-\udcff]"
)
_NOISE = re.compile(
    "\x1b\\[[0-?]*[@-~]"
    "|[\\s\x00-\x1f\x7f-\x9f\"'`+\\\\\xad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufffd]+"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]++(?>(?:(?:\\++|(?<=[A-Za-z0-9+/_-]{60})[ \t\r]*+\n[ \t]*+)[A-Za-z0-9+/_-]++)*)={0,2}")
_BASE32 = re.compile(r"[A-Za-z2-7]{10,}+={0,6}")
_HEX = re.compile(
    r"[0-9A-Fa-f]{12,}+"
    r"|(?<![0-9A-Za-z])(?:0[xX][0-9A-Fa-f]{1,2}|(?:[0-9A-Fa-f]{2}){1,4})(?>(?:[:,\s-]++(?:0[xX][0-9A-Fa-f]{1,2}|(?:[0-9A-Fa-f]{2}){1,4})(?![0-9A-Za-z]))+)"
)
_HEX_GROUP = re.compile(r"(?:0[xX])?([0-9A-Fa-f]+)")
_BYTES = re.compile(r"(?<![0-9.])-?[0-9]{1,3}+(?>(?:[,;\s]++-?[0-9]{1,3}+){5,})")
_DIGITS = re.compile(r"[A-Za-z0-9+/_-]{8}|(?:[0-9A-Fa-fxX-]{1,8}[:,;\s-]+){5}")
_STANDARD = str.maketrans("-_", "+/")
_DIGITS_OF_32 = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567abcdefghijklmnopqrstuvwxyz", "0123456789abcdefghijklmnopqrstuv0123456789abcdefghijklmnop"
)


class Reading(NamedTuple):
    """A text without its escapes, the case and the noise between its letters.

    Args:
        folded: What is searched.
        plain: The text without escapes alone.
        kept: The place in `plain` of each character of `folded`.
        starts: The place in the text of each character of `plain`, and the text's length.
    """

    folded: str
    plain: str
    kept: list[int]
    starts: list[int]


class Decoded(NamedTuple):
    """What the runs of digits in a text say in all codings that they may be.

    Args:
        text: The bytes of all, each as a character, with `END` after each.
        begins: Where in it each begins.
        runs: Where the digits of each stand in the text that was read.
    """

    text: str
    begins: list[int]
    runs: list[tuple[int, int]]


def unescaped(text: str, layer: int) -> str:
    """Give a text without the escapes of a layer.

    Args:
        text: Any text.
        layer: Its index in `LAYERS`.
    """
    return _unescaped(text, layer, None)[0]


def folded(text: str, layer: int) -> str:
    """Give a text without the escapes of a layer, without noise and without case.

    Args:
        text: Any text.
        layer: Its index in `LAYERS`.
    """
    return _NOISE.sub("", _unescaped(text, layer, None)[0]).casefold()


def read(text: str, layer: int) -> Reading:
    """Give the same with the places of its characters."""
    plain, starts = _unescaped(text, layer, list(range(len(text) + 1)))
    kept: list[int] = []
    done = 0
    for noise in _NOISE.finditer(plain):
        kept += range(done, noise.start())
        done = noise.end()
    kept += range(done, len(plain))
    letters = [plain[place].casefold() for place in kept]
    if len(whole := "".join(letters)) != len(letters):
        kept = [place for place, letter in zip(kept, letters, strict=True) for _ in letter]
    return Reading(whole, plain, kept, starts or [])


def noise_at_ends(text: str) -> tuple[str, str]:
    """Give what of a text is noise at its beginning and at its end."""
    found = [(noise.start(), noise.end()) for noise in _NOISE.finditer(text)]
    first = text[: found[0][1]] if found and found[0][0] == 0 else ""
    return first, text[found[-1][0] :] if found and found[-1][1] == len(text) else ""


def layers_of(text: str) -> list[int]:
    """List the layers that take something off a text; the first takes nothing, the last what another uncovers."""
    found = [layer for layer, mark in ((1, "\\"), (2, "%"), (3, "&")) if mark in text]
    return [0, *found, 4] if found else [0]


def decoded(text: str) -> Decoded:
    """Give what stands in a text as digits: in base64 of both alphabets, base32, hexadecimal digits, and bytes as decimal numbers.

    The runs are read from each of the digits on at which a byte may begin, since other bytes may stand before what is sought.
    """
    pieces: list[str] = []
    begins: list[int] = []
    runs: list[tuple[int, int]] = []
    total = 0
    for pattern, decode in CODINGS if _DIGITS.search(text) else ():
        for match in pattern.finditer(text):
            if match.end() - match.start() < FEWEST_DIGITS:
                continue
            for content in decode(match[0]):
                pieces += [content.decode("latin-1"), END]
                begins.append(total)
                total += len(content) + len(END)
                runs.append(match.span())
    return Decoded("".join(pieces), begins, runs)


def _unescaped(text: str, layer: int, starts: list[int] | None) -> tuple[str, list[int] | None]:
    """Take escapes off until none is left, at most six times each kind: one of them may hide another."""
    for _ in range(ROUNDS):
        before = text
        for mark, pattern, replace in LAYERS[layer]:
            if mark in text:
                text, starts = _replaced(text, starts, pattern, replace)
        if not text.isascii():
            text, starts = _replaced(text, starts, _OCTETS, _character)
        if text == before:
            break
    return text, starts


def _replaced(text: str, starts: list[int] | None, pattern: re.Pattern[str], replace: Replace) -> tuple[str, list[int] | None]:
    if starts is None:
        return pattern.sub(replace, text), None
    pieces: list[str] = []
    places: list[int] = []
    done = 0
    for match in pattern.finditer(text):
        if (found := replace(match)) != match[0]:
            pieces += [text[done : match.start()], found]
            places += [*starts[done : match.start()], *[starts[match.start()]] * len(found)]
            done = match.end()
    return "".join([*pieces, text[done:]]), [*places, *starts[done:]]


def _point(match: re.Match[str]) -> str:
    kind, found = str(match.lastgroup), match[match.lastgroup or 0]
    if kind == "control":
        return "\n"
    if kind == "name":
        return html5.get(found) or html5.get(found.lower()) or match[0]
    number = int(found, {"decimal": 10, "octal": 8}.get(kind, 16))
    return chr(number) if number <= LAST else match[0]


def _character(match: re.Match[str]) -> str:
    """Join the octets of a character in UTF-8, or the halves of one in UTF-16."""
    found = match[0]
    try:
        if found[0] < "\ud800":
            return found.encode("latin-1").decode()
        return chr(ord(found) - 0xDC00) if len(found) == 1 else found.encode("utf-16", "surrogatepass").decode("utf-16")
    except ValueError:
        return found


_ESCAPES: tuple[tuple[str, re.Pattern[str], Replace], ...] = (("%", _PERCENT, _point), ("&", _ENTITY, _point), ("\\", _BACKSLASH, _point))
LAYERS = ((), _ESCAPES[2:], _ESCAPES[:1], _ESCAPES[1:2], _ESCAPES)
"""Which escapes are taken off: none, backslashes, percent, entities, all. Each alone, too: other letters of the text may look like one."""


def _of_base64(run: str) -> list[bytes]:
    digits = re.sub(r"[\\\s=]+", "", run).translate(_STANDARD)
    return [_from_base64(digits[first:]) for first in range(4)]


def _from_base64(digits: str) -> bytes:
    return binascii.a2b_base64(digits + "A" * (-len(digits) % 4))[: len(digits) * 6 // 8]


def _of_base32(run: str) -> list[bytes]:
    digits = run.rstrip("=")
    bits, value = 5 * len(digits), int(digits.translate(_DIGITS_OF_32), 32)
    found = []
    for first in range(8):
        count = (bits - first) // 8
        found.append(((value >> (bits - first - 8 * count)) & ((1 << 8 * count) - 1)).to_bytes(count))
    return found


def _of_hex(run: str) -> list[bytes]:
    digits = "".join(group if len(group) % 2 == 0 or "x" not in run.lower() else f"0{group}" for group in _HEX_GROUP.findall(run))
    return [bytes.fromhex(digits[first : first + (len(digits) - first) // 2 * 2]) for first in range(2)]


def _of_bytes(run: str) -> list[bytes]:
    return [bytes(int(number) % 256 for number in re.findall(r"-?[0-9]+", run))]


CODINGS = ((_BASE64, _of_base64), (_BASE32, _of_base32), (_HEX, _of_hex), (_BYTES, _of_bytes))
