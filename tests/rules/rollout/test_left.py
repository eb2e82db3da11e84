"""A rollback after a rollback is about the version that the first one left, and leaves the good one where it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.rollout.bad_name import name_given
from tasks.rules.rollout.left import (
    TWICE,
    Left,
    all_as_meant,
    as_before,
    as_meant,
    brought_by,
    is_half_done,
    is_of_another,
    is_under_way,
    serves_since,
    stays_after_all,
    steps_down_again,
    version_left,
)
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback, version_meant
from tasks.rules.rollout.version_name import names_of
from tasks.rules.rollout.waves import version_to_leave

NOW = datetime(2026, 11, 30, 3, 10, tzinfo=UTC)
LEFT = Left("2.0", "1.9", "r1", NOW)
VERSIONS = st.sampled_from(["1.8", "1.9", "2.0", "2.1"])


def position(
    baseline: str | None, canary: str | None = None, previous: str | None = None, *, owner: str | None = "r1", percent: int = 0
) -> dict[str, Any]:
    """Give what an environment runs, owned by the rollback that left something there."""
    return {"baseline": baseline, "canary": canary, "previous": previous, "owner": owner, "percent": percent}


@pytest.mark.parametrize(
    ("runs", "to", "meant"),
    [
        (position("1.9"), "previous", "2.0"),
        (position("1.9"), "1.9", "2.0"),
        (position("1.9"), "1.8", "1.9"),
        (position("1.9+config.a"), "previous", "2.0"),
        (position("2.0", "1.9"), "previous", "2.0"),
        (position("2.0", "1.9+config.a"), "previous", "2.0"),
        (position("2.0", "1.9"), "1.8", "2.0"),
        (position("2.0", "1.9", owner="release"), "previous", "1.9"),
        (position("2.0", "1.9", owner="release"), "1.8", "1.9"),
        (position("1.9", "2.0"), "previous", "2.0"),
        (position("1.9", "2.1"), "previous", "2.1"),
        (position("2.0"), "previous", "2.0"),
        (position("2.0", "2.1"), "previous", "2.1"),
        (position("2.1", None, "1.9"), "previous", "2.1"),
        (position(None), "previous", None),
    ],
)
def test_the_version_that_was_left_is_meant_while_what_a_rollback_brought_serves_or_is_started(
    runs: dict[str, Any], to: str, meant: str | None
) -> None:
    """An older version by name leaves what serves, and so does what came since."""
    found = as_meant(runs, LEFT, to=to, at=NOW)
    assert version_meant(baseline=found["baseline"], canary=found["canary"], to=to) == meant
    assert as_meant(runs, None, to=to, at=NOW) is runs


@given(baseline=VERSIONS, canary=st.none() | VERSIONS, previous=st.none() | VERSIONS, bad=st.none() | VERSIONS)
def test_a_second_rollback_never_brings_back_what_the_first_one_left(
    baseline: str, canary: str | None, previous: str | None, bad: str | None
) -> None:
    """At each moment of the first: chosen, started beside, and over; whatever ran before."""
    runs = position(baseline, canary, previous)
    first = choose_rollback(baseline=baseline, canary=canary, previous=previous, bad=bad, to="previous")
    gone = version_left(runs, first, bad=bad or "", to="previous")
    if gone is None or first.version is None:
        return
    left = Left(gone, first.version, "r1", NOW)
    if first.kind == "abort":
        return  # what serves then served before: the next one is about that
    moments = [position(first.version, None, None if previous == first.version else previous)]
    moments += [position(baseline, first.version, previous)] if first.kind == "redeploy" and baseline == gone else []
    for moment in moments:
        meant = as_meant(moment, left, to="previous", at=NOW)
        away = version_meant(baseline=meant["baseline"], canary=meant["canary"], to="previous")
        runs = {name: moment[name] for name in ("baseline", "canary", "previous")}
        second = choose_rollback(**runs, bad=away, to="previous")
        assert away == gone
        assert second.version == first.version, (moment, second)
    assert serves_since(moments[0], left, at=NOW)
    assert all(is_under_way(moment, left) for moment in moments[1:])


@pytest.mark.parametrize(
    ("owner", "owners", "yes"),
    [
        ("r1", {}, True),
        ("release", {}, False),
        (None, {}, True),
        ("r2", {"production": "r1"}, True),
        ("r2", {"production": "release"}, False),
        ("r2", {"production": None}, True),
        ("r2", {"production": "r2"}, True),
        ("r2", {}, True),
    ],
    ids=[
        "its own", "a release of the version that did not come up then", "no one's, as it ended", "taken over from it",
        "taken over from that release", "taken over from no one", "taken over in an attempt before", "taken over without an answer before",
    ],
)  # fmt: skip
def test_a_rollback_is_under_way_only_where_it_owns_the_environment_or_did_until_it_was_taken_over(
    owner: str | None, owners: dict[str, str | None], *, yes: bool
) -> None:
    """A release of the earlier version, after the rollback to it had failed, is rolled back like any other."""
    runs = as_before(position("2.0", "1.9", owner=owner), LEFT, by="r2", owners=owners, environment="production")
    assert is_under_way(runs, LEFT) is yes


@pytest.mark.parametrize(
    ("runs", "yes"),
    [
        (position("2.0"), True),
        (position("2.0", "1.9"), True),
        (position("2.0", "1.9", percent=100), False),
        (position("1.9"), False),
        (position("2.1", None, "2.0"), False),
        ({**position("2.0", "1.9"), "under_way": "promotion"}, False),
    ],
)
def test_a_rollback_that_failed_left_nothing_if_the_version_serves_on_alone(runs: dict[str, Any], *, yes: bool) -> None:
    """Where what it started gets requests it may yet be finished."""
    ready = dict.fromkeys((runs["baseline"], runs["canary"]), True)
    assert stays_after_all({"ready": ready, **runs}, LEFT, in_place=False) is yes


@pytest.mark.parametrize(
    ("runs", "left", "later", "meant"),
    [
        (position("1.9"), LEFT, TWICE, "2.0"),
        (position("1.9"), LEFT, TWICE + timedelta(seconds=1), "1.9"),
        (position("1.9"), LEFT, timedelta(weeks=3), "1.9"),
        (position("1.9"), LEFT, timedelta(days=-1), "1.9"),
        (position("2.0", "1.9"), LEFT, timedelta(weeks=3), "2.0"),
        (position("1.9"), LEFT._replace(at=None), timedelta(0), "1.9"),
        (position("1.9"), LEFT._replace(is_open=True), timedelta(days=1), "2.0"),
        (position("1.9"), LEFT._replace(over=NOW + timedelta(hours=5)), timedelta(hours=6), "2.0"),
        (position("1.9"), LEFT._replace(over=NOW + timedelta(hours=5)), timedelta(hours=6, seconds=1), "1.9"),
        (position("1.9"), LEFT._replace(over=NOW, is_open=True), timedelta(hours=2), "1.9"),
    ],
    ids=[
        "for an hour",
        "then no more",
        "weeks later it is bad itself",
        "the clock was set back",
        "what is under way, however long",
        "no one knows when",
        "it is not over",
        "for an hour since it was over",
        "not longer since it was over",
        "it is over here, and open for others",
    ],
)
def test_what_serves_since_a_rollback_is_kept_from_a_plain_one_for_an_hour(
    runs: dict[str, Any], left: Left, later: timedelta, meant: str
) -> None:
    """Two people on call ask twice within it; later a rollback that names nothing is about what serves."""
    found = as_meant(runs, left, to="previous", at=NOW + later)
    assert version_meant(baseline=found["baseline"], canary=found["canary"], to="previous") == meant


@pytest.mark.parametrize(
    ("owner", "owners", "yes"),
    [(None, {}, False), ("r1", {}, True), ("r2", {}, False), ("r2", {"production": None}, False), ("r2", {"production": "r1"}, True)],
    ids=["no one's", "its own, taken over again", "taken over, whose is not known", "taken over from no one", "taken over from it"],
)
def test_a_canary_without_an_owner_is_not_a_rollbacks_once_a_release_began_there(
    owner: str | None, owners: dict[str, str | None], *, yes: bool
) -> None:
    """The version was fixed and released, and that release's own rollback failed and gave the environment up."""
    left = LEFT._replace(is_released=True)
    runs = as_before(position("2.0", "1.9", owner=owner), left, by="r2", owners=owners, environment="production")
    assert is_under_way(runs, left) is yes


