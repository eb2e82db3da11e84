"""Text that services, plans, Git and people may send: arbitrary Unicode, and the pieces that broke something somewhere."""

from __future__ import annotations

import base64
import html
import json
import re
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


def spellings(secret: str) -> dict[str, str]:
    """Write a secret in every way in which a service may log it, by the way's name."""
    content = secret.encode()
    found = {
        "plain": secret,
        "coloured": f"{secret[:3]}\x1b[31m{secret[3:]}\x1b[0m",
        "percent": quote(secret, safe=""),
        "path": quote(secret),
        "form": quote_plus(secret),
        "small percent": re.sub("%..", lambda escape: escape[0].lower(), quote(secret, safe="")),
        "every percent": "".join(f"%{octet:02x}" for octet in content),
        "percent twice": quote(quote(secret, safe=""), safe=""),
        "json": json.dumps({"password": secret}),
        "json in json": json.dumps(json.dumps(secret)),
        "json of php": json.dumps(secret).replace("/", "\\/"),
        "json of unicode": "".join(f"\\u{ord(character):04X}" for character in secret),
        "repr of bytes": repr(content),
        "html": html.escape(secret),
        "entities": "".join(f"&#{ord(character)};" for character in secret),
        "hexadecimal": content.hex(),
    }
    for before in ("", "a", "ab"):
        encoded = base64.b64encode(f"{before}{secret}".encode()).decode()
        found |= {f"base64 {len(before)}": encoded, f"base64 of json {len(before)}": encoded.replace("/", "\\/")}
        found[f"base64 {len(before)} in a url"] = quote(encoded, safe="")
        found[f"base64 url {len(before)}"] = base64.urlsafe_b64encode(f"{before}{secret} and more".encode()).decode().rstrip("=")
    return found


def traces(secret: str) -> set[str]:
    """List what must not be found, in lower case, anywhere that the secret was said in some spelling: pieces that only it explains."""
    plain = {secret[at : at + 8] for at in range(0, len(secret) - 7, 4)}
    ways = (str, lambda text: text.encode().hex(), lambda text: quote(text, safe=""), lambda text: json.dumps(text)[1:-1], html.escape)
    inside = {spelled[4:-6] for name, spelled in spellings(secret).items() if name.startswith(("base64", "every"))}
    return {one.lower() for one in {way(text) for text in plain for way in ways} | inside}
