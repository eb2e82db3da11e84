"""Secrets in texts: which ones this process holds, and how a text is freed of them, however it spells them.

Whatever loads a secret calls `learn`; whatever gives text to the record, the API, a log or a terminal calls `hide`. A secret is found as it
is, percent-encoded (in part, twice, in either case), as JSON, Python, HTML and a shell escape it, as hexadecimal digits, and in base64 of
both alphabets wherever in the encoded bytes it stands.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

MASK = "********"
SHORTEST = 6
"""Shorter values are not hidden: a secret `a` would hide every a."""
SHORTEST_WORD, PIECE, ROUNDS = 16, 64, 3
ORDINARY = frozenset({"production", "staging", "development", "localhost", "127.0.0.1", "enabled", "disabled"})
CUT = "…"
_PASSWORD = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token)\s+(\S+)", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_DIGITS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_OCTET = r"(?:%|\\x){}[0-9A-Fa-f]"
_MARKUP = (
    rf"(?P<octets>{_OCTET.format('[CDcd]')}(?:%|\\x)[89ABab].|{_OCTET.format('[Ee]')}(?:(?:%|\\x)[89ABab].){{2}}"
    rf"|{_OCTET.format('[Ff]')}(?:(?:%|\\x)[89ABab].){{3}}|{_OCTET.format('[0-9A-Fa-f]')})"
    r"|&\#(?P<decimal>\d{1,7});?|&\#[xX](?P<hex>[0-9A-Fa-f]{1,6});?|&(?P<named>amp|lt|gt|quot|apos);"
)
_BACKSLASHES = (
    r"|\\u(?P<high>[dD][89ABab][0-9A-Fa-f]{2})\\u(?P<low>[dD][C-Fc-f][0-9A-Fa-f]{2})|\\u(?P<unit>[0-9A-Fa-f]{4})"
    r"|\\(?P<control>[ntrbf])|\\(?P<same>[^0-9A-Za-z])"
)
_ESCAPES = (re.compile(_MARKUP + _BACKSLASHES, re.DOTALL), re.compile(_MARKUP, re.DOTALL))  # in the second a backslash is one

_known: set[str] = set()


def learn(secrets: Iterable[str]) -> None:
    """Remember secrets that this process holds, with the parts of them that are secrets alone, until it ends.

    Args:
        secrets: Their values. Those of less than six characters, and words like `production`, are left out.
    """
    for secret in secrets:
        _known.update(part for part in _parts(secret) if len(part) >= SHORTEST and part not in ORDINARY)


def hide(text: str) -> str:
    """Give a text without the secrets that this process holds; also without a half of one at which a text was cut (`…`)."""
    return mask_text(text, frozenset(_known)) if _known else text


def mask_text(text: str, secrets: frozenset[str]) -> str:
    """Give a text without some secrets, in every spelling.

    Args:
        text: The text.
        secrets: Their values, of any length but zero; base64 and hexadecimal digits are looked for from six characters on.
    """
    literals, cores = _forms(secrets)
    found = [
        span for read, starts in _readings(text, plus=any(" " in one for one in secrets)) for span in _spans(read, starts, literals, cores)
    ]
    for begin, end in reversed(_joined(found)):
        text = text[:begin] + MASK + text[end:]
    text = _without_beginning(text, literals) if text.endswith(CUT) else text
    return _without_end(text, literals) if text.startswith(CUT) else text


def _parts(secret: str) -> set[str]:
    """Take a secret apart: a password of an address, the credentials of a header, and of several lines each long word."""
    text = secret.strip()
    found = {text, " ".join(text.split())} if "\n" not in text and len(text) <= 2 * PIECE else set()
    for password in _PASSWORD.findall(text):
        found |= {password, unquote(password)}
    if scheme := _SCHEME.fullmatch(text):
        found.add(scheme[1])
        if _BASE64.fullmatch(scheme[1]) and len(scheme[1]) % 4 == 0:
            found.add(base64.b64decode(scheme[1]).decode("utf-8", "replace").partition(":")[2])
    if not found or text.startswith(("{", "[")):
        words = [word for word in re.split(r"[\s\"',;]+", text) if len(word) >= SHORTEST_WORD and not word.endswith(":")]
        found |= {word[at : at + PIECE] for word in words if "://" not in word for at in range(0, len(word), PIECE)}
    return found


@lru_cache(maxsize=16)
def _forms(secrets: frozenset[str]) -> tuple[list[str], list[str]]:
    """Give what to look for, the longest first: the secrets and their hexadecimal digits; and what stands of them in base64."""
    texts = sorted((text for text in secrets if text), key=lambda text: (-len(text), text))
    long = [text.encode("utf-8", "surrogatepass") for text in texts if len(text) >= SHORTEST]
    digits = [form for content in long for form in (content.hex(), content.hex().upper())]
    return texts + digits, list(dict.fromkeys(core for content in long for core in _cores(content)))


def _cores(content: bytes) -> Iterator[str]:
    """Give the base64 digits that the secret alone decides, with none, one and two bytes before it, in both alphabets."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode()
        core = encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
        yield from (core, core.translate(str.maketrans("+/", "-_")))