@pytest.mark.parametrize(
    ("runs", "choice", "left", "yes"),
    [
        (position("1.9"), RollbackChoice("redeploy", "1.8", ""), LEFT._replace(brought=("1.9",)), True),
        (position("1.9+config.a"), RollbackChoice("redeploy", "1.8", ""), LEFT._replace(brought=("1.9",)), True),
        (position("1.9"), RollbackChoice("redeploy", "1.8", ""), Left("2.1", "1.9", "r3", NOW, brought=("1.9",)), True),
        (position("1.9"), RollbackChoice("redeploy", "1.8", ""), Left("1.9", "1.8", "r3", NOW, brought=("1.9", "1.8")), True),
        (position("1.9"), RollbackChoice("redeploy", "1.8", ""), LEFT, False),
        (position("2.0"), RollbackChoice("redeploy", "1.9", ""), LEFT._replace(brought=("1.9",)), False),
        (position("1.9", "1.8"), RollbackChoice("redeploy", "1.8", ""), LEFT._replace(brought=("1.9",)), False),
        (position("1.9", "2.1"), RollbackChoice("abort", "1.9", ""), LEFT._replace(brought=("1.9",)), False),
        (position("1.9"), RollbackChoice("nothing", "1.9", ""), LEFT._replace(brought=("1.9",)), False),
        (position("1.9"), RollbackChoice("redeploy", "1.8", ""), None, False),
    ],
    ids=[
        "what a rollback brought", "with its configuration", "a canary was aborted since", "a rollback from it failed since",
        "it served before", "the first rollback failed", "that is under way", "a canary goes", "it stays", "no rollback since a promotion",
    ],
)  # fmt: skip
def test_a_second_step_down_leaves_what_a_rollback_brought(
    runs: dict[str, Any], choice: RollbackChoice, left: Left | None, *, yes: bool
) -> None:
    """With no promotion in between."""
    assert steps_down_again(runs, choice, left) is yes


