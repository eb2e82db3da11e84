"""What becomes of the targets when a wave stops, and which version several targets get away from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.change_log import ChangeLog, Commit, join_changes
from tasks.rules.evidence.checklist import Facts, judge_checklist
from tasks.rules.lifecycle.ending import STATE_NAMES, Ending, final_outcome
from tasks.rules.lifecycle.results import RollbackResult
from tasks.rules.plan.plan import Plan
from tasks.rules.record.entries import Entry, Kind, chain, outcome_of
from tasks.rules.rollout.rollback import choose_rollback
from tasks.rules.rollout.waves import (
    deployed_to,
    has_acted,
    has_canary,
    left_alone,
    reached,
    staying,
    targets_in_words,
    version_to_leave,
    versions_in_words,
)

EU, US, ASIA = "production/eu", "production/us", "production/asia"
ALL = (EU, US, ASIA)
VERSIONS = st.sampled_from(["1.0", "1.1", "1.2"])
POSITIONS = st.fixed_dictionaries({"baseline": st.none() | VERSIONS, "canary": st.none() | VERSIONS, "previous": st.none() | VERSIONS})


def plan_of(policy: str | None) -> Plan:
    """Make a plan with three targets and this policy, or with one production."""
    targets = [{"name": name.partition("/")[2], "platform": f"local/{name.partition('/')[2]}"} for name in ALL]
    production = {"targets": targets, "on_wave_failure": policy} if policy else {"platform": "local/b"}
    return Plan.model_validate(
        {
            "shipway": 1,
            "service": "guestbook",
            "verification": {"health": [{}]},
            "checklist": {"tests_passed": False},
            "judgement": {"slis": [{"name": "errors", "indicator": "errors"}]},
            "staging": {"platform": "local/a"},
            "approval": {"quorum": 0},
            "rollback": {},
            "production": {**production, "steps": [{"percent": 100}]},
        }
    )


def runs(baseline: str | None, previous: str | None = None, canary: str | None = None) -> dict[str, Any]:
    """Describe what a target runs."""
    return {"baseline": baseline, "previous": previous, "canary": canary}


def record(*told: tuple[Kind, str, str], round: int = 1) -> list[Entry]:
    """Make a record of entries: their kind, environment and name."""
    entries: list[Entry] = []
    for kind, where, name in told:
        evidence = {"current": {"staging": "1.0", **dict.fromkeys(ALL, "1.0")}} if kind == "review" else {}
        at, last = datetime(2026, 1, 1, tzinfo=UTC), entries[-1] if entries else None
        more: Any = {"environment": where, "name": name, "round": round, "evidence": evidence}
        entries.append(chain(last, at=at, kind=kind, who="shipway", what="so", **more))
    return entries


@pytest.mark.parametrize(
    ("policy", "completed", "stay"),
    [
        ("back", [EU], ()),
        ("keep", [], ()),
        ("keep", [EU], (EU,)),
        ("keep", [US, EU], (EU, US)),
        ("keep", [EU, US, ASIA], ()),
        (None, ["production"], ()),
    ],
)
def test_completed_targets_stay_only_where_the_plan_keeps_them_and_the_wave_stopped(policy: Any, completed: list[str], stay: Any) -> None:
    """Once every target is done, what fails is the look at the whole: then all go back, as one production does."""
    assert staying(plan_of(policy), completed) == stay


def test_a_record_tells_which_targets_were_reached_in_any_round() -> None:
    """Only effects count, and a target's name is never mistaken for another's."""
    entries = record(("effect", EU, "prepare"), ("note", ASIA, "prepare")) + record(("effect", US, "prepare"), round=2)
    assert reached(entries, "prepare", ALL) == [EU, US]
    assert reached(entries, "promote", ALL) == []


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"flow": "release"}, ["production/eu", "production/us", "production/asia"]),
        ({"flow": "production", "environment": "production"}, ["production/eu", "production/us", "production/asia"]),
        ({"flow": "production", "environment": "production/us"}, ["production/us"]),
        ({"flow": "production", "environment": "production/renamed"}, ["production/eu", "production/us", "production/asia"]),
        ({"flow": "staging"}, []),
        ({}, ["production/eu", "production/us", "production/asia"]),
    ],
    ids=["release", "production", "one target", "renamed", "staging", "not known"],
)
def test_a_run_has_deployed_to_what_it_was_asked_for(asked: dict[str, str], names: list[str]) -> None:
    """Whoever has the other targets takes nothing from a production of one of them."""
    assert deployed_to(plan_of("back"), asked) == names


@pytest.mark.parametrize(
    ("baseline", "canary", "acted"), [("1.0", "1.1", True), ("1.1", None, False), ("1.1+config.a", "1.1", True), (None, "1.1", True)]
)
@pytest.mark.parametrize("where", ["staging", "production"])
def test_a_release_acted_where_its_record_says_so_and_the_version_did_not_serve_there(
    where: str, baseline: str | None, canary: str | None, *, acted: bool
) -> None:
    """Whatever its review called what ran there; staging has one entry, of its promotion."""
    found = {"baseline": baseline, "canary": canary}
    started = {"promote": {"before": found}} if where == "staging" else {"prepare": {"position": found}, "promote": {"position": {}}}
    entries: list[Entry] = []
    for name, evidence in started.items():
        at, last = datetime(2026, 1, 1, tzinfo=UTC), entries[-1] if entries else None
        entry = chain(last, at=at, kind="effect", who="shipway", what="so", environment=where, name=name, evidence=evidence)
        entries.append(entry)
    assert has_acted(entries, where, version="1.1") is acted
    assert not has_acted(entries, EU, version="1.1")


def test_a_release_did_not_act_where_it_promoted_what_an_earlier_one_left() -> None:
    """A target is noted as such, and goes through its checks and its promotion all the same."""
    assert not has_acted(record(("note", EU, "already"), ("effect", EU, "promote")), EU, version="1.1")
    assert has_acted(record(("effect", EU, "prepare"), ("note", EU, "already")), EU, version="1.1"), "a process that began anew"


def test_a_target_whose_configuration_alone_was_released_is_not_told_as_untouched() -> None:
    """What ran before has the same name if it was read under another's lease."""
    before = dict.fromkeys(ALL, "1.1")
    said = left_alone(plan_of("back"), "1.1", moved=[EU, ASIA], stays=[], begun=[US], before=before)
    assert said == {US: f"{US} was taken over by another run"}