def _readings(text: str, *, plus: bool) -> Iterator[tuple[str, list[int] | None]]:
    """Read a text as it is, and with one to three layers of escapes taken off; with the place of each character in the text."""
    patterns = _ESCAPES if "\\" in text and ("%" in text or "&" in text) else _ESCAPES[:1]
    for whole in [text, text.replace("+", " ")] if plus and "+" in text else [text]:
        yield whole, None
        for pattern in patterns:
            read, starts = whole, list(range(len(whole) + 1)) if _is_escaped(whole) else []
            for _ in range(ROUNDS):
                plain, places = _unescaped(read, pattern) if _is_escaped(read) else (read, [])
                if len(plain) == len(read):
                    break
                read, starts = plain, [starts[place] for place in places]
                yield read, starts


def _is_escaped(text: str) -> bool:
    return "%" in text or "\\" in text or "&" in text


def _unescaped(text: str, escape: re.Pattern[str]) -> tuple[str, list[int]]:
    pieces: list[str] = []
    starts: list[int] = []
    done = 0
    for match in escape.finditer(text):
        pieces += [text[done : match.start()], _character(match)]
        starts += [*range(done, match.start()), match.start()]
        done = match.end()
    return "".join([*pieces, text[done:]]), [*starts, *range(done, len(text) + 1)]


def _character(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match[match.lastgroup or 0]
    if kind == "octets":
        digits = re.sub(r"%|\\x", "", found)
        try:
            return bytes.fromhex(digits).decode()[:1] or MASK[:1]
        except ValueError:
            return "\N{REPLACEMENT CHARACTER}"
    if kind == "low":
        return chr(0x10000 + ((int(match["high"], 16) & 0x3FF) << 10) + (int(found, 16) & 0x3FF))
    if kind in {"unit", "hex", "decimal"}:
        number = int(found, 10 if kind == "decimal" else 16)
        return chr(number) if number <= 0x10FFFF else "\N{REPLACEMENT CHARACTER}"  # noqa: PLR2004 - the last character of Unicode
    return _CONTROLS[found] if kind == "control" else _NAMED.get(found, found) if kind == "named" else found


def _spans(read: str, starts: list[int] | None, literals: list[str], cores: list[str]) -> Iterator[tuple[int, int]]:
    """Give where in the text secrets stand; base64 with the digits around it, of which the outer ones hold some of its bits."""
    for form in literals + cores:
        begin = read.find(form)
        while begin >= 0:
            end, first = begin + len(form), begin
            if form not in literals:
                while first and read[first - 1] in _DIGITS:
                    first -= 1
                while end < len(read) and read[end] in _DIGITS:
                    end += 1
            yield (first, end) if starts is None else (starts[first], starts[end])
            begin = read.find(form, end)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _without_end(text: str, secrets: list[str]) -> str:
    kept = text[len(CUT) :]
    for secret in secrets:
        for length in range(min(len(secret) - 1, len(kept)), SHORTEST - 1, -1):
            if kept.startswith(secret[-length:]):
                return f"{CUT}{MASK}{kept[length:]}"
    return text


def _without_beginning(text: str, secrets: list[str]) -> str:
    kept = text[: -len(CUT)].rstrip()
    for secret in secrets:
        for length in range(min(len(secret) - 1, len(kept)), SHORTEST - 1, -1):
            if kept.endswith(secret[:length]):
                return f"{kept[:-length]}{MASK}{CUT}"
    return text
