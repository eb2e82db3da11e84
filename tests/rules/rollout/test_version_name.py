"""A version whose ConfigMap or Secret changed has another name since, and is the same one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.rollout.left import Left, serves_since, steps_down_again
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback, is_moved
from tasks.rules.rollout.version_name import VersionName, may_be, named_there
from tasks.rules.rollout.waves import version_to_leave

NOW = datetime(2026, 11, 30, 3, 10, tzinfo=UTC)
HASHES = st.sampled_from(["", "a", "b"])
PLACES = ("production/eu", "production/us", "production/asia")


def called(source: str, config: str, *, present: str) -> str:
    """Name a version as a platform does: with the hash of its configuration, if that is not the present one."""
    return source if not config or config == present else f"{source}+config.{config}"


@pytest.mark.parametrize(
    ("asked", "there", "others", "present", "name"),
    [
        ("2.0", ["2.0"], [], "b", "2.0"),
        ("2.0", ["2.0+config.a"], [], "b", "2.0+config.a"),
        ("2.0", ["2.0", "2.0+config.a"], [], "b", "2.0"),
        ("2.0", ["2.0+config.a"], ["2.0+config.a"], "b", "2.0"),
        ("2.0", ["1.0"], [], "b", "2.0"),
        ("2.0+config.a", ["2.0"], [], "a", "2.0"),
        ("2.0+config.a", ["2.0"], [], "b", "2.0+config.a"),
        ("2.0+config.a", ["2.0"], [], "", "2.0"),
        ("2.0+config.a", ["2.0+config.b"], [], "c", "2.0+config.a"),
        ("2.0", [None], [], "", "2.0"),
    ],
)
def test_a_version_is_known_by_the_name_that_it_has_there(asked: str, there: Any, others: Any, present: str, name: str) -> None:
    """A hash is compared where both are known; a plain name is any of its configurations but those that are not meant."""
    assert named_there(asked, there, others=others, present=present) == name


@given(st.sampled_from(["1.0", "2.0"]), HASHES, st.sampled_from(["1.0", "2.0"]), HASHES)
def test_two_names_may_be_one_either_way(one: str, first: str, other: str, second: str) -> None:
    """And each may be itself."""
    left, right = VersionName(one, first), VersionName(other, second)
    assert left.may_be(right) == right.may_be(left)
    assert left.may_be(left)
    assert not may_be(None, one)


@given(
    started=st.dictionaries(st.sampled_from(PLACES), HASHES, min_size=1),
    now=st.tuples(HASHES, HASHES, HASHES),
    by=st.sampled_from(["2.0", ""]),
)
def test_whatever_changed_after_a_promotion_a_rollback_brings_the_version_that_ran_before(
    started: dict[str, str], now: tuple[str, ...], by: str
) -> None:
    """In none, one or all targets; by the release's own name, by `--bad 2.0`, and by no name, where the newest is found."""
    present = dict(zip(PLACES, now, strict=True))
    runs = {
        name: {"baseline": called("2.0", config, present=present[name]), "canary": None, "previous": "1.0"}
        for name, config in started.items()
    }
    bad = by or version_to_leave(runs, to="previous")
    assert bad is not None
    for name, one in runs.items():
        way = choose_rollback(**one, bad=bad or None, to="previous", configuration=present[name], others=["1.0"])  # type: ignore[arg-type]
        assert (way.kind, way.version) == ("redeploy", "1.0"), (bad, runs)


@pytest.mark.parametrize("silent", [[], [PLACES[2]]])
def test_targets_that_know_one_version_by_two_names_leave_it_together(silent: list[str]) -> None:
    """Also the one that did not answer, whatever changed there."""
    eu = {"baseline": "2.0+config.a", "canary": None, "previous": "1.0"}
    us = {"baseline": "1.0+config.a", "canary": None, "previous": "0.9"}
    assert version_to_leave({PLACES[0]: eu, PLACES[1]: us}, to="previous", silent=silent) == "2.0"
    assert version_to_leave({PLACES[0]: eu, PLACES[1]: {**us, "baseline": "2.0"}}, to="previous", silent=silent) == "2.0"
    assert version_to_leave({PLACES[0]: eu}, to="previous", silent=[PLACES[2]]) == "2.0"
    assert version_to_leave({PLACES[0]: eu, PLACES[1]: us}, to="1.0", silent=silent) == "2.0"