def test_each_target_is_told_apart_by_what_it_ended_on() -> None:
    """Kept, taken over by others, or not touched: none of them is passed over in silence."""
    before = {"staging": "1.0", EU: "1.0", US: "1.0", ASIA: None}
    said = left_alone(plan_of("keep"), "1.1", moved=[], stays=[EU], begun=[EU, US], before=before)
    assert said == {
        EU: f"{EU} stays on 1.1",
        US: f"{US} was taken over by another run",
        ASIA: f"{ASIA} was not touched and runs nothing",
    }
    assert left_alone(plan_of("back"), "1.1", moved=ALL, stays=[], begun=ALL, before=before) == {}
    assert left_alone(plan_of(None), "1.1", moved=[], stays=[], begun=[], before={"production": "1.0"}) == {}
    assert left_alone(plan_of("back"), "1.1", moved=[EU, US], stays=[], begun=[], before={}) == {ASIA: f"{ASIA} was not touched"}


def test_a_production_that_is_mixed_is_neither_deployed_nor_rolled_back() -> None:
    """The outcome has a word of its own, and the sentence names every target; a lost rollback is still the worst."""
    back = [RollbackResult(outcome=Outcome.PASSED, reason=f"{US} is back on 1.0", environment=US, version="1.0")]
    left = {EU: f"{EU} stays on 1.1", ASIA: f"{ASIA} was not touched and runs 1.0"}
    outcome, sentence = final_outcome(Ending("failed", "bad"), rolled_back=back, stays=[EU], left=left)
    assert outcome == "partly_deployed"
    assert sentence == f"bad. Afterwards: {US} is back on 1.0; {EU} stays on 1.1; {ASIA} was not touched and runs 1.0"
    assert STATE_NAMES[outcome] == "PartlyDeployed"
    lost = final_outcome(
        Ending("failed", "bad"), rolled_back=[back[0].model_copy(update={"outcome": Outcome.FAILED})], stays=[EU], left=left
    )
    assert lost[0] == "failed"
    assert f"{EU} stays on 1.1" in lost[1]
    assert final_outcome(Ending("cancelled", "no"), rolled_back=[], stays=[EU], left=left)[0] == "partly_deployed"
    assert final_outcome(Ending("refused", "no"), rolled_back=[], left=left) == ("refused", "no")
    assert final_outcome(Ending("failed", "bad"), rolled_back=back, left=left)[0] == "rolled_back"