CONFIGURED = Left("2.0", "2.0+config.b", "r1", NOW, configuration="a")


@pytest.mark.parametrize(
    ("runs", "present", "left", "serves"),
    [
        ("2.0", "b", CONFIGURED, True),
        ("2.0+config.b", "a", CONFIGURED, True),
        ("2.0+config.b", "c", CONFIGURED, True),
        ("2.0", "a", CONFIGURED, False),
        ("2.0", "", CONFIGURED, False),
        ("2.0+config.a", "b", CONFIGURED, False),
        ("2.0", "b", CONFIGURED._replace(configuration=""), False),
        ("2.0", "b", Left("2.0", "1.9", "r1", NOW, configuration="a"), False),
        ("1.9", "b", Left("2.0", "1.9", "r1", NOW, configuration="a"), True),
    ],
    ids=[
        "put back: its plain name is that of what was brought", "not put back", "changed once more", "the one that was left",
        "what a plain name means is not known", "left, and put back", "kept by an earlier version", "left in any configuration",
        "another version",
    ],
)  # fmt: skip
def test_what_was_left_is_told_from_what_serves_since_by_its_configuration(runs: str, present: str, left: Left, *, serves: bool) -> None:
    """A ConfigMap that people put back gives what was brought the plain name under which the bad one was kept."""
    there = {**position(runs, owner=None), "configuration": present, "ready": {runs: True}}
    assert serves_since(there, left, at=NOW) is serves
    meant = as_meant(there, left, to="previous", at=NOW)
    away = version_meant(baseline=meant["baseline"], canary=meant["canary"], to="previous")
    others = [] if meant is there else [left.serves]
    way = choose_rollback(baseline=runs, canary=None, previous="1.8", bad=away, to="previous", configuration=present, others=others)
    assert (way.kind == "nothing") is serves
    assert not (serves and stays_after_all(there, left, in_place=False))


@pytest.mark.parametrize(
    ("bad", "present", "kind"),
    [("2.0", "b", "nothing"), ("2.0+config.a", "b", "nothing"), ("2.0+config.b", "b", "redeploy"), ("2.0", "a", "redeploy")],
)
def test_the_plain_name_of_what_was_left_is_not_that_of_what_serves_since(bad: str, present: str, kind: str) -> None:
    """An alarm asks again with the name of the release; who means what serves names it with its configuration."""
    runs = {**position("2.0", owner=None), "configuration": present}
    name = name_given(runs, CONFIGURED, bad=bad, at=NOW)
    way = choose_rollback(
        baseline="2.0", canary=None, previous="1.8", bad=name.bad, to="previous", others=name.not_meant(runs), configuration=present
    )
    assert way.kind == kind


def test_what_rollbacks_brought_is_known_until_a_promotion() -> None:
    """An abort brings nothing."""
    back, abort = RollbackChoice("redeploy", "1.8", ""), RollbackChoice("abort", "1.9", "")
    assert brought_by(back, None) == ("1.8",)
    assert brought_by(back, LEFT._replace(brought=("1.9",))) == ("1.9", "1.8")
    assert brought_by(abort, LEFT._replace(brought=("1.9",))) == ("1.9",)


def test_a_version_is_left_by_its_plain_name_unless_what_serves_has_the_same() -> None:
    """`--to 2.0` then means that one."""
    assert names_of("2.0+config.b", besides="1.9") == ["2.0+config.b", "2.0"]
    assert names_of("2.0+config.b", besides="2.0+config.a") == ["2.0+config.b"]
    assert names_of("2.0+config.b", besides="2.0") == ["2.0+config.b"]


