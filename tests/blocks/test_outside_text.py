"""Text from outside: whatever comes in, what goes out is taken by every validator that a rollback meets."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from blocks.errors import BadInput, RolloutFailed, Temporary
from blocks.outside_text import (
    ENDING_LIMIT,
    KEY_LIMIT,
    LINE_LIMIT,
    NO_REASON,
    REASON_LIMIT,
    as_ending,
    as_reason,
    error_text,
    last_lines,
    outside,
    safe_key,
    said,
    without_bytes,
    without_escapes,
)
from tasks.rules.plan import request
from tasks.rules.plan.types import TARGET
from tasks.rules.record.entries import chain, parse_entry, to_bytes
from tests.hostile_text import ANY_TEXT, HOSTILE

REPEATED = ("\x1b]", "\x1b[", "\x1b[0", "\x9b", "\x90", "\x1b(", "\t", "\r")


@given(ANY_TEXT)
def test_clean_text_is_one_printable_bounded_line_of_utf_8(text: str) -> None:
    """No control, no line break, no direction, no half character is left, and a second cleaning changes nothing."""
    clean = outside(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", clean)
    assert len(clean) <= LINE_LIMIT
    assert clean == clean.strip()
    assert outside(clean) == clean
    clean.encode()


@given(ANY_TEXT)
def test_clean_lines_keep_line_breaks_and_tabs_alone(text: str) -> None:
    """Output of several lines stays readable, and nothing else of a terminal's is left."""
    clean = outside(text, lines=True)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", clean)
    assert outside(clean, lines=True) == clean
    clean.encode()


@given(ANY_TEXT)
def test_every_reason_is_one_that_a_person_could_have_entered(text: str) -> None:
    """The form's own pattern takes it, it is never empty, and a rollback's parameter takes the raw text as well."""
    reason = as_reason(text)
    assert TypeAdapter(request.Reason).validate_python(reason) == reason
    assert 0 < len(reason) <= REASON_LIMIT
    assert TypeAdapter(request.AnyReason).validate_python(text) == reason
    assert as_ending(text)


@pytest.mark.parametrize("text", [None, "", " \t\n", "\x1b[31m\x1b[0m", "\u2028"])
def test_a_reason_without_words_says_so(text: str | None) -> None:
    """An empty reason would let no rollback take an environment over."""
    assert as_reason(text) == NO_REASON
    assert TypeAdapter(request.AnyReason).validate_python(text) == NO_REASON


@given(ANY_TEXT)
def test_every_entry_can_be_written_and_read_again(text: str) -> None:
    """A record takes whatever key and words come from outside."""
    entry = chain(None, at=datetime(2026, 11, 28, tzinfo=UTC), name=safe_key(text), kind="note", who=text, what=text, why=text)
    assert parse_entry(to_bytes(entry)) == entry
    assert entry.what == outside(text, limit=ENDING_LIMIT)


@given(ANY_TEXT, ANY_TEXT)
def test_a_key_is_bounded_stable_and_leaves_no_folder(text: str, other: str) -> None:
    """Two texts keep two keys."""
    key = safe_key(text)
    assert safe_key(key) == key
    assert 0 < len(key) <= KEY_LIMIT
    assert not {".", ".."} & set(key.split("/"))
    assert all(len(part.encode()) <= 255 for part in key.split("/"))
    assert (key == safe_key(other)) == (text == other)


@pytest.mark.parametrize("key", ["closed", "production/eu/step-25/watch/extended", "6f1e/alert/not verified", "verify/staging/1.4"])
def test_an_ordinary_key_stays_as_it_is(key: str) -> None:
    """What earlier releases remembered is found."""
    assert safe_key(key) == key


@pytest.mark.slow
@given(ANY_TEXT)
def test_every_error_of_ours_has_clean_words(text: str) -> None:
    """Prefect puts them into states, and the server into PostgreSQL."""
    for error in (Temporary(text), BadInput(text, field=text, fix=text), RolloutFailed(text, evidence=(text,))):
        assert outside(str(error), limit=16_000, lines=True) == str(error)
        assert error_text(error) == said(without_bytes(str(error) or f"{type(error).__name__}: "))
    assert RolloutFailed("x", evidence=(text,)).evidence == (outside(text),)


def test_an_error_that_has_no_words_is_named() -> None:
    """Another's error may fail at its own text."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    assert error_text(MuteError()) == "MuteError: MuteError without words"
    assert error_text(Temporary("")).startswith("Temporary:")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\x1b[31mERROR\x1b[0m", "ERROR"),
        ("\x1b[1;38;5;196mERROR\x1b[m", "ERROR"),
        ("\x9b31mERROR\x9b0m", "ERROR"),
        ("\x1b]0;title\x07ERROR", "ERROR"),
        ("\x1b]8;;https://example.org\x1b\\ERROR\x1b]8;;\x1b\\", "ERROR"),
        ("\x1b(BERROR\x1bc", "ERROR"),
        ("a\tb", "a\tb"),
        ("café ERROR", "café ERROR"),
    ],
)
def test_escape_sequences_are_dropped_and_text_stays(text: str, plain: str) -> None:
    """Colours, cursors, titles and links are no words."""
    assert without_escapes(text) == plain


def test_a_string_that_never_ends_hides_nothing() -> None:
    """Who opens a title and does not close it cannot hide an error behind it."""
    assert "ERROR" in without_escapes("\x1b]0;ERROR everything is lost")


@given(st.from_regex(TARGET, fullmatch=True).filter(lambda name: len(name) <= 30))
def test_every_target_of_a_plan_is_an_environment_that_flows_take(name: str) -> None:
    """A release hands it to its child runs."""
    assert TypeAdapter(request.EnvironmentName).validate_python(f"production/{name}")


@pytest.mark.parametrize("text", [*HOSTILE, *(piece * 50_000 for piece in REPEATED)])
def test_hostile_text_is_cleaned_quickly(text: str) -> None:
    """No length and no repetition makes it slow."""
    began = time.monotonic()
    outside(text, limit=100_000)
    without_escapes(text)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("illegal header line: bytearray(b'X: a\\x00\\' b')", "illegal header line: (bytes)"),
        ('illegal status line: b"it\'s" (twice)', "illegal status line: (bytes) (twice)"),
        ("a cut one: bytearray(b'X: a", "a cut one: (bytes)"),
        ("Bob's job: 'b' is not b", "Bob's job: 'b' is not b"),
    ],
)
def test_an_error_shows_no_bytes(text: str, left: str) -> None:
    """What an exception quotes as bytes is a piece of an answer, whole or cut; other quotes stay."""
    assert without_bytes(text) == left
    assert error_text(ValueError(text)) == f"ValueError: {left}"


def test_no_length_of_quoted_bytes_costs_time() -> None:
    """An end that never comes is looked for once."""
    began = time.monotonic()
    without_bytes("bytearray(b'" + "\\" * 200_001)
    without_bytes("b'x\\'" * 50_000)
    assert time.monotonic() - began < 2


def test_a_message_quotes_the_last_lines_of_a_log_that_say_something() -> None:
    """Blank lines and those of the earlier starts say nothing more; three short ones are enough for a message."""
    start = ["Traceback (most recent call last):", '  File "app.py", line 1', "    import lost", "ModuleNotFoundError: lost", "  "]
    assert last_lines(start * 3) == '; its last lines: File "app.py", line 1 | import lost | ModuleNotFoundError: lost'
    assert len(last_lines(["x" * 5_000 + str(number) for number in range(9)])) < 700
    assert last_lines([" ", "\x1b[0m"]) == ""
