"""Text that services, plans, Git and people may send: arbitrary Unicode, and the pieces that broke something somewhere."""

from __future__ import annotations

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
