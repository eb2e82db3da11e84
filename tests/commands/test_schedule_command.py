"""`shipway schedule`: what is asked of the server for the words that people give."""

from __future__ import annotations

import argparse
from datetime import datetime, timedelta
from typing import Any

import pytest

from blocks.errors import BadInput
from flows.cli import build_parser
from flows.commands.schedule import asks_people, due_of, first_start, parameters_of, zone_for
from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.windows import needed_for
from tasks.rules.windows.opening import Group
from tasks.rules.windows.schedule import Due
from tests.rules.rollout.test_steps import plan_of
from tests.rules.rollout.test_windows import with_windows
from tests.rules.windows.oracle import utc

MONDAY = utc(2026, 11, 30, 12)
NIGHT_END, MINUTE = utc(2026, 12, 1, 1), timedelta(minutes=1)
NIGHT = Due(utc(2026, 11, 30, 21), NIGHT_END)


def parsed(*words: str) -> argparse.Namespace:
    """Read a command line for version 1.1."""
    what = () if "--candidate" in words else ("--version", "1.1")
    return build_parser()[0].parse_args(["schedule", "shipway.yaml", "--reason", "x", "--as", "rita", *what, *words])


def planned(**approval: Any) -> tuple[Plan, list[Group]]:
    """Give a plan with windows at night in Berlin."""
    plan = with_windows(plan_of())
    plan = plan.model_copy(update={"approval": plan.approval.model_copy(update=approval)}) if approval else plan
    return plan, [plan.windows.group("plan")]


def test_the_zone_is_that_of_the_windows_unless_it_is_named() -> None:
    """Without either, times must name theirs."""
    _, groups = planned()
    assert zone_for(parsed("--at", "03:00"), groups) == "Europe/Berlin"
    assert zone_for(parsed("--at", "03:00", "--zone", "Asia/Kolkata"), groups) == "Asia/Kolkata"
    assert zone_for(parsed("--at", "2026-12-01T03:00Z", "--prepare", "now"), []) == "UTC"
    assert zone_for(parsed("--at", "in 5 min"), []) == "UTC"
    with pytest.raises(BadInput, match="no windows whose zone"):
        zone_for(parsed("--at", "03:00"), [])
    with pytest.raises(BadInput, match="is not the name of a time zone"):
        zone_for(parsed("--at", "03:00", "--zone", "CET"), [])


@pytest.mark.parametrize(
    ("words", "due"),
    [
        (("--next-window",), NIGHT),
        (("--at", "22:30"), Due(utc(2026, 11, 30, 21, 30), NIGHT.latest)),
        (("--at", "22:30", "--not-later-than", "23:00"), Due(utc(2026, 11, 30, 21, 30), utc(2026, 11, 30, 22))),
        (("--next-window", "--not-later-than", "23:00"), Due(NIGHT.begin, utc(2026, 11, 30, 22))),
    ],
)
def test_a_schedule_ends_with_its_window_or_earlier(words: tuple[str, ...], due: Due) -> None:
    """By the zone of the windows."""
    assert due_of(parsed(*words), *planned(), at=MONDAY, zone="Europe/Berlin") == due


def test_a_time_at_which_staging_leaves_too_little_of_the_window_is_refused() -> None:
    """With `--prepare` it is not: staging is done by then."""
    plan, groups = planned()
    late = ("--at", f"{(NIGHT_END - needed_for(plan, 1) - 6 * MINUTE).isoformat()}")
    with pytest.raises(BadInput, match="--prepare"):
        due_of(parsed(*late), plan, groups, at=MONDAY, zone="UTC")
    assert due_of(parsed(*late, "--prepare", "now"), plan, groups, at=MONDAY, zone="UTC").latest == NIGHT_END


@pytest.mark.parametrize(
    ("prepare", "begin"), [((), NIGHT.begin), (("--prepare", "now"), MONDAY), (("--prepare", "16:00"), utc(2026, 11, 30, 15))]
)
def test_staging_and_approval_may_begin_earlier(prepare: tuple[str, ...], begin: datetime) -> None:
    """Else they begin with production's time."""
    assert first_start(parsed("--next-window", *prepare), NIGHT, at=MONDAY, zone="Europe/Berlin") == begin


@pytest.mark.parametrize(
    ("words", "wrong"), [(("--prepare", "23:00"), "later than the release"), (("--prepare", "now", "--candidate", "v*"), "is chosen when")]
)
def test_a_wrong_preparation_is_refused(words: tuple[str, ...], wrong: str) -> None:
    """With the field."""
    with pytest.raises(BadInput, match=f"--prepare: .*{wrong}"):
        first_start(parsed("--next-window", *words), NIGHT, at=MONDAY, zone="Europe/Berlin")


def test_the_server_gets_the_moments_and_who_asked() -> None:
    """In UTC; a candidate begins at once when it is chosen."""
    wanted = parameters_of(parsed("--next-window"), NIGHT)
    assert wanted.pop("plan").endswith("/shipway.yaml")
    moments = {"not_before": "2026-11-30T21:00:00+00:00", "not_later_than": "2026-12-01T01:00:00+00:00"}
    assert wanted == {"version": "1.1", "reason": "x", "requester": "rita", **moments}
    chosen = parameters_of(parsed("--next-window", "--candidate", "v*", "--pre-releases"), NIGHT)
    assert (chosen["pattern"], chosen["pre_releases"], "not_before" in chosen, "version" in chosen) == ("v*", True, False, False)


def test_people_who_would_be_asked_at_night_are_warned_of() -> None:
    """Unless staging and approval begin earlier, or none is asked."""
    plan, _ = planned(quorum=2, approvers=["ada", "grace"])
    assert NIGHT.begin is not None
    assert asks_people(parsed("--next-window"), plan, begin=NIGHT.begin, due=NIGHT).endswith("lets staging and approval begin earlier.")
    assert asks_people(parsed("--next-window"), plan, begin=MONDAY, due=NIGHT) == ""
    assert asks_people(parsed("--next-window"), planned(quorum=0)[0], begin=NIGHT.begin, due=NIGHT) == ""
