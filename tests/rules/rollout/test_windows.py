"""Windows in the list of steps: a wait before each wave, in the summary, in the progress, and in what a wave needs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tasks.rules.plan.plan import Plan
from tasks.rules.rollout.progress import progress_in_words, words_of
from tasks.rules.rollout.steps import done_in, longest_seconds, longest_seconds_of_wave, steps_of
from tasks.rules.rollout.summary import describe_course
from tasks.rules.rollout.waiting import wait_in_words
from tasks.rules.rollout.windows import decide_wave, needed_for, windows_fault
from tests.rules.rollout.test_steps import plan_of, record, targets_of
from tests.rules.windows.oracle import utc

WINDOWS: dict[str, Any] = {
    "allow": [{"cron": "0 22 * * 1-5", "duration_minutes": 240, "zone": "Europe/Berlin", "reason": "quiet", "owner": "ada"}]
}
WAITS = "wait for the window"


def with_windows(plan: Plan, **more: Any) -> Plan:
    """Give a plan windows."""
    return Plan.model_validate(plan.model_dump(mode="json") | {"windows": WINDOWS | more})


def test_a_plan_with_windows_waits_before_each_wave() -> None:
    """Behind the gate, and before each later wave; a plan without any has no such step."""
    words = [words_of(step) for step in steps_of(with_windows(targets_of(1, 1, 2)))]
    assert words.count(WAITS) == 2
    assert words[words.index("approval") + 1] == WAITS
    assert words[words.index("promote in production/t1") + 1] == WAITS
    assert WAITS not in [words_of(step) for step in steps_of(targets_of(1, 1, 2))]


def test_the_waits_take_no_time_of_a_release() -> None:
    """The longest time is that without them, which the summary says."""
    plan = targets_of(1, 1, 2)
    assert longest_seconds(with_windows(plan)) == longest_seconds(plan)
    course = describe_course(with_windows(plan), "1.1")
    window = (
        "Window: the next wave of production begins in the window of the plan: `0 22 * * 1-5` for 240 min in Europe/Berlin, because: quiet "
        "(ask ada). Outside of them the release is suspended until they open; if the wave's longest time does not fit in what is left, it "
        "waits for the next that is long enough. A wave that has begun finishes, and a rollback never waits."
    )
    assert [line for line in course if line.startswith("Window: ")] == [window, window]
    assert course[-1].endswith("without the time that people take and that windows are waited for.")


def test_a_wave_needs_its_longest_path_and_the_last_one_what_follows() -> None:
    """Targets of a wave go side by side."""
    plan = targets_of(1, 1, 2)
    first, last = (longest_seconds_of_wave(plan, number) for number in (1, 2))
    alone = sum(step.longest_seconds for step in steps_of(plan) if step.environment == "production/t2")
    after = sum(step.longest_seconds for step in steps_of(plan) if step.kind == "post_deploy")
    assert (last, needed_for(plan, 2)) == (alone + after, timedelta(seconds=alone + after))
    assert first >= alone


def test_the_progress_says_that_it_waits() -> None:
    """Until the entry that says that production is open; and the record says until when, and why."""
    plan = with_windows(plan_of())
    steps = [step.model_dump(mode="json", exclude_defaults=True) for step in steps_of(plan)]
    waiting: list[dict[str, Any]] = [
        {"kind": "review", "evidence": {"steps": steps, "version": "1.1"}},
        {"kind": "gate", "name": "unchanged"},
        {"kind": "gate", "name": "wait 1", "what": "Waits: x", "why": "a freeze", "evidence": {"waits_until": "2026-11-30T21:00:00+00:00"}},
    ]
    opened = [*waiting, {"kind": "gate", "name": "window 1"}]
    assert progress_in_words(record(*waiting)).endswith(f": {WAITS}")
    assert wait_in_words(record(*waiting)) == "Waits: x. a freeze"
    assert wait_in_words(record(*opened)) == ""
    assert words_of(done_in(steps_of(plan), record(*opened), version="1.1")[-1]) == WAITS


def test_a_wave_is_judged_by_its_own_time() -> None:
    """A production that takes hours does not begin half an hour before the window closes, and no window of an hour is enough for it."""
    plan = with_windows(plan_of(steps=[{"percent": 10, "watch_seconds": 7_200}, {"percent": 100}]))
    groups = [plan.windows.group("plan")]
    assert decide_wave(plan, groups, utc(2026, 12, 1, 0, 30), wave=1).until == utc(2026, 12, 1, 21)
    assert windows_fault(plan, groups, utc(2026, 12, 1)) == ""
    longer = with_windows(plan_of(steps=[{"percent": 10, "watch_seconds": 20_000}, {"percent": 100}]))
    assert "no window is long enough" in windows_fault(longer, groups, utc(2026, 12, 1))