def test_targets_of_which_one_waits_for_the_new_configuration_are_not_taken_for_one() -> None:
    """The version that a release of the configuration alone replaces is not the one that it brings."""
    eu = {"baseline": "2.0", "canary": None, "previous": "2.0+config.a"}
    us = {"baseline": "2.0+config.a", "canary": None, "previous": "1.0"}
    asia = {"baseline": "2.0+config.b", "canary": None, "previous": "1.0"}
    assert version_to_leave({PLACES[0]: eu, PLACES[1]: us}, to="previous") == "2.0"
    assert version_to_leave({PLACES[0]: eu, PLACES[1]: us, PLACES[2]: asia}, to="previous") is None


RELEASED: dict[str, Any] = {"bad": "2.0", "to": "previous", "configuration": "b", "others": ["2.0+config.a"]}


@pytest.mark.parametrize(
    ("runs", "kind", "version"),
    [
        ({"baseline": "2.0+config.a", "canary": "2.0", "previous": "1.0"}, "abort", "2.0+config.a"),
        ({"baseline": "2.0", "canary": None, "previous": "2.0+config.a"}, "redeploy", "2.0+config.a"),
        ({"baseline": "2.0+config.a", "canary": None, "previous": None}, "nothing", "2.0+config.a"),
        ({"baseline": "2.0", "canary": "2.0+config.a", "previous": None, "to": "2.0+config.a"}, "redeploy", "2.0+config.a"),
    ],
)
def test_a_release_of_the_configuration_alone_is_rolled_back_to_the_earlier_one(runs: dict[str, Any], kind: str, version: str) -> None:
    """What ran before it is not bad, although it has the same plain name."""
    way = choose_rollback(**{**RELEASED, **runs})
    assert (way.kind, way.version) == (kind, version)


def test_a_version_that_is_asked_for_may_run_by_another_name() -> None:
    """It is warm beside the canary; and one that a rollback started goes on."""
    beside: dict[str, Any] = {"baseline": "1.0+config.a", "canary": "2.0", "previous": "0.9", "bad": None, "to": "1.0"}
    assert choose_rollback(**beside).kind == "abort"
    begun = choose_rollback(baseline="2.0", canary="1.0+config.a", previous=None, bad=None, to="1.0")
    assert (begun.kind, begun.version) == ("redeploy", "1.0+config.a")


def test_the_fixed_version_of_a_plan_is_not_the_bad_one_by_another_name() -> None:
    """`rollback.to: 2.0` names a version that turned out bad."""
    way = choose_rollback(baseline="2.0+config.a", canary=None, previous="1.0", bad="2.0", to="previous", fallback="2.0", configuration="b")
    assert (way.kind, way.version) == ("redeploy", "1.0")


@pytest.mark.parametrize(("present", "yes"), [("a", False), ("b", True)])
def test_a_release_of_a_configuration_that_came_back_before_it_began_moved_nothing(present: str, *, yes: bool) -> None:
    """The pods are those that ran before, and their name is plain again."""
    position = {"owner": "run", "baseline": "2.0", "canary": None, "configuration": present}
    assert is_moved(position, owner="run", version="2.0", before="2.0+config.a", was_there=False) is yes


@pytest.mark.parametrize("serves", ["1.9", "1.9+config.a"])
@pytest.mark.parametrize("runs", ["1.9", "1.9+config.a"])
def test_what_a_rollback_brought_is_known_whatever_changed_since(serves: str, runs: str) -> None:
    """A second one is about what the first one left, and steps down no further."""
    left = Left("2.0", serves, "r1", NOW, brought=(serves,))
    position = {"baseline": runs, "canary": None, "owner": None}
    assert serves_since(position, left, at=NOW)
    assert steps_down_again(position, RollbackChoice("redeploy", "1.8", ""), left)


def test_a_configuration_that_was_left_is_not_the_one_that_serves_since() -> None:
    """They share the plain name."""
    left = Left("2.0", "2.0+config.a", "r1", NOW)
    assert serves_since({"baseline": "2.0+config.a", "canary": None}, left, at=NOW)
    assert not serves_since({"baseline": "2.0", "canary": None}, left, at=NOW)
