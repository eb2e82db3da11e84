"""Text that services, plans, Git and people may send: arbitrary Unicode, and the pieces that broke something somewhere."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

PIECES = (
    "\x00", "\t", "\n", "\r", "\r\n", "\x1b", "\x1b[31m", "\x1b[0m", "\x1b]0;", "\x07", "\x9b", "\x85",
    "\u2028", "\u2029", "\u202e", "\u2066",
    "\ud800", "\udfff", "\ufeff", "\uffff", "ERROR", "..", "/", "{", "}", "%s", "'", '"', "\\", "<b>", "]]>", " ", "\u00a0", "\U0001f4a5",
)  # fmt: skip
"""What a text is made of where it is made to hurt."""

EVERYTHING = "".join(PIECES)
HOSTILE = (
    "2026-11-28T10:00:00Z\tERROR\torders\tlost",
    "\x1b[31mERROR\x1b[0m one\ntwo\u2028three\x00four\ud800five",
    EVERYTHING,
    "\x00" * 100_000,
    EVERYTHING * 1_000,
)
"""A logger's line with tabs, one of everything, and 100 kB of it."""

ANY_TEXT = (
    st.text(st.characters(exclude_categories=()), max_size=200)
    | st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
    | st.builds(str.__mul__, st.sampled_from([*PIECES, "x"]), st.just(100_000))
)
"""Arbitrary Unicode, lone surrogates too; pieces in any order; 100 kB."""


def _go(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1].replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


ESCAPES: dict[str, Callable[[str], str]] = {
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in ASCII": lambda text: json.dumps(text)[1:-1],
    "json of go": _go,
    "json of php": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "json of unicode": lambda text: "".join(
        f"\\u{int.from_bytes(text.encode('utf-16-be')[at : at + 2]):04X}" for at in range(0, len(text.encode("utf-16-be")), 2)
    ),
    "points": lambda text: "".join(f"\\u{{{ord(character):x}}}" for character in text),
    "repr": lambda text: repr(text)[1:-1],
    "ascii": lambda text: ascii(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "octal": lambda text: "".join(chr(octet) if 32 <= octet < 127 and octet != 92 else f"\\{octet:03o}" for octet in text.encode()),
    "percent": lambda text: quote(text, safe=""),
    "path": quote,
    "form": quote_plus,
    "every percent": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "html": html.escape,
    "entities": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "shell": shlex.quote,
    "csv": lambda text: text.replace('"', '""'),
    "latin-1": lambda text: text.encode().decode("latin-1"),
    "upper case": str.upper,
    "swapped case": str.swapcase,
    "zero width": "\u200b".join,
    "wrapped": "\n".join,
}
"""Ways that keep the letters, or escape them each by itself."""

DIGITS: dict[str, Callable[[str], str]] = {
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(text.encode()).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "small base32": lambda text: base64.b32encode(text.encode()).decode().lower().rstrip("="),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal with colons": lambda text: text.encode().hex(":").upper(),
    "hexadecimal with spaces": lambda text: text.encode().hex(" "),
    "bytes of go": lambda text: ", ".join(f"0x{octet:x}" for octet in text.encode()),
    "numbers": lambda text: " ".join(str(octet) for octet in text.encode()),
    "numbers of java": lambda text: ", ".join(str(octet - octet // 128 * 256) for octet in text.encode()),
}
"""Ways that write its bytes as digits."""


def spellings(secret: str) -> dict[str, str]:
    """Write a secret in every way in which a service may log it, by the way's name."""
    found = {
        "plain": secret,
        "coloured": f"{secret[:3]}\x1b[31m{secret[3:]}\x1b[0m",
        "small percent": re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")),
        "percent twice": quote(quote(secret, safe=""), safe=""),
        "json with a name": json.dumps({"password": secret}),
        "json in json": json.dumps(json.dumps(secret)),
        "json in json in json": json.dumps(json.dumps(json.dumps({"password": secret}))),
        "base64 of json": base64.b64encode(json.dumps({"password": secret}).encode()).decode(),
        "base64 twice": base64.b64encode(base64.b64encode(secret.encode())).decode(),
        "UTF-16 in hexadecimal": secret.encode("utf-16-le").hex(),
        "a buffer": json.dumps({"type": "Buffer", "data": list(secret.encode())}),
    } | {name: way(secret) for name, way in (ESCAPES | DIGITS).items()}
    for before in ("", "a", "ab"):
        encoded = base64.b64encode(f"{before}{secret}".encode()).decode()
        found |= {f"base64 {len(before)}": encoded, f"base64 of json {len(before)}": encoded.replace("/", "\\/")}
        found[f"base64 {len(before)} in a url"] = quote(encoded, safe="")
        found[f"base64 url {len(before)}"] = base64.urlsafe_b64encode(f"{before}{secret} and more".encode()).decode().rstrip("=")
    return found


def traces(secret: str) -> set[str]:
    """List what must not be found, in lower case, anywhere that the secret was said in some spelling: pieces that only it explains."""
    plain = {secret[at : at + 8] for at in range(0, len(secret) - 7, 4)}
    split = {"zero width", "wrapped", "octal", "shell", "base64 in lines", "latin-1", "csv", "upper case", "swapped case"}
    ways = (
        str,
        *(way for name, way in ESCAPES.items() if name not in split),
        *(DIGITS[name] for name in DIGITS if name.startswith(("hexa", "numb"))),
    )
    inside = {
        spelled[4:-6] for name, spelled in spellings(secret).items() if name.startswith(("base64", "every", "base32", "small base32"))
    } - {""}
    return {one.lower() for one in {way(text) for text in plain for way in ways} | inside}