OTHER = Left("2.0", "1.8", "r1", NOW)
EU, US = "production/eu", "production/us"


@pytest.mark.parametrize(
    ("positions", "lefts", "bad"),
    [
        ({EU: position("2.1", None, "1.9"), US: position("1.9", None, "1.8")}, {US: LEFT}, "2.1"),
        ({EU: position("2.1", None, "2.0"), US: position("1.9", None, "1.8")}, {US: LEFT}, "2.1"),
        ({EU: position("2.0", None, "1.9"), US: position("1.9", None, "1.8")}, {US: LEFT}, ""),
        ({EU: position("1.9"), US: position("1.8")}, {EU: LEFT, US: OTHER}, ""),
        ({EU: position("2.1", None, "1.9"), US: position("2.0", "1.9")}, {US: LEFT}, None),
        ({EU: position("2.1"), US: position("1.9")}, {US: LEFT}, None),
    ],
    ids=[
        "one target got a newer version since", "over the version that was left elsewhere", "half a rollback", "all were rolled back",
        "one is under way in the other target", "which one is newer is not known",
    ],
)  # fmt: skip
def test_what_was_left_in_one_target_does_not_hide_the_bad_version_of_another(
    positions: dict[str, Any], lefts: dict[str, Left], bad: str | None
) -> None:
    """Only what was released later counts then, and what still must be named is named by a person."""
    meant = all_as_meant(positions, lefts, to="previous", at=NOW, silent=[])
    assert version_to_leave(meant, to="previous") == bad


def test_a_choice_says_which_version_it_leaves() -> None:
    """The canary that it aborts; else the one that is bad, if it runs, or the newest."""
    abort, back = RollbackChoice("abort", "1.9", ""), RollbackChoice("redeploy", "1.8", "")
    assert version_left(position("1.9", "2.0"), abort, bad="3.0", to="previous") == "2.0"
    assert version_left(position("1.9", "2.0"), back, bad="1.9", to="1.8") == "1.9"
    assert version_left(position("1.9", "2.0"), back, bad="3.0", to="1.8") == "2.0"
    assert version_left(position("1.9"), RollbackChoice("nothing", "1.9", ""), bad="", to="previous") is None
    assert version_left(position("1.9"), RollbackChoice("nothing", "1.9", ""), bad="2.0", to="previous") is None
    assert version_left(position("1.9"), RollbackChoice("nothing", "1.9", ""), bad="2.0", to="previous", of_release=True) == "2.0"
    drifted = position("2.0+config.a", "2.1")
    assert version_left(drifted, back, bad="2.0", to="previous") == "2.0+config.a"


@pytest.mark.parametrize("silent", [[], ["production/us"]])
def test_after_half_a_rollback_the_same_version_is_left_by_the_other_target(silent: list[str]) -> None:
    """Also while that one does not answer: what serves where it is done is not the bad version."""
    runs = {"production/eu": as_meant(position("1.9"), LEFT, to="previous", at=NOW)}
    runs |= {} if silent else {"production/us": position("2.0", None, "1.9")}
    found = version_to_leave(runs, to="previous", silent=silent)
    heads = {version_meant(baseline=one["baseline"], canary=one["canary"], to="previous") for one in runs.values()}
    assert (found or heads) in ("2.0", {"2.0"})


@given(
    runs=st.permutations(["1.8", "1.9", "2.0", "2.1"]), canary=st.booleans(), bad=VERSIONS, minutes=st.integers(0, 60), ended=st.booleans()
)
def test_a_plain_rollback_within_the_hour_of_any_automatic_rollback_steps_down_nothing(
    runs: list[str], bad: str, minutes: int, *, canary: bool, ended: bool
) -> None:
    """Whatever the release had done: its process may have died between its lease and its first effect."""
    baseline, newer, previous, _ = runs
    seen: dict[str, Any] = {"baseline": baseline, "canary": newer if canary else None, "previous": previous}
    first = choose_rollback(**seen, bad=bad, to="previous")
    if first.version is None:
        return
    gone = version_left(seen, first, bad=bad, to="previous", of_release=True)
    assert gone is not None
    left = Left(gone, first.version, "r1", NOW, NOW if ended else None, brought=brought_by(first, None))
    stands = position(first.version, None, None if previous == first.version else previous, owner=None)
    meant = as_meant(stands, left, to="previous", at=NOW + timedelta(minutes=minutes))
    away = version_meant(baseline=meant["baseline"], canary=meant["canary"], to="previous")
    second = choose_rollback(**{name: stands[name] for name in ("baseline", "canary", "previous")}, bad=away, to="previous")
    assert (second.kind, second.version) == ("nothing", first.version)


