"""Where a plan brings a version: one production, or several targets, in their order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from blocks.errors import BadInput
from tasks.rules.plan.file import read_plan
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.request import EnvironmentName
from tasks.rules.plan.targets import (
    chosen,
    environments_reversed,
    is_production,
    place_of,
    places_of,
    production_of,
    steps_in_words,
    target_of,
    waves_of,
    waves_reversed,
    within,
)
from tasks.rules.rollout.steps import longest_seconds
from tasks.rules.rollout.summary import describe_course

RAW: dict[str, Any] = {
    "shipway": 1, "service": "guestbook", "verification": {"health": [{}]}, "checklist": {"tests_passed": False},
    "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]}, "staging": {"platform": "local/a"},
    "approval": {"quorum": 0}, "rollback": {},
}  # fmt: skip
STEPS = [{"percent": 10, "watch_seconds": 60}, {"percent": 100, "watch_seconds": 0}]
EU, US = {"name": "eu", "platform": "local/eu"}, {"name": "us", "platform": "local/us"}
TEXT = """shipway: 1
service: guestbook
verification: {health: [{}]}
judgement: {slis: [{name: errors, indicator: errors}]}
staging: {platform: local/a}
approval: {quorum: 0}
rollback: {}
checklist: {tests_passed: false}
production:
  SECTION
"""
WORDS = st.text("abz019", min_size=1, max_size=8)
NAMES = st.lists(st.lists(WORDS, min_size=1, max_size=3).map("-".join), min_size=1, max_size=10, unique=True)


def plan_of(**production: Any) -> Plan:
    """Make a plan with this production."""
    return Plan.model_validate({**RAW, "production": production})


ONE = plan_of(platform="local/b", steps=STEPS)
TWO = plan_of(targets=[EU, {**US, "steps": [{"percent": 100}], "ready_timeout_seconds": 5}], steps=STEPS, ready_timeout_seconds=30)

WAVES = plan_of(targets=[{**EU, "wave": 1}, {**US, "wave": 2}, {"name": "asia", "platform": "local/asia", "wave": 2}], steps=STEPS)


def test_one_production_keeps_its_name() -> None:
    """A plan without targets has the two environments that it always had."""
    assert [(place.environment, place.platform, place.field) for place in places_of(ONE)] == [
        ("staging", "local/a", "staging.platform"),
        ("production", "local/b", "production.platform"),
    ]
    assert environments_reversed(ONE) == ("production", "staging")
    assert (steps_in_words(ONE), within("production")) == ("10 % → 100 %", "")


def test_targets_are_environments_in_their_order() -> None:
    """Each takes its own steps and time, else those of the section; back is the other way round."""
    eu, us = production_of(TWO)
    assert (eu.environment, eu.field, eu.ready_timeout_seconds, len(eu.steps)) == ("production/eu", "production.targets[0].platform", 30, 2)
    assert (us.environment, us.field, us.ready_timeout_seconds, len(us.steps)) == ("production/us", "production.targets[1].platform", 5, 1)
    assert environments_reversed(TWO) == ("production/us", "production/eu", "staging")
    assert within("production/eu") == " in production/eu"


def test_targets_of_a_wave_stand_side_by_side_and_without_waves_each_alone() -> None:
    """The waves keep the plan's order; back it is the last one first, and a target that is named goes alone."""
    names = [[place.environment for place in wave] for wave in waves_of(WAVES)]
    assert names == [["production/eu"], ["production/us", "production/asia"]]
    assert waves_reversed(WAVES) == (("production/asia", "production/us"), ("production/eu",))
    assert environments_reversed(WAVES) == ("production/asia", "production/us", "production/eu", "staging")
    assert waves_reversed(WAVES, "production/us") == (("production/us",),)
    assert waves_reversed(WAVES, "staging") == (("staging",),)
    assert [len(wave) for wave in waves_of(TWO)] == [1, 1]
    assert [[place.environment for place in wave] for wave in waves_of(ONE)] == [["production"]]


