"""Secrets in texts: which ones this process holds, and how a text is freed of them, however it spells them.

Whatever loads a secret calls `learn`; whatever gives text to the record, the API, a log or a terminal calls `hide`. Text and secret are
both read without escapes, case and noise (`blocks.text_codings`) and then compared, and so is what stands in the text as digits.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from blocks.text_codings import Reading, decoded, folded, layers_of, noise_at_ends, read, unescaped

MASK = "********"
SHORTEST = 6
"""Shorter values are not hidden: a secret `a` would hide every a."""
SHORTEST_WORD, PIECE, DEPTH, FEWEST_LETTERS = 16, 64, 2, 4
ORDINARY = frozenset({"production", "staging", "development", "localhost", "127.0.0.1", "enabled", "disabled"})
CUT = "…"
_PASSWORD = re.compile(r"://[^/@\s:]*:([^/@\s]+)@")
_SCHEME = re.compile(r"(?:Bearer|Basic|Token)\s+(\S+)", re.IGNORECASE)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")

MOST_OF_ONE = 1_000
"""So many secrets may come of one block: a line of a log then costs some two milliseconds. An ordinary one has less than fifty."""

_known: set[str] = set()
_known_of: dict[str, set[str]] = {}


def learn(secrets: Iterable[str]) -> None:
    """Remember secrets that this process holds, with the parts of them that are secrets alone, until it ends.

    Args:
        secrets: Their values. Those of less than six characters, and words like `production`, are left out.
    """
    _known.update(_all_parts(secrets))


def learn_of(name: str, secrets: Iterable[str]) -> bool:
    """Remember the secrets of what others can edit, unless they are too many: each one costs time for every text.

    Args:
        name: Whose they are, as `type/name`. What it had before in this process counts, too, as it may be edited each minute.
        secrets: As `learn`.

    Returns:
        Whether they are remembered; if not, they must not be used.
    """
    found = _known_of.get(name, set()) | _all_parts(secrets)
    if len(found) > MOST_OF_ONE:
        return False
    _known_of[name] = found
    _known.update(found)
    return True


def _all_parts(secrets: Iterable[str]) -> set[str]:
    return {part for secret in secrets for part in _parts(secret) if len(part) >= SHORTEST and part.lower() not in ORDINARY}


def hide(text: str) -> str:
    """Give a text without the secrets that this process holds; also without a half of one at which a text was cut (`…`)."""
    return mask_text(text, frozenset(_known)) if _known else text


def mask_text(text: str, secrets: frozenset[str]) -> str:
    """Give a text without some secrets, in every spelling.

    Args:
        text: The text.
        secrets: Their values, of any length but zero. Case and what stands between their letters count for those of less than six
            characters, and these are not looked for in base64 and other digits.
    """
    pieces, done = [], 0
    for begin, end in _joined([*_literal(text, secrets), *_spans(text, secrets, DEPTH)]):
        pieces += [text[done:begin], _mask_of(text[begin:end])]
        done = end
    text = "".join([*pieces, text[done:]])
    text = _without_beginning(text, secrets) if text.endswith(CUT) else text
    return _without_end(text, secrets) if text.startswith(CUT) else text


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


class Sought(NamedTuple):
    """A secret as one layer of escapes reads it."""

    key: str
    """What is searched."""
    secret: str
    plain: str
    before: str
    """The noise at its beginning, which is not in the key."""
    after: str


@lru_cache(maxsize=16)
def _sought(secrets: frozenset[str], layer: int) -> list[Sought]:
    """Read the secrets as a text is read, and as they are; what is noise alone is only found as it is."""
    ways = {(secret, folded(secret, one)): unescaped(secret, one) for secret in sorted(secrets) for one in (layer, 0)}
    return [Sought(key, secret, plain, *noise_at_ends(plain)) for (secret, key), plain in ways.items() if key]


def _literal(text: str, secrets: frozenset[str]) -> Iterator[tuple[int, int]]:
    for secret in filter(None, secrets):
        begin = text.find(secret)
        while begin >= 0:
            yield begin, begin + len(secret)
            begin = text.find(secret, begin + len(secret))


def _spans(text: str, secrets: frozenset[str], depth: int) -> Iterator[tuple[int, int]]:
    """Give where secrets stand in a text without its escapes; and the runs of digits that hold one, whole."""
    layers = layers_of(text)
    for layer in layers:
        whole = folded(text, layer)
        found = [one for one in _sought(secrets, layer) if one.key in whole and (depth == DEPTH or len(one.key) >= FEWEST_LETTERS)]
        if found:
            reading = read(text, layer)
            for one in found:
                yield from _places(reading, one)
    if depth and (long := frozenset(one for one in secrets if len(one) >= SHORTEST)):
        yield from _in_digits(text, long, depth)
        if layers[-1] and (runs := list(_in_digits(unescaped(text, layers[-1]), long, depth))):
            starts = read(text, layers[-1]).starts
            yield from ((starts[begin], starts[end]) for begin, end in runs)


def _in_digits(text: str, secrets: frozenset[str], depth: int) -> Iterator[tuple[int, int]]:
    found = decoded(text)
    for place, _ in _spans(found.text, secrets, depth - 1) if found.text else ():
        yield found.runs[bisect_right(found.begins, place) - 1]


def _places(reading: Reading, sought: Sought) -> Iterator[tuple[int, int]]:
    """Give where a secret stands; what is shorter than it cannot be it, since escapes and noise only lengthen."""
    whole, plain, kept, starts = reading
    size = len(sought.key)
    at = whole.find(sought.key)
    while at >= 0:
        first, last = kept[at], kept[at + size - 1] + 1
        least, most = (kept[at - 1] + 1 if at else 0), (kept[at + size] if at + size < len(kept) else len(plain))
        if starts[max(most, last)] - starts[min(least, first)] >= len(sought.secret) and _is_alike(plain[first:last], sought):
            while first > least and plain[first - 1] in sought.before:
                first -= 1
            while last < most and plain[last] in sought.after:
                last += 1
            yield starts[first], starts[last]
            at += size - 1
        at = whole.find(sought.key, at + 1)


def _is_alike(found: str, sought: Sought) -> bool:
    if len(sought.secret) >= SHORTEST:
        return True
    core = sought.plain[len(sought.before) : len(sought.plain) - len(sought.after)]
    return found.replace("\\", "") == core.replace("\\", "")


def _mask_of(found: str) -> str:
    return "\n".join([MASK] * (1 + found.count("\n")))  # lines stay lines: others count them


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _halves(text: str, secrets: frozenset[str]) -> Iterator[tuple[Reading, str]]:
    """Give each reading of a text with what half a secret may stand at its end in: its letters, and its hexadecimal digits."""
    for layer in layers_of(text):
        reading = read(text, layer)
        for one in _sought(secrets, layer):
            yield reading, one.key
            yield reading, one.secret.encode("utf-8", "surrogatepass").hex()


def _without_end(text: str, secrets: frozenset[str]) -> str:
    kept = text[len(CUT) :]
    found = 0
    for reading, key in _halves(kept, secrets):
        for length in range(min(len(key) - 1, len(reading.folded)), SHORTEST - 1, -1):
            if reading.folded.startswith(key[-length:]):
                found = max(found, reading.starts[reading.kept[length - 1] + 1])
                break
    return f"{CUT}{_mask_of(kept[:found])}{kept[found:]}" if found else text


def _without_beginning(text: str, secrets: frozenset[str]) -> str:
    kept = text[: -len(CUT)].rstrip()
    found = len(kept)
    for reading, key in _halves(kept, secrets):
        for length in range(min(len(key) - 1, len(reading.folded)), SHORTEST - 1, -1):
            if reading.folded.endswith(key[:length]):
                found = min(found, reading.starts[reading.kept[-length]])
                break
    return f"{kept[:found]}{_mask_of(kept[found:])}{CUT}" if found < len(kept) else text
