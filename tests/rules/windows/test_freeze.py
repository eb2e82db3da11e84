"""Freezes: whom they hold, until when, and in what words."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.windows.freeze import Freeze, Lifted, hold_of, lifted_in_words, read_freeze, read_until, unreadable
from tests.rules.windows.oracle import utc

NOW = utc(2026, 11, 29, 17)
HOUR = timedelta(hours=1)
LIFTED = Lifted(who="grace", at=NOW, reason="it is over", proved="code")


def freeze_of(**more: Any) -> Freeze:
    """Give a freeze of all services, which was set an hour ago."""
    return Freeze.model_validate({"id": "0123456789ab", "reason": "incident 7", "who": "ada", "at": NOW - HOUR, **more})


@pytest.mark.parametrize(
    ("fields", "holds"),
    [
        ({}, True),
        ({"service": "shop"}, True),
        ({"service": "other"}, False),
        ({"until": NOW + HOUR}, True),
        ({"until": NOW}, False),
        ({"lifted": LIFTED}, False),
        ({"at": NOW + HOUR}, True),  # the clock of the machine that set it is ahead
    ],
)
def test_a_freeze_holds_its_service_until_it_is_lifted_or_over(fields: dict[str, Any], holds: bool) -> None:  # noqa: FBT001 - a table
    """One of all services holds each."""
    assert (hold_of([freeze_of(**fields)], NOW, service="shop") is not None) is holds


def test_what_holds_says_who_when_why_and_until_when() -> None:
    """Of several freezes that end, the last; one without an end is to be lifted."""
    one = freeze_of(until=NOW + HOUR)
    other = freeze_of(id="ba9876543210", service="shop", who="bob", reason="stocktaking", until=NOW + 2 * HOUR)
    found = hold_of([one, other], NOW, service="shop")
    assert found is not None
    assert (found.what, found.until, found.by) == ("frozen until Sun 2026-11-29 19:00 UTC", NOW + 2 * HOUR, (one.id, other.id))
    assert found.why == (
        "freeze 0123456789ab of all services, set by ada on Sun 2026-11-29 16:00 UTC, until Sun 2026-11-29 18:00 UTC, because: incident 7; "
        "freeze ba9876543210 of shop, set by bob on Sun 2026-11-29 16:00 UTC, until Sun 2026-11-29 19:00 UTC, because: stocktaking"
    )
    endless = hold_of([one, freeze_of(id="ba9876543210")], NOW, service="shop")
    assert endless is not None
    assert (endless.what, endless.until) == ("frozen until the freeze is lifted", None)


def test_what_cannot_be_read_holds_and_names_the_fix() -> None:
    """It could be of any service."""
    assert "put the file right or remove it" in unreadable("a.json cannot be read").why


def test_how_it_ended_is_said_once_it_did() -> None:
    """Lifted, or by itself."""
    assert lifted_in_words(freeze_of(), NOW) == ""
    assert lifted_in_words(freeze_of(until=NOW), NOW) == "freeze 0123456789ab ended by itself on Sun 2026-11-29 17:00 UTC"
    said = lifted_in_words(freeze_of(lifted=LIFTED), NOW)
    assert said == "freeze 0123456789ab was lifted by grace by a code on Sun 2026-11-29 17:00 UTC, because: it is over"


@given(service=st.sampled_from(["", "shop"]), until=st.none() | st.just(NOW), lifted=st.none() | st.just(LIFTED))
def test_a_freeze_is_read_as_it_was_kept(service: str, until: datetime | None, lifted: Lifted | None) -> None:
    """And nothing else is."""
    freeze = freeze_of(service=service, until=until, lifted=lifted)
    content = freeze.to_bytes()
    assert read_freeze(content) == freeze
    for cut in (1, len(content) // 2, len(content) - 3):
        assert "it is not a freeze" in str(read_freeze(content[:cut]))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"id": "0123456789ab", "surprise": 1}', b"\xff"])
def test_anything_else_is_not_a_freeze(content: bytes) -> None:
    """Also one of a newer version."""
    assert "it is not a freeze" in str(read_freeze(content))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2h", NOW + 2 * HOUR),
        ("30 min", NOW + HOUR / 2),
        ("3d", NOW + 72 * HOUR),
        ("2026-11-29T19:00+01:00", NOW + HOUR),
        ("2026-11-29T17:00:01Z", NOW + timedelta(seconds=1)),
        ("2026-11-29T19:00", "`2026-11-29T19:00` has no time zone"),
        ("2026-11-29T18:00+01:00", "`2026-11-29T18:00+01:00` is over already"),
        ("9999-12-31T23:59:59-12:00", "`9999-12-31T23:59:59-12:00` cannot be the end: it must be in the years 2000 to 2199"),
        ("tomorrow", "`tomorrow` is neither a duration nor a moment"),
        ("0m", "`0m` is over already"),
        ("0 d", "`0 d` is over already"),
        ("9999-12-31T23:59-05:00", "`9999-12-31T23:59-05:00` cannot be the end: it must be in the years 2000 to 2199"),
        ("0001-01-01T00:00+05:00", "`0001-01-01T00:00+05:00` cannot be the end: it must be in the years 2000 to 2199"),
    ],
)
def test_its_end_is_a_duration_or_a_moment_with_its_zone(text: str, found: datetime | str) -> None:
    """A moment without a zone would be another one on another machine."""
    assert read_until(text, NOW) == found