@pytest.mark.parametrize(
    ("told", "exposed"),
    [
        ([], False),
        ([("effect", "staging", "shift")], False),
        ([("gate", EU, "prepare")], False),
        ([("effect", EU, "prepare")], True),
        ([("effect", EU, "prepare"), ("effect", EU, "shift")], True),
        ([("effect", EU, "shift"), ("effect", EU, "promote")], False),
        ([("effect", EU, "promote"), ("effect", US, "shift")], True),
        ([("effect", "production", "promote"), ("effect", "production", "stop")], True),
    ],
)
def test_a_canary_in_production_is_what_was_not_promoted(told: list[tuple[Kind, str, str]], *, exposed: bool) -> None:
    """Nothing watches it while its release waits for a place in the queue."""
    assert has_canary(record(*told)) is exposed


def test_a_mixed_production_is_read_back_from_its_record() -> None:
    """The closing entry's word is the outcome."""
    closed = chain(
        None, at=datetime(2026, 1, 1, tzinfo=UTC), kind="closed", who="shipway", what="Done", why="",
        evidence={"outcome": "partly_deployed"},
    )  # fmt: skip
    assert outcome_of([closed]) == "partly_deployed"


@pytest.mark.parametrize(
    ("positions", "to", "bad"),
    [
        ({EU: runs("1.1", "1.0"), US: runs("1.1", "1.0")}, "previous", ""),
        ({EU: runs(None), US: runs(None)}, "previous", ""),
        ({EU: runs("1.1", "1.0"), US: runs("1.0", "0.9")}, "previous", "1.1"),
        ({EU: runs("1.1", "1.0"), US: runs("1.0", canary="1.1")}, "previous", ""),
        ({EU: runs("1.0", "0.9"), US: runs("1.0", "0.9", canary="1.1")}, "previous", "1.1"),
        ({EU: runs("1.1", "1.0"), US: runs("1.0", "1.1")}, "previous", None),
        ({EU: runs("1.1"), US: runs("1.0")}, "previous", None),
        ({EU: runs("1.1"), US: runs("1.0")}, "1.0", "1.1"),
        ({EU: runs("1.1", "1.0"), US: runs("1.0", "0.9")}, "1.0", "1.1"),
    ],
)
def test_the_version_to_get_away_from_is_the_newest_or_no_one_guesses(positions: Any, to: str, bad: str | None) -> None:
    """Newest is what no other target had before; where that is no one, a person must say."""
    assert version_to_leave(positions, to=to) == bad


@pytest.mark.parametrize(
    ("positions", "to", "bad"),
    [
        ({US: runs("1.1", "1.0")}, "previous", "1.1"),
        ({US: runs("1.1", "1.0"), ASIA: runs("1.1", "1.0")}, "previous", "1.1"),
        ({US: runs("1.1", "1.0"), ASIA: runs("1.0", "0.9")}, "previous", "1.1"),
        ({US: runs("1.1", "1.0"), ASIA: runs(None)}, "previous", "1.1"),
        ({US: runs("1.1", "1.0")}, "1.1", ""),
        ({US: runs(None)}, "previous", None),
    ],
)
def test_a_silent_target_gets_away_only_from_what_the_others_run(positions: Any, to: str, bad: str | None) -> None:
    """It may run a good version by itself, and must not leave that for an older one when it answers."""
    found = version_to_leave(positions, to=to, silent=[EU])
    assert found == bad
    if found:
        assert choose_rollback(**runs("1.0", "0.9"), bad=found, to=to).kind == "nothing"


