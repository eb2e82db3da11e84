"""By which name each target knows the bad version: the configuration that a release replaced, or a rollback brought, may share it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.rollout.bad_name import BadName, name_if_silent, names_found, names_given, serves_on, stays_beside
from tasks.rules.rollout.left import Left, all_as_meant
from tasks.rules.rollout.rollback import RollbackChoice, choose_rollback, version_meant
from tasks.rules.rollout.version_name import VersionName
from tasks.rules.rollout.waves import version_to_leave

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
EU, US, ASIA = "production/eu", "production/us", "production/asia"


class Target(NamedTuple):
    """What a target runs, what the last rollback left there, and whether it answers when the rollback is decided."""

    runs: dict[str, Any]
    left: Left | None = None
    answers: bool = True


def runs(baseline: str, previous: str | None = "1.0", canary: str | None = None) -> dict[str, Any]:
    """Describe what a target runs that no one owns."""
    return {"baseline": baseline, "canary": canary, "previous": previous, "owner": None, "percent": 0}


def of_configuration(serves: str, *, hours: float) -> Left:
    """Say that the release of a configuration alone was rolled back."""
    at = NOW - timedelta(hours=hours)
    return Left("2.0", serves, "r1", at, at, brought=(serves,))


def chosen(targets: Mapping[str, Target], *, bad: str, unreached: tuple[str, ...] = ()) -> dict[str, RollbackChoice] | None:
    """Decide as the flow does, and choose in each target; None if it asks for a name."""
    positions = {name: one.runs for name, one in targets.items() if one.answers}
    lefts = {name: one.left for name, one in targets.items() if one.left and one.answers}
    silent = [name for name, one in targets.items() if not one.answers]
    if bad:
        names = names_given(positions, lefts, bad=bad, at=NOW, unreached=unreached, silent=silent)
    else:
        meant = all_as_meant(positions, lefts, to="previous", at=NOW, silent=silent)
        common = version_to_leave(meant, to="previous", silent=silent)
        if common is None:
            return None
        names = names_found(positions, meant, lefts, common=common, to="previous")
        if (unseen := name_if_silent(common, meant)) is not None:
            names |= dict.fromkeys(silent, unseen)
        heads = {version_meant(baseline=one["baseline"], canary=one["canary"], to="previous") for one in meant.values()}
        bad = common or (str(heads.pop()) if len(heads) == 1 and not silent else "")
    found = {}
    for name, one in targets.items():
        known = names.get(name) or BadName(bad, stays_beside(one.runs, one.left, bad=bad, at=NOW))
        seen = {part: one.runs[part] for part in ("baseline", "canary", "previous")}
        found[name] = choose_rollback(**seen, bad=known.bad or bad or None, to="previous", others=known.not_meant(one.runs))
    return found


NAMES = st.sampled_from(["2.0+config.a1", "2.0+config.a2", "2.0+config.a3"])
TARGETS = st.one_of(
    st.just(Target(runs("2.0"))),
    NAMES.map(lambda name: Target(runs(name))),
    st.builds(lambda name, hours: Target(runs(name), of_configuration(name, hours=hours)), NAMES, st.sampled_from([0.5, 3.0])),
)


@given(st.fixed_dictionaries({EU: TARGETS, US: TARGETS, ASIA: TARGETS}), st.sampled_from(["", "2.0"]), st.sampled_from(["", EU, ASIA]))
def test_whatever_rollbacks_of_configurations_came_before_the_bad_version_serves_nowhere_at_the_end(
    targets: dict[str, Target], bad: str, silent: str
) -> None:
    """By no name and by `--bad 2.0`, whichever target does not answer at first; or it does not end as rolled back.

    Where one runs the very name, that is the configuration that was released last, and others may serve an earlier one.
    """
    if silent:
        targets = {**targets, silent: targets[silent]._replace(answers=False)}
    found = chosen(targets, bad=bad)
    is_exact = any(one.runs["baseline"] == "2.0" and one.answers for one in targets.values())
    if found is None or {way.kind for way in found.values()} == {"nothing"} or is_exact:
        return  # it asks for a name, or is refused, or is about one configuration
    serving = serves_on({name: (way, targets[name].runs["baseline"]) for name, way in found.items()}, bad="2.0")
    assert serving or {VersionName.of(str(way.version)).source for way in found.values()} == {"1.0"}, found


@given(st.fixed_dictionaries({EU: TARGETS, US: TARGETS}), st.sampled_from(["", "2.0"]))
def test_hours_later_each_target_leaves_the_bad_version_whatever_it_is_called_there(targets: dict[str, Target], bad: str) -> None:
    """A rollback of its configuration was not about the version itself."""
    late = {name: one._replace(left=one.left and of_configuration(one.left.serves, hours=3)) for name, one in targets.items()}
    found = chosen(late, bad=bad)
    assert found is not None
    assert {(way.kind, way.version) for way in found.values()} == {("redeploy", "1.0")}


def test_a_name_that_means_another_configuration_somewhere_means_each_one() -> None:
    """One target was rolled back within the hour, and the other one runs the version since long with another Secret."""
    left = of_configuration("2.0+config.a1", hours=0.5)
    for answers in (True, False):
        targets = {EU: Target(runs(left.serves), left, answers), US: Target(runs("2.0+config.a2"))}
        found = chosen(targets, bad="2.0")
        assert found is not None
        assert {way.version for way in found.values()} == {"1.0"}
        found = chosen(targets, bad="2.0", unreached=(US,))
        assert found is not None
        assert {way.kind for way in found.values()} == {"nothing"}, "unless that release was to replace it"


def test_a_version_that_serves_on_in_a_target_that_answered_late_is_told() -> None:
    """The one that answered left it, and the other one is within its hour."""
    left = of_configuration("2.0+config.a1", hours=0.5)
    found = {EU: (RollbackChoice("nothing", left.serves, ""), left.serves), US: (RollbackChoice("redeploy", "1.0", ""), "2.0+config.a2")}
    assert serves_on(found, bad="2.0") == {EU: "2.0+config.a1"}
    earlier = RollbackChoice("redeploy", "2.0+config.a2", "")
    assert serves_on(found | {US: (earlier, "2.0")}, bad="2.0") == {}, "that is about the configuration"


@pytest.mark.parametrize("bad", ["", "2.0"])
def test_within_the_hour_the_configuration_that_serves_since_a_rollback_is_not_the_one_that_was_left(bad: str) -> None:
    """In no target, also in one that answers later, by the name that the alarm says."""
    for answers in (True, False):
        left = {name: of_configuration(f"2.0+config.{name[-2:]}", hours=0.5) for name in (EU, US)}
        targets = {EU: Target(runs(left[EU].serves), left[EU]), US: Target(runs(left[US].serves), left[US], answers)}
        found = chosen(targets, bad=bad)
        assert found is not None
        assert [(way.kind, way.version) for way in found.values()] == [("nothing", left[EU].serves), ("nothing", left[US].serves)]


@pytest.mark.parametrize("hours", [0.5, 3])
def test_the_very_name_of_what_serves_since_leaves_it(hours: float) -> None:
    """A person can say that this configuration is bad as well."""
    left = of_configuration("2.0+config.a1", hours=hours)
    found = chosen({EU: Target(runs("2.0+config.a1"), left)}, bad="2.0+config.a1")
    assert found is not None
    assert (found[EU].kind, found[EU].version) == ("redeploy", "1.0")


def test_a_target_that_runs_what_ran_before_the_new_configuration_elsewhere_keeps_it() -> None:
    """It was called by the plain name of the version, and left for a still older one."""
    targets = {EU: Target(runs("2.0", "2.0+config.a")), US: Target(runs("2.0+config.a"))}
    found = chosen(targets, bad="")
    assert found is not None
    assert [(way.kind, way.version) for way in found.values()] == [("redeploy", "2.0+config.a"), ("nothing", "2.0+config.a")]


@pytest.mark.parametrize("answers", [True, False])
def test_a_target_that_a_release_of_the_configuration_alone_did_not_reach_keeps_what_serves(*, answers: bool) -> None:
    """Its Secret is another one, so its name has another hash than where the release began; the release's own name is plain."""
    targets = {EU: Target(runs("2.0+config.a1", canary="2.0")), US: Target(runs("2.0+config.a2"), answers=answers)}
    found = chosen(targets, bad="2.0", unreached=(US,))
    assert found is not None
    assert [(way.kind, way.version) for way in found.values()] == [("abort", "2.0+config.a1"), ("nothing", "2.0+config.a2")]
    targets |= {US: Target(runs("2.0"), answers=answers)}
    found = chosen(targets, bad="2.0", unreached=(US,))
    assert found is not None
    assert (found[US].kind, found[US].version) == ("redeploy", "1.0"), "the very name is that of the release"
