"""How long a wave is taken to need by earlier releases: only what is comparable counts, and nothing makes it shorter than its watches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.history import Measured, estimate, estimate_in_words, measure, phases_in_words
from tasks.rules.rollout.steps import longest_seconds_of_wave, longest_watch_seconds, steps_of
from tests.rules.policy.test_rules import plan_of

AT = datetime(2026, 11, 30, 12, tzinfo=UTC)
PLAN = plan_of(windows={"time": "history"})
ROW = tuple[float, str, str, str]
WAVE: tuple[ROW, ...] = (
    (600, "gate", "", "unchanged"),
    (601, "gate", "", "window 1"),
    (603, "approval", "", "confirmed"),
    (620, "effect", "production", "prepare"),
    (700, "verdict", "production", "watch"),
    (710, "effect", "production", "promote"),
)
ENDED: tuple[ROW, ...] = ((720, "verdict", "", "post_deploy"), (721, "closed", "", ""))
BEGUN: tuple[ROW, ...] = ((0, "opened", "", ""), (1, "review", "", ""), (61, "verdict", "staging", "1.1"), (70, "gate", "", "question 1"))


def record(*rows: ROW, plan: Plan = PLAN, outcome: str = "deployed") -> list[Entry]:
    """Write a record: seconds, kind, environment and name of each entry."""
    found: list[Entry] = []
    for seconds, kind, environment, name in rows:
        evidence: dict[str, Any] = {"outcome": outcome} if kind == "closed" else {}
        if kind == "review":
            evidence = {"steps": [step.model_dump(mode="json", exclude_defaults=True) for step in steps_of(plan)]}
        last = found[-1] if found else None
        found.append(
            chain(last, at=AT + timedelta(seconds=seconds), kind=kind, environment=environment, name=name, what=kind, who="shipway", why="",
                  evidence=evidence, round=1, step=None)
        )  # fmt: skip
    return found


def took(seconds: float, *, days: int = 0, plan: Plan = PLAN) -> Measured:
    """Give a release whose wave took so long."""
    found = measure(f"run-{days}-{seconds}", record(*BEGUN, *WAVE, *ENDED, plan=plan))
    assert found is not None
    phases = [one.model_copy(update={"seconds": seconds}) if one.steps else one for one in found.phases]
    return found.model_copy(update={"phases": tuple(phases), "at": AT + timedelta(days=days)})


def test_a_deployed_release_is_measured_phase_by_phase() -> None:
    """The wave from the moment at which nothing held it, with what is verified behind the last one; people's time is in none."""
    found = measure("run", record(*BEGUN, *WAVE, *ENDED))
    assert found is not None
    assert [(one.phase, one.seconds) for one in found.phases] == [("preparation", 61), ("wave 1", 119), ("afterwards", 10)]


@pytest.mark.parametrize(
    "rows",
    [
        (*WAVE[:4], (640, "gate", "production", "held by 0123456789ab"), *WAVE[4:]),
        (*WAVE[:5], (705, "gate", "production", "question 1"), *WAVE[5:]),
        (*WAVE[:5], (620, "note", "production", "already"), *WAVE[5:]),
        (*WAVE[:4], (-2900, "verdict", "production", "watch"), *((at - 3600, *rest) for at, *rest in WAVE[5:])),  # an hour back
        WAVE[:5],
    ],
)
def test_a_wave_that_waited_or_did_nothing_is_not_measured(rows: Any) -> None:
    """Held, asked, found there already, under a clock that went back, or never promoted."""
    found = measure("run", record(*BEGUN, *rows, *ENDED))
    assert found is not None
    assert "wave 1" not in {one.phase for one in found.phases}


def test_people_who_were_asked_before_the_wave_take_none_of_its_time() -> None:
    """Whether it begins in a window that may be too short."""
    asked: ROW = (590, "gate", "production", "window-1-until-20261130t120000 question 1")
    found = measure("run", record(*BEGUN, asked, *WAVE, *ENDED))
    assert found is not None
    assert found.phases[1].seconds == 119


def test_only_what_was_deployed_counts() -> None:
    """A rolled-back release may have been quick."""
    assert measure("run", record(*BEGUN, *WAVE, *ENDED, outcome="rolled_back")) is None
    assert measure("run", record(*BEGUN, *WAVE)) is None
    assert measure("run", []) is None


def test_the_plan_says_which_decides() -> None:
    """The longest time by default, and with too few releases; then what nine of ten took."""
    longest, few = longest_seconds_of_wave(PLAN, 1), [took(3_000, days=day) for day in range(4)]
    assert estimate(PLAN, 1, few)[:2] == (longest, "longest")
    assert "only 4 releases with these steps were measured, and the plan wants 5" in estimate_in_words(estimate(PLAN, 1, few), wave=1)
    ten = [took(3_000 + day, days=day) for day in range(10)]
    found = estimate(PLAN, 1, ten)
    assert found[:2] == (3_008, "history")
    assert estimate_in_words(found, wave=1).startswith("wave 1 is taken to need 50.1 min by its history (median 50.1 min, 90 % of")
    assert estimate(plan_of(), 1, ten)[:2] == (longest_seconds_of_wave(plan_of(), 1), "longest")
    assert phases_in_words(PLAN, ten)[1] == "wave 1: median 50.1 min, 90 % of 10 within 50.1 min"
    assert estimate(plan_of(windows={"time": "history", "history_at_least": 11}), 1, ten).by == "longest"


def test_releases_with_other_steps_do_not_count() -> None:
    """A watch that became longer makes the wave longer at once."""
    longer = plan_of(windows={"time": "history"}, verification={**PLAN.verification.model_dump(), "verify_steps": ["health", "basic"]})
    assert steps_of(longer) != steps_of(PLAN)
    assert estimate(longer, 1, [took(3_000, days=day) for day in range(9)]).by == "longest"


@given(st.lists(st.floats(0, 10_000), min_size=5, max_size=20))
def test_no_history_makes_a_wave_shorter_than_its_watches(seconds: list[float]) -> None:
    """However quick the releases seem to have been; and of fewer than ten the longest counts."""
    history = [took(one, days=day) for day, one in enumerate(seconds)]
    found = estimate(PLAN, 1, history)
    floor = longest_watch_seconds(PLAN, 1)
    assert floor > 0
    assert found.seconds >= floor
    assert found.seconds == max(floor, sorted(seconds)[-1 if len(seconds) < 10 else -(1 + len(seconds) // 10)])


def test_the_oldest_releases_do_not_count() -> None:
    """A service that became slower is slower."""
    history = [took(60, days=day) for day in range(60)] + [took(4_000, days=100 + day) for day in range(50)]
    assert estimate(PLAN, 1, history).seconds == 4_000
