"""The list of a release's steps: in order, bounded, and read back from a record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.rules.plan.checklist import BEFORE
from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import Entry, Kind, chain
from tasks.rules.rollout.progress import progress_in_words, words_of
from tasks.rules.rollout.steps import PlannedStep, done_in, is_done, longest_seconds, steps_of, verification_at
from tasks.rules.rollout.summary import describe_course

SMOKE = [{"name": kind, "kind": kind, "pytest": "a.py", "timeout_seconds": 10} for kind in ("basic", "critical", "integration")]
RAW: dict[str, Any] = {
    "shipway": 1, "service": "guestbook", "verification": {"health": [{}], "smoke": SMOKE}, "checklist": {"tests_passed": False},
    "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]}, "staging": {"platform": "local/a"},
    "approval": {"quorum": 0}, "rollback": {},
}  # fmt: skip
STEPS = [{"percent": 10, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 30}]
WHOLE = "verify in production"


def plan_of(*, verify_steps: list[str] | None = None, **production: Any) -> Plan:
    """Make a plan with this production, by default of one platform in two steps."""
    asked = {} if verify_steps is None else {"verify_steps": verify_steps}
    one = {"platform": "local/b", "steps": STEPS, **production}
    return Plan.model_validate({**RAW, "verification": {**RAW["verification"], **asked}, "production": one})


def targets_of(*waves: int) -> Plan:
    """Make a plan with a target for each of these waves."""
    targets = [{"name": f"t{number}", "platform": f"local/t{number}", "wave": wave} for number, wave in enumerate(waves)]
    return Plan.model_validate({**RAW, "production": {"targets": targets, "steps": STEPS}})


def trace_of(step: PlannedStep, version: str = "1.1") -> dict[str, Any]:
    """Write the fields of the entry that a step leaves."""
    kinds: dict[str, tuple[Kind, str]] = {
        "pre_deploy": ("checklist", ""), "gate": ("gate", "unchanged"), "ticks": ("gate", step.name), "deploy": ("effect", "promote"),
        "prepare": ("effect", "prepare"),
        "verify": ("verdict", version if step.whole else "verified"), "shift": ("effect", "shift"), "watch": ("verdict", "watch"),
        "promote": ("effect", "promote"), "post_deploy": ("verdict", "post_deploy"),
    }  # fmt: skip
    kind, name = kinds[step.kind]
    share = step.percent if step.kind in {"verify", "shift", "watch"} else None
    return {"kind": kind, "environment": step.environment, "step": share, "name": name}


def record(*fields: dict[str, Any]) -> list[Entry]:
    """Make a record of entries with these fields."""
    entries: list[Entry] = []
    for one in fields:
        more = {"who": "shipway", "what": "It happened", **one}
        entries.append(chain(entries[-1] if entries else None, at=datetime(2026, 1, 1, tzinfo=UTC), **more))
    return entries


def review_of(plan: Plan) -> dict[str, Any]:
    """Write the entry of a review that holds the steps, as `pre_deploy` does."""
    steps = [step.model_dump(mode="json", exclude_defaults=True) for step in steps_of(plan)]
    return {"kind": "review", "evidence": {"version": "1.1", "steps": steps}}


def test_people_tick_before_staging_before_they_approve_and_after_the_deployment() -> None:
    """A phase without a required item is not waited for."""
    items = [{"name": name, "text": "x", "who": ["ada"], "before": name, "required": False} for name in BEFORE]
    plans = [Plan.model_validate({**plan_of().model_dump(), "checklist": {"tests_passed": False, "items": one}}) for one in (
        items, [{**item, "required": True} for item in items],
    )]  # fmt: skip
    every = [[words_of(step) for step in steps_of(plan)] for plan in plans]
    assert [one[-1] for one in every] == ["post-deploy", "checklist closing"]
    names = [one[:6] for one in every]
    assert names[0][:4] == ["pre-deploy", "deploy in staging", "verify in staging", "approval"]
    assert names[1] == ["pre-deploy", "checklist staging", "deploy in staging", "verify in staging", "checklist production", "approval"]


def test_a_release_goes_through_its_steps_in_this_order() -> None:
    """The canary is verified before its first share, each later step ends with checks, and all run before the promotion."""
    assert [words_of(step) for step in steps_of(plan_of())] == [
        "pre-deploy", "deploy in staging", "verify in staging", "approval",
        "prepare in production", "verify the canary before its traffic in production",
        "shift 10 % in production", "watch 10 % in production", "verify 10 % in production",
        "shift 100 % in production", "watch 100 % in production", WHOLE, "promote in production", "post-deploy",
    ]  # fmt: skip


def test_migrations_stand_where_they_run() -> None:
    """Before the version comes, and once the version before is retired."""
    migrations = [
        {"name": name, "manifest": "a.yaml", "compatibility": "expand", "when": when, "environments": ["production"]}
        for name, when in (("first", "before"), ("last", "after"))
    ]
    plan = Plan.model_validate({**RAW, "production": {"platform": "local/b", "steps": STEPS}, "migrations": migrations})
    names = [words_of(step) for step in steps_of(plan) if step.environment == "production"]
    assert names[0] == "migrate first in production"
    assert names[-2:] == ["promote in production", "migrate last in production"]


def test_the_canary_is_verified_by_health_and_by_basic_and_critical_smoke_tests() -> None:
    """Those that take long or compare wait until it has traffic of its own."""
    found = verification_at(plan_of(), "production", 0)
    assert found is not None
    assert found.checks == ("health", "basic", "critical")
    assert found.longest_seconds == 30 + 10


@pytest.mark.parametrize(("kinds", "seconds"), [(None, 30), (["health", "integration"], 30 + 10), (["basic"], 10)])
def test_a_step_ends_with_the_checks_that_the_plan_asks_for(kinds: list[str] | None, seconds: float) -> None:
    """Health by default; what the plan names instead, no more."""
    found = verification_at(plan_of(verify_steps=kinds), "production", 10)
    assert found is not None
    assert list(found.checks) == (kinds or ["health"])
    assert found.longest_seconds == seconds


def test_a_plan_may_ask_for_no_check_after_a_step() -> None:
    """An empty list says so openly; the canary is verified before its traffic all the same."""
    plan = plan_of(verify_steps=[])
    assert verification_at(plan, "production", 10) is None
    assert verification_at(plan, "production", 0) is not None


def test_the_last_step_ends_with_the_whole_verification_alone() -> None:
    """Its checks are among all of them, so they are not made twice."""
    assert verification_at(plan_of(), "production", 100) is None
    assert sum(step.whole for step in steps_of(plan_of()) if step.environment == "production") == 1


def test_a_rolling_update_has_no_canary_to_verify_before_its_traffic() -> None:
    """No pod of the version runs before the first step; the checks after the steps are those of any plan."""
    plan = plan_of(strategy="rolling")
    assert verification_at(plan, "production", 0) is None
    assert verification_at(plan, "production", 10) is not None


def test_an_unknown_or_repeated_kind_of_check_is_a_fault() -> None:
    """An unknown kind, and one that is written twice."""
    for kinds in (["load"], ["health", "health"]):
        with pytest.raises(ValueError, match="verify_steps"):
            plan_of(verify_steps=kinds)


def test_the_longest_time_is_that_of_all_steps() -> None:
    """One production has one path, and its limits add up."""
    plan = plan_of()
    assert longest_seconds(plan) == sum(step.longest_seconds for step in steps_of(plan))


def test_an_extended_watch_takes_twice_as_long() -> None:
    """The plan that extends counts both spans of each step."""
    raw = plan_of().model_dump(exclude_unset=True)
    extended = Plan.model_validate({**raw, "judgement": {**RAW["judgement"], "inconclusive": "extend"}})
    assert longest_seconds(extended) - longest_seconds(plan_of()) == 60 + 30


def test_an_extension_has_a_time_of_its_own() -> None:
    """It is added to each step, and the summary says it."""
    raw = plan_of().model_dump(mode="json")
    extended = Plan.model_validate({**raw, "judgement": {**RAW["judgement"], "inconclusive": "extend", "extend_seconds": 45}})
    assert longest_seconds(extended) - longest_seconds(plan_of()) == 45 + 45
    assert "inconclusive, it is watched once for 45 s more, then it rolls back" in " ".join(describe_course(extended, "1.1"))


def test_the_summary_says_what_is_done_with_an_inconclusive_step() -> None:
    """To proceed needs data, and a person is only asked if the plan names one."""
    proceeds = Plan.model_validate({**plan_of().model_dump(mode="json"), "judgement": {**RAW["judgement"], "inconclusive": "proceed"}})
    assert "it goes on, but with too few requests (no data) it rolls back" in " ".join(describe_course(proceeds, "1.1"))
    assert "it rolls back, since the plan has no approver to ask" in " ".join(describe_course(plan_of(), "1.1"))


def test_the_least_time_of_a_step_is_in_the_summary_and_within_its_watch() -> None:
    """A least time beyond the watch is refused with the fix."""
    baked = plan_of(steps=[{"percent": 10, "watch_seconds": 60, "bake_seconds": 20}, {"percent": 100, "watch_seconds": 30}])
    assert "watch for at least 20 s and at most 1 min" in " ".join(describe_course(baked, "1.1"))
    with pytest.raises(ValidationError, match="must last 61 s, but is watched for 60 s"):
        plan_of(steps=[{"percent": 100, "watch_seconds": 60, "bake_seconds": 61}])


@given(waves=st.lists(st.integers(1, 4), min_size=1, max_size=5).map(sorted))
def test_every_target_takes_the_same_steps_in_its_wave(waves: list[int]) -> None:
    """Whatever the waves are: each target has its own path, whole and in order, and waves rise."""
    steps = steps_of(targets_of(*waves))
    paths = [[(step.kind, step.percent) for step in steps if step.environment == f"production/t{number}"] for number in range(len(waves))]
    assert all(path == paths[0] for path in paths)
    inside = [step.wave for step in steps if step.wave]
    assert inside == sorted(inside)
    assert set(inside) == set(range(1, len(set(waves)) + 1))


@given(data=st.data())
def test_a_record_of_any_of_the_steps_gives_them_back(data: st.DataObject) -> None:
    """What is done is exactly what the entries say, in their order."""
    steps = steps_of(plan_of())
    chosen = data.draw(st.lists(st.sampled_from(steps), unique=True))
    entries = record(*map(trace_of, chosen))
    assert done_in(steps, entries, version="1.1") == chosen
    assert [step for step in steps if is_done(step, entries, version="1.1")] == [step for step in steps if step in chosen]


def test_the_verification_of_a_rollback_does_not_count_as_the_releases() -> None:
    """It verifies the version before, in the same environment."""
    steps = steps_of(plan_of())
    whole = next(step for step in steps if step.whole and step.environment == "production")
    assert not is_done(whole, record(trace_of(whole, "1.0")), version="1.1")


def test_the_progress_names_the_next_step() -> None:
    """From the review on, until all is done."""
    steps = steps_of(plan_of())
    said = [progress_in_words(record(review_of(plan_of()), *map(trace_of, steps[:done]))) for done in range(len(steps) + 1)]
    assert said[0] == "step 1 of 14: pre-deploy"
    assert said[5] == "step 6 of 14: verify the canary before its traffic in production"
    assert said[7] == "step 8 of 14: watch 10 % in production"
    assert said[-1] == ""
    assert [one.partition(":")[0] for one in said[:-1]] == [f"step {number} of 14" for number in range(1, 15)]


def test_the_progress_of_a_wave_names_each_target() -> None:
    """Targets side by side are each where they are; those of a later wave are not named."""
    plan = targets_of(1, 1, 2)
    steps = steps_of(plan)
    first = [step for step in steps if step.environment == "production/t0"][:3]
    entries = record(review_of(plan), *map(trace_of, steps[:4]), *map(trace_of, first))
    assert progress_in_words(entries).endswith(": watch 10 % in production/t0, prepare in production/t1")


def test_no_progress_is_said_before_the_review_and_once_it_rolls_back() -> None:
    """Then the steps ahead are no longer those of the list."""
    assert progress_in_words([]) == ""
    assert progress_in_words(record(review_of(plan_of()), {"kind": "rollback", "name": "decision"})) == ""


def test_a_new_round_begins_from_its_review() -> None:
    """What an earlier round did in staging is done again."""
    steps = steps_of(plan_of())
    again = {**review_of(plan_of()), "round": 2}
    assert progress_in_words(record(review_of(plan_of()), *map(trace_of, steps[:3]), again)) == "step 1 of 14: pre-deploy"