@given(st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_every_target_is_in_one_wave_and_their_order_is_the_plans(numbers: list[int]) -> None:
    """However the waves are numbered, nothing is lost, doubled or turned round."""
    targets = [{"name": f"t{place}", "platform": f"local/t{place}", "wave": wave} for place, wave in enumerate(sorted(numbers))]
    plan = plan_of(targets=targets, steps=STEPS)
    waves = waves_of(plan)
    assert [place for wave in waves for place in wave] == list(production_of(plan))
    assert [len(wave) for wave in waves] == [numbers.count(one) for one in sorted(set(numbers))]


def test_the_name_production_means_every_target() -> None:
    """One of them is meant by its whole name."""
    assert [place.environment for place in chosen(TWO, "production")] == ["production/eu", "production/us"]
    assert [place.environment for place in chosen(TWO, "production/us")] == ["production/us"]
    assert [place.environment for place in chosen(TWO, "staging")] == ["staging"]
    assert [place.environment for place in chosen(ONE, "production")] == ["production"]


@pytest.mark.parametrize(
    ("plan", "name", "known"),
    [(ONE, "production/eu", "staging, production."), (TWO, "production/asia", "production/us."), (TWO, "elsewhere", "production/eu")],
)
def test_an_unknown_environment_is_answered_with_those_there_are(plan: Plan, name: str, known: str) -> None:
    """No one has to open the plan to find the right name."""
    with pytest.raises(BadInput, match=name) as caught:
        chosen(plan, name)
    assert known in str(caught.value)
    with pytest.raises(BadInput):
        place_of(plan, name)


@given(NAMES)
def test_every_environment_of_a_plan_can_be_asked_for(names: list[str]) -> None:
    """A target's name makes an environment that forms take, that is production, and that leads back to its target."""
    plan = plan_of(targets=[{"name": name, "platform": f"local/t{number}"} for number, name in enumerate(names)], steps=STEPS)
    form = TypeAdapter(EnvironmentName)
    assert [target_of(place.environment) for place in production_of(plan)] == names
    for place in places_of(plan):
        assert form.validate_python(place.environment) == place.environment
        assert is_production(place.environment) == (place.environment != "staging")
        assert place_of(plan, place.environment) == place


@given(NAMES)
def test_a_plan_with_targets_survives_the_way_through_the_storage(names: list[str]) -> None:
    """What a release remembers of its plan is that plan."""
    plan = plan_of(targets=[{"name": name, "platform": f"local/t{number}"} for number, name in enumerate(names)], steps=STEPS)
    assert Plan.model_validate(plan.model_dump(mode="json", by_alias=True)) == plan


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("targets: []", "production.targets: has 0 entries, needs at least 1"),
        ("targets: [{name: eu, platform: local/b}]", "production: the target eu has no steps. Write `steps` in `production`"),
        ("targets: [{name: e, platform: local/b}, {name: e, platform: local/c}]", "production: `e` is listed twice"),
        ("targets: [{name: e, platform: local/b}, {name: u, platform: local/b}]", "production: `local/b` is listed twice"),
        ("targets: [{name: e, platform: local/a, steps: [{percent: 100}]}]", "production: staging and production are the same platform"),
        ("{platform: local/b, targets: []}", "production: `platform` and `targets` are both given"),
        ("targets: [{name: e--u, platform: local/b}]", "targets[0].name: `e--u` does not fit. Write lower-case letters"),
        ("targets: [{name: eu, platfrom: local/b}]", "targets[0].platfrom: the field `platfrom` is unknown. Did you mean `platform`?"),
        ("targets: [{name: eu, platform: local/b, steps: [{percent: 9}]}]", "targets[0].steps: the last step must be 100 %, not 9 %"),
        (
            "{on_wave_failure: stay, targets: [{name: eu, platform: local/b}]}",
            "production.on_wave_failure: `stay` must be 'back' or 'keep'",
        ),
        (
            "{steps: [{percent: 100}], targets: [{name: eu, platform: local/b, wave: 1}, {name: us, platform: local/c}]}",
            "production: the target us has no `wave`, though others have one. Give every target a `wave`, or none of them",
        ),
        (
            "{steps: [{percent: 100}], targets: [{name: eu, platform: local/b, wave: 2}, {name: us, platform: local/c, wave: 1}]}",
            "production: the waves fall: 2, 1. List the targets in the order of their waves: us, eu",
        ),
        ("targets: [{name: eu, platform: local/b, wave: 0}]", "targets[0].wave: `0` must be at least 1. Write 1 or more"),
        ("{on_wave_failure: keep, platform: local/b, steps: [{percent: 100}]}", "the field `on_wave_failure` is unknown. Remove it"),
        ("{stepz: [], targets: [{name: eu, platform: local/b}]}", "production.stepz: the field `stepz` is unknown. Did you mean `steps`?"),
    ],
)
def test_a_fault_in_the_targets_is_said_in_the_plans_own_words(section: str, said: str) -> None:
    """Place and fix name what the author wrote, not how it is modelled."""
    plan, problems = read_plan(TEXT.replace("SECTION", section).encode(), name="plan.yaml")
    assert plan is None
    assert any(said in str(problem) for problem in problems), list(map(str, problems))


