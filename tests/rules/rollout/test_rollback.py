"""How an environment is rolled back, and whether a release moved it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.rollout.rollback import choose_rollback, is_moved

VERSIONS = st.sampled_from(["1.0", "1.1", "1.2", "1.3"])
MAYBE = st.none() | VERSIONS
PLACES = st.fixed_dictionaries({"baseline": MAYBE, "canary": MAYBE, "previous": MAYBE, "bad": MAYBE, "to": st.just("previous") | VERSIONS})


def place(**seen: Any) -> dict[str, Any]:
    """Describe an environment; what is not named is not there."""
    return {"baseline": None, "canary": None, "previous": None, "bad": None, "to": "previous"} | seen


@pytest.mark.parametrize(
    ("seen", "kind", "version"),
    [
        (place(baseline="1.0", canary="1.1"), "abort", "1.0"),
        (place(baseline="1.0", canary="1.1", previous="0.9", bad="1.1"), "abort", "1.0"),
        (place(canary="1.0"), "abort", None),
        (place(baseline="1.1", previous="1.0", bad="1.1"), "redeploy", "1.0"),
        (place(baseline="1.1", previous="1.0"), "redeploy", "1.0"),
        (place(baseline="1.1", previous="1.0", to="0.9"), "redeploy", "0.9"),
        (place(baseline="1.0", previous="0.9", bad="1.1"), "nothing", "1.0"),
        (place(baseline="1.0", bad="1.1", to="1.0"), "nothing", "1.0"),
        (place(baseline="1.1", bad="1.1"), "impossible", None),
        (place(baseline="1.1", previous="1.1", bad="1.1"), "impossible", None),
        (place(baseline="1.1", bad="1.1", to="1.1"), "impossible", None),
        (place(), "impossible", None),
        (place(baseline="1.1", canary="1.0", to="1.0"), "redeploy", "1.0"),  # left by a rollback that did not end
        (place(baseline="1.1", canary="1.0", bad="1.1", to="1.0"), "redeploy", "1.0"),
        (place(baseline="1.1", canary="1.0", bad="1.0", to="1.0"), "impossible", None),
        (place(baseline="1.0", bad="1.0", is_first=True), "stays", "1.0"),
        (place(canary="1.0", bad="1.0", is_first=True), "abort", None),
        (place(baseline="1.0", bad="1.0", fallback="0.9", is_first=True), "redeploy", "0.9"),
    ],
)
def test_the_quickest_way_to_a_good_version_is_taken(seen: dict[str, Any], kind: str, version: str | None) -> None:
    """A warm baseline is one switch away; else the version before comes up again; else a person is told."""
    way = choose_rollback(**seen)
    assert (way.kind, way.version) == (kind, version)


def test_a_bad_baseline_is_left_even_while_a_newer_canary_is_beside_it() -> None:
    """A critical bug of what serves is not fixed by taking the canary away."""
    way = choose_rollback(**place(baseline="1.1", canary="1.2", previous="1.0", bad="1.1"))
    assert (way.kind, way.version) == ("redeploy", "1.0")


@given(PLACES)
def test_no_way_leads_to_the_bad_version(seen: dict[str, Any]) -> None:
    """Whatever runs and whatever is asked for, the version to get away from does not serve afterwards."""
    way = choose_rollback(**seen)
    assert way.version is None or way.version != seen["bad"]


@given(PLACES)
def test_only_a_canary_is_aborted(seen: dict[str, Any]) -> None:
    """Without a canary there is nothing to take away."""
    assert choose_rollback(**seen).kind != "abort" or seen["canary"] is not None


@given(PLACES)
def test_nothing_is_done_only_where_a_good_version_serves_alone(seen: dict[str, Any]) -> None:
    """Doing nothing is for an environment that is where it should be."""
    way = choose_rollback(**seen)
    if way.kind == "nothing":
        assert (seen["canary"], way.version) == (None, seen["baseline"])
        assert seen["baseline"] is not None


@given(PLACES)
def test_a_version_that_a_person_names_is_the_one_that_is_taken(seen: dict[str, Any]) -> None:
    """A wish is met or refused, never turned into another one."""
    way = choose_rollback(**seen)
    if seen["to"] != "previous":
        assert way.version in {seen["to"], None}
        assert way.version is not None or way.kind == "impossible"


@given(PLACES)
def test_where_there_is_no_way_a_person_is_told_what_to_do(seen: dict[str, Any]) -> None:
    """The reason names the field to fill in."""
    way = choose_rollback(**seen)
    assert way.reason
    assert way.kind != "impossible" or ("`version`" in way.reason and way.version is None)


@pytest.mark.parametrize(
    ("position", "before", "was_there", "moved"),
    [
        ({"owner": "run", "canary": "1.1"}, "1.0", False, True),
        ({"owner": "run", "canary": None}, "1.0", False, True),
        ({"owner": "run", "canary": None}, "1.1", False, False),
        ({"owner": "run", "canary": "1.1"}, "1.1", False, True),
        ({"owner": "run", "canary": None}, "1.0", True, False),
        ({"owner": "other", "canary": "1.1"}, "1.0", False, False),
        ({"owner": None, "canary": None}, None, False, False),
    ],
    ids=["canary up", "promoted", "ran there before", "its own canary again", "left by an earlier release", "another owner", "no owner"],
)
def test_a_release_moved_what_it_owns_and_did_not_find(position: Any, before: Any, was_there: bool, moved: bool) -> None:  # noqa: FBT001 - columns
    """Only that is rolled back; what another run owns by now is its own."""
    assert is_moved(position, owner="run", version="1.1", before=before, was_there=was_there) is moved


@pytest.mark.parametrize("before", ["1.1", "1.1+config.a", "1.0", None])
def test_what_the_record_of_a_release_says_that_it_did_is_moved_whatever_ran_before_is_called(before: str | None) -> None:
    """Unless another run owns it by now."""
    for owner in ("run", "other"):
        position = {"owner": owner, "canary": None, "baseline": "1.1"}
        assert is_moved(position, owner="run", version="1.1", before=before, was_there=False, has_acted=True) is (owner == "run")