@given(st.dictionaries(st.sampled_from(ALL), POSITIONS, min_size=2), st.just("previous") | VERSIONS)
def test_a_common_bad_version_runs_somewhere_and_is_not_the_one_asked_for(positions: dict[str, Any], to: str) -> None:
    """No target is sent away from a version that no one runs; with a version asked for, there is always an answer."""
    bad = version_to_leave(positions, to=to)
    heads = {one["canary"] or one["baseline"] for one in positions.values()}
    assert bad is None or bad == "" or (bad in heads and bad != to)
    assert bad is not None or to == "previous"


@given(st.dictionaries(st.sampled_from(ALL), POSITIONS, min_size=2))
def test_a_target_that_a_wave_left_behind_stays_where_it_is(positions: dict[str, Any]) -> None:
    """Where all get away from one version, a target that serves another one, alone, has nothing to do."""
    bad = version_to_leave(positions, to="previous")
    for one in positions.values():
        if bad and one["canary"] is None and one["baseline"] not in {None, bad}:
            assert choose_rollback(**one, bad=bad, to="previous").kind == "nothing"


@pytest.mark.parametrize(
    ("current", "words"),
    [
        (dict.fromkeys(ALL, "1.0"), "1.0"),
        (dict.fromkeys(ALL), None),
        ({EU: "1.0", US: "1.1", ASIA: None}, f"1.0 in {EU}, 1.1 in {US}, nothing in {ASIA}"),
    ],
)
def test_what_production_runs_is_said_once_or_of_each_target(current: Any, words: str | None) -> None:
    """One version is one word."""
    assert versions_in_words(plan_of("back"), current) == words


def test_the_status_tells_where_a_wave_is() -> None:
    """Done, under way, to come, back; nothing for one production, or before the review."""
    entries = record(("review", "", ""), ("effect", EU, "prepare"), ("effect", EU, "promote"), ("effect", US, "prepare"))
    assert targets_in_words(entries) == f"done: {EU}; under way: {US}; to come: {ASIA}"
    back = [*entries, *record(("rollback", US, "done"))]
    assert targets_in_words(back) == f"rolled back: {US}; done: {EU}; to come: {ASIA}"
    assert targets_in_words(record(("opened", "", ""))) == ""
    assert targets_in_words([]) == ""


def test_the_checklist_holds_for_each_target() -> None:
    """One target without a rollback, without readings, or that no one asked, fails the line, and is named."""
    good = Facts(platform_answers=True, rollback_to="1.0", readings={"errors": ""})
    facts = {EU: good, US: Facts(platform_answers=True, readings={"errors": "silent"})}
    items = {item.name: item for item in judge_checklist(plan_of("back"), Facts(targets=facts, announced=True))}
    assert items["rollback_ready"].outcome == "failed"
    assert items["rollback_ready"].reason == f"{US}: there is no version to roll back to; set `rollback.to`"
    assert items["monitoring_on"].outcome == "no_data"
    assert f"{ASIA}: the SLIs' counts were not read" in items["monitoring_on"].reason
    well = judge_checklist(plan_of("back"), Facts(targets=dict.fromkeys(ALL, good), announced=True))
    assert {item.outcome for item in well} == {"passed"}


def log(running: str | None, direction: Any, *commits: str, taken: str = "") -> ChangeLog:
    """Make a change log to 1.2."""
    brings = tuple(Commit(name, "ada", 0, name) for name in commits)
    return ChangeLog(running, "1.2", direction, brings, tuple(Commit(name, "ada", 0, name) for name in taken))


def test_changes_of_targets_on_different_versions_are_all_shown() -> None:
    """Every commit once, and the direction that takes most care: no one approves less than what changes anywhere."""
    joined = join_changes([log("1.1", "upgrade", "c"), log("1.0", "sideways", "c", "b", taken="x")])
    assert (joined.from_version, joined.to_version, joined.direction) == ("1.1 and 1.0", "1.2", "sideways")
    assert [commit.hash for commit in joined.commits] == ["c", "b"]
    assert [commit.hash for commit in joined.taken_back] == ["x"]
    alone = log("1.1", "upgrade", "c")
    assert join_changes([alone]) is alone
    assert join_changes([log(None, "first", "c"), alone]).from_version == "nothing and 1.1"
