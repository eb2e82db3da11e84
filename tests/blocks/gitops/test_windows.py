"""Sync windows, as Argo CD reads them: cron, duration, time zone, and which of several windows decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.gitops.windows import closed, matching, without_zones

NOW = datetime(2026, 11, 29, 5, 30, tzinfo=UTC)  # a Sunday
APPLICATION = {"metadata": {"name": "shop"}, "spec": {"destination": {"namespace": "shop-production", "server": "https://one.example"}}}


def window(kind: str, schedule: str, duration: str, **more: Any) -> dict[str, Any]:
    """Write a window."""
    return {"kind": kind, "schedule": schedule, "duration": duration, **more}


@pytest.mark.parametrize(
    ("windows", "until"),
    [
        ([window("deny", "0 5 * * *", "1h")], "2026-11-29 06:00"),
        ([window("deny", "0 5 * * *", "30m")], None),
        ([window("deny", "0 6 * * *", "1h")], None),
        ([window("deny", "0 22 * * *", "8h30m")], "2026-11-29 06:30"),
        ([window("deny", "0 5 * * SUN", "90m")], "2026-11-29 06:30"),
        ([window("deny", "0 5 * * 1-5", "90m")], None),
        ([window("deny", "*/15 5 29 nov *", "20m")], "2026-11-29 06:05"),
        ([window("deny", "0 6 * * *", "1h", timeZone="Europe/Berlin")], "2026-11-29 06:00"),
        ([window("allow", "0 7 * * *", "1h")], "2026-11-29 07:00"),
        ([window("allow", "0 5 * * *", "1h")], None),
        ([window("allow", "0 5 * * *", "1h"), window("allow", "0 9 * * *", "1h")], None),
        ([window("allow", "0 5 * * *", "3h"), window("deny", "0 5 * * *", "1h")], "2026-11-29 06:00"),
        ([window("deny", "0 5 * * *", "1h"), window("deny", "45 5 * * *", "1h")], "2026-11-29 06:45"),
    ],
)
def test_the_end_of_a_window_is_named(windows: list[dict[str, Any]], until: str | None) -> None:
    """A sync waits for the moment at which no active window denies, and one allows if any would."""
    found = closed(windows, NOW, manual=False)
    assert (str(found) if found else None) == (f"sync window until {until} UTC" if until else None)


def test_a_window_without_an_end_is_closed_without_one() -> None:
    """A freeze that renews itself each minute has no end to name, and is not searched for longer than a moment."""
    found = closed([window("deny", "* * * * *", "24h")], NOW, manual=False)
    assert found is not None
    assert found.until is None


@pytest.mark.parametrize(
    ("windows", "may"),
    [
        ([window("deny", "0 5 * * *", "1h", manualSync=True)], True),
        ([window("deny", "0 5 * * *", "1h", manualSync=True), window("deny", "0 5 * * *", "1h")], False),
        ([window("allow", "0 9 * * *", "1h", manualSync=True)], True),
        ([window("allow", "0 9 * * *", "1h", manualSync=True), window("allow", "0 8 * * *", "1h")], False),
    ],
)
def test_a_sync_by_hand_passes_if_every_window_lets_it(windows: list[dict[str, Any]], *, may: bool) -> None:
    """One window that forbids it is enough."""
    assert (closed(windows, NOW, manual=True) is None) is may


@pytest.mark.parametrize("schedule", ["@daily", "0 5 * *", "0 25 * * *", "0 5 * * 7", "61 * * * *", "0 5-3 * * *", "x * * * *"])
def test_a_window_that_cannot_be_read_is_not_claimed_to_be_closed(schedule: str) -> None:
    """Argo CD itself then says what is wrong with it."""
    assert closed([window("deny", schedule, "1h")], NOW, manual=False) is None


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ({"applications": ["shop"]}, True),
        ({"applications": ["sh*"]}, True),
        ({"applications": ["other"]}, False),
        ({"namespaces": ["*-production"]}, True),
        ({"clusters": ["https://one.example"]}, True),
        ({"clusters": ["in-cluster"], "namespaces": ["shop-production"]}, True),
        ({"clusters": ["in-cluster"], "namespaces": ["shop-production"], "andOperator": True}, False),
        ({"applications": ["shop"], "namespaces": ["shop-*"], "andOperator": True}, True),
        ({}, False),
    ],
)
def test_a_window_counts_for_the_applications_that_it_names(scope: dict[str, Any], *, fits: bool) -> None:
    """By name, namespace or cluster; one is enough unless the window says `andOperator`."""
    assert bool(matching([window("deny", "0 5 * * *", "1h", **scope)], APPLICATION)) is fits


def test_a_window_whose_time_zone_is_not_told_is_as_it_is_now() -> None:
    """What is active although it would not be in UTC is closed without a known end; what is not active does not close."""
    here, elsewhere = window("deny", "0 5 * * *", "1h"), window("deny", "0 9 * * *", "1h")
    assert str(closed(without_zones([here], [here], NOW), NOW, manual=False)) == "sync window until 2026-11-29 06:00 UTC"
    assert str(closed(without_zones([elsewhere], [elsewhere], NOW), NOW, manual=False)) == "sync window, whose end is not known"
    assert closed(without_zones([here], [], NOW), NOW, manual=False) is None