def half(position: dict[str, Any], left: Left | None = LEFT, *, version: str = "2.1", is_left: bool = True, in_place: bool = False) -> bool:
    """Say whether a rollback is half done there; every version that is named is ready."""
    ready = dict.fromkeys((position["baseline"], position["canary"]), True)
    return is_half_done({"ready": ready, **position}, left, version=version, is_left=is_left, in_place=in_place)


SHARED = position("2.0", "1.9", owner=None, percent=100)


@pytest.mark.parametrize(
    ("runs", "more", "yes"),
    [
        (SHARED, {}, True),
        (SHARED, {"version": "1.9"}, True),
        (SHARED, {"version": "2.0"}, True),
        (SHARED, {"is_left": False}, True),
        (SHARED, {"left": None}, True),
        (SHARED, {"left": Left("1.9", "1.8", "r2", NOW)}, True),
        (position("2.0", "1.9", owner="r1", percent=1), {}, True),
        (position("2.0+config.new", "1.9+config.new", percent=50), {"left": Left("2.0+config.a", "1.9+config.b", "r1", NOW)}, True),
        (position("2.0+config.b", "2.0+config.a", percent=50), {"left": Left("2.0+config.b", "2.0+config.a", "r1", NOW)}, True),
        ({**position("2.0", "1.9"), "under_way": "promotion"}, {}, True),
        ({**position("2.0", "1.9"), "trouble": "it is not known who gets which share"}, {}, True),
        ({**position("2.0", "1.9"), "ready": {"2.0": False}}, {"in_place": True}, True),
        ({**position("2.0", "1.9"), "ready": {"2.0": False}}, {}, False),
        (position("2.0", "1.9"), {"in_place": True}, False),
        (position("2.0", "1.9"), {}, False),
        (position("1.9"), {}, False),
        (position("2.0", "2.1", percent=50), {}, False),
        (position("2.0", "2.1+config.a", percent=50), {}, False),
        (position("2.0", "2.1", percent=50), {"version": "2.2"}, True),
        (position("2.0", "2.1", percent=50), {"version": "2.2", "is_left": False}, False),
        (position("2.0", "1.9", percent=50), {"version": "1.9", "left": LEFT._replace(is_released=True)}, False),
        (position("1.9", "2.0", percent=50), {"is_left": False}, False),
        (position("2.0", "1.9", percent=50), {"left": None, "is_left": False}, False),
    ],
    ids=[
        "all requests", "a release of what it brings", "of what it leaves", "the version's own file is lost", "the last one is unreadable",
        "a second one failed, too", "it is under way", "other configurations by now", "configurations alone", "its promotion was begun",
        "who gets what is not known", "its script may have ended half-way", "it stands beside", "in place, and nothing moved", "no request",
        "it is over", "the release's own canary", "with a configuration", "another release's over what was left", "over what was not",
        "the release of what it was to bring", "a canary over what it brought", "no rollback",
    ],
)  # fmt: skip
def test_a_release_is_held_up_where_it_would_give_requests_back_to_what_a_rollback_left(
    runs: dict[str, Any], more: dict[str, Any], *, yes: bool
) -> None:
    """What the rollback brought has them, and each step of a release begins with the baseline."""
    assert half(runs, **more) is yes


@given(VERSIONS, VERSIONS, st.sampled_from(["1.8", "1.9"]), st.integers(1, 100))
def test_whatever_is_released_over_a_canary_with_requests_the_version_that_was_left_gets_none(
    baseline: str, version: str, canary: str, percent: int
) -> None:
    """A release replaces a canary that is not its own by the baseline, if nothing holds it up."""
    left = Left(baseline, canary, "r1", NOW)
    if baseline != canary:
        assert half(position(baseline, canary, owner=None, percent=percent), left, version=version)


@pytest.mark.parametrize(
    ("runs", "yes"),
    [
        (position("2.0", "1.9"), True),
        (position(None, "1.9"), True),
        (position("2.0", "2.1"), False),
        (position("2.0", "2.1+config.a"), False),
        (position("2.1", "1.9"), False),
        (position("2.1+config.b", "1.9"), False),
        (position("2.0"), False),
    ],
)
def test_a_canary_of_another_version_is_not_the_releases(runs: dict[str, Any], *, yes: bool) -> None:
    """Unless the release was promoted, and is rolled back by it."""
    assert is_of_another(runs, version="2.1") is yes