def test_the_course_names_each_target_and_what_a_failure_means() -> None:
    """Who reads the course knows the order, each one's steps, and what stays."""
    current = {"staging": "1.1", "production/eu": "1.0", "production/us": None}
    text = "\n".join(describe_course(TWO, "1.2", current))
    for words in (
        "Production, production/eu: start 1.2 on local/eu (1.0 runs there now)", "Step 1 of 2 in eu: send 10 %",
        "Production, production/us: start 1.2 on local/us (nothing runs there yet)", "Step 1 of 1 in us: send 100 %",
        "and those before it too, the last first", "since 1.0 in production/eu, nothing in production/us",
    ):  # fmt: skip
        assert words in text
    kept = plan_of(targets=[EU, US], steps=STEPS, on_wave_failure="keep")
    assert "those before it, and staging, keep the new version" in "\n".join(describe_course(kept, "1.2"))
    assert not [line for line in describe_course(ONE, "1.2") if "target" in line.lower()]


def test_the_course_says_which_targets_go_side_by_side() -> None:
    """And what a failure does to those beside it."""
    text = "\n".join(describe_course(WAVES, "1.2"))
    assert "Waves: eu; then us, asia. Targets of a wave go side by side" in text
    assert "stops those under way and rolls them back, and those completed too, the last first" in text


def test_targets_side_by_side_take_the_time_of_the_longest() -> None:
    """A second target in a wave adds nothing to a release's longest time, a wave of its own does."""
    alone = longest_seconds(plan_of(targets=[EU], steps=STEPS))
    assert longest_seconds(plan_of(targets=[{**EU, "wave": 1}, {**US, "wave": 1}], steps=STEPS)) == alone
    assert longest_seconds(WAVES) == longest_seconds(plan_of(targets=[EU, US], steps=STEPS)) > alone


def test_every_target_takes_its_time() -> None:
    """The longest time of a release counts each target."""
    both = plan_of(targets=[EU, US], steps=STEPS)
    assert longest_seconds(both) > longest_seconds(plan_of(targets=[EU], steps=STEPS)) == longest_seconds(ONE)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (plan_of(targets=[EU, US], steps=STEPS), "10 % → 100 %, in production/eu, then production/us"),
        (TWO, "production/eu: 10 % → 100 %; then production/us: 100 %"),
        (WAVES, "10 % → 100 %, in production/eu, then production/us and production/asia"),
    ],
)
def test_the_steps_ahead_fit_in_a_line(plan: Plan, words: str) -> None:
    """Targets that go alike share it."""
    assert steps_in_words(plan) == words
