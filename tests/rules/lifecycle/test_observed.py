"""The observation of what was deployed: when a look is due, what its requests say, when a failure is confirmed, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.analysis.outcome import Outcome
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.lifecycle.observed import Observed, observed_from
from tasks.rules.lifecycle.observed_looks import CONFIRMED_AFTER, HEALTH, LOGS, REQUESTS, FoundThere, Look, after_look, failure_in_words
from tasks.rules.lifecycle.observed_name import observed_name
from tasks.rules.lifecycle.observed_requests import LEAST_REQUESTS, SeenCounts, judge_requests
from tasks.rules.lifecycle.results import PhaseResult
from tasks.rules.record.entries import Entry, chain
from tasks.rules.verification.log_lines import hash_of
from tests.flows.harness import plan_of

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
P, F, N, E = "passed", "failed", "no_data", "error"
OUTCOMES = st.sampled_from([P, F, N, E])


def taken(**observe: Any) -> TakenPlan:
    """Take a plan that asks to be observed for two hours."""
    plan = {**plan_of("shop"), "observe": {"hours": 2, **observe}}
    return TakenPlan(plan=plan, path="/srv/plan.yaml", folder="/srv", repository="/srv")


def begun(*entries: Entry, **observe: Any) -> Observed:
    """Begin to observe version 1.1."""
    found = observed_of(taken(**observe), entries)
    assert found is not None
    return found


def observed_of(plan: TakenPlan, entries: Sequence[Entry], *, promoted: Sequence[str] = ("production",), **changes: Any) -> Observed | None:
    """Say what is observed of version 1.1, which was promoted in these environments."""
    given: dict[str, Any] = {"release": "r1", "plan": "plan.yaml", "version": "1.1", "round": 1, "since": BEGAN, "at": BEGAN + MINUTE}
    return observed_from(plan, entries, promoted=promoted, **{**given, **changes})


def look(before: Observed, at: datetime, *, health: str = P, requests: str = P, logs: str = P, environment: str = "production") -> Look:
    """Look at one environment."""
    found = {HEALTH: health, REQUESTS: requests, LOGS: logs}
    checks = {name: PhaseResult(outcome=Outcome(one), reason=f"{name} says {one}") for name, one in found.items()}
    return after_look(before, {environment: FoundThere(checks, before.places[environment].counts)}, at=at)


def entry(previous: Entry | None, kind: Any, name: str, *, round: int = 1, **evidence: Any) -> Entry:
    """Write an entry of production."""
    fields = {"kind": kind, "environment": "production", "name": name, "round": round, "evidence": evidence}
    return chain(previous, at=BEGAN, who="shipway", what="Looked", **fields)


def test_a_release_that_waited_for_ticks_is_observed_for_the_whole_time_from_its_end_on() -> None:
    """Its own lease kept the looks off meanwhile."""
    waited = chain(None, at=BEGAN, kind="gate", who="x", what="x", evidence={"progress": {"before": "closing", "open": []}})
    assert (begun().until, begun(waited).until) == (BEGAN + 2 * HOUR, BEGAN + MINUTE + 2 * HOUR)
    assert begun(waited).since == BEGAN


@pytest.mark.parametrize(
    ("promoted", "observed"),
    [
        (["production/eu"], ["production/eu"]),  # `production` of one target alone
        (["production/us", "production/eu"], ["production/eu", "production/us"]),
        (["staging"], None),
        ([], None),
    ],
)
def test_only_targets_in_which_the_version_was_promoted_are_observed(promoted: list[str], observed: list[str] | None) -> None:
    """In the others an older version serves, which would be taken for one that others brought."""
    plan = taken().model_copy(deep=True)
    production = plan.plan["production"]
    platform = production.pop("platform")
    production["targets"] = [{"name": "eu", "platform": platform}, {"name": "us", "platform": f"{platform}-us"}]
    found = observed_of(plan, [], promoted=promoted)
    assert (list(found.places) if found else None) == observed


def test_nothing_is_observed_unless_the_plan_asks_for_it() -> None:
    """By default."""
    plan = TakenPlan(plan=plan_of("shop"), path="", folder="", repository="")
    assert observed_of(plan, []) is None


def test_it_begins_with_what_the_release_knew_at_its_end() -> None:
    """The counts of post-deploy, and the kinds of error lines that were there, in the round that deployed it."""
    old = entry(None, "logs", "post_deploy", known=["old"], in_part="", new=[], missing="")
    counts = entry(old, "metrics", "post_deploy", round=2, started="a", requests=100, errors=3, buckets={"+Inf": 100})
    before = entry(counts, "logs", "before the promotion", round=2, known=["k0"], in_part="", new=[])
    logs = entry(before, "logs", "post_deploy", round=2, known=["k0", "k1"], in_part="", new=[{"kind": "ERROR x", "count": 1}])
    found = observed_of(taken(), [old, counts, before, logs], round=2)
    assert found is not None
    place = found.places["production"]
    assert place.counts == SeenCounts(started="a", requests=100, errors=3)
    assert (place.known, place.in_whole) == (("k0", "k1", hash_of("ERROR x")), True)
    assert begun().places["production"].in_whole is False, "without the check of the logs nothing can be told to be new"


@pytest.mark.parametrize(
    ("minutes", "looked", "due", "ends"),
    [
        (16, "passed", 15, False),
        (110, "passed", 10, False),  # the last look is due when the time is over
        (120, "passed", None, True),
        (300, "passed", None, True),  # the keeper was away: one more look, and it is over
        (16, "failed", 1, False),
        (119.5, "failed", 0.5, False),
        (120, "failed", 1, False),  # to be confirmed
        (130, "failed", 1, False),  # however late it comes
        (300, "failed", 1, False),
        (120, "no_data", 1, False),  # what is not known is looked at for ten minutes
        (300, "no_data", 1, False),
        (16, "no_data", 15, False),
    ],
)
def test_when_the_next_look_is_due_and_when_it_ends(minutes: float, looked: str, due: float | None, *, ends: bool) -> None:
    """After the plan's time, and a minute after a failure that is seen first."""
    at = BEGAN + minutes * MINUTE
    found = look(begun(), at, health=looked).observed
    assert bool(found.ended) is ends
    assert (found.number, found.looks, found.passed, found.looked) == (2, 1, int(looked == P), at)
    if due is not None:
        assert found.due == at + due * MINUTE
        assert [found.is_due(found.due + moment) for moment in (-MINUTE, timedelta(0), HOUR)] == [False, True, True]
    else:
        assert not found.is_due(at + HOUR)


@pytest.mark.parametrize(
    ("looks", "confirmed_at"),
    [
        ([P, P, P], None),
        ([F, P, F, P], None),
        ([F, F], 1),
        ([P, F, F], 2),
        ([F, N, N, F], 3),  # no data is not a verdict
        ([F, E, F], 2),
        ([F, N, P, F], None),
        ([N, N, N], None),
        ([E, E], None),
        ([F, F, F], 1),
    ],
)
def test_a_failure_counts_when_the_same_check_failed_in_its_last_two_verdicts(looks: list[str], confirmed_at: int | None) -> None:
    """One alone may be luck."""
    observed, seen = begun(), None
    for number, outcome in enumerate(looks):
        found = look(observed, BEGAN + (number + 1) * MINUTE, requests=outcome)
        observed = found.observed
        if found.confirmed and seen is None:
            seen = number
            assert found.confirmed == (("production", REQUESTS),)
            assert failure_in_words(found) == "in two looks in a row: requests of production; production: requests says failed"
    assert seen == confirmed_at


def test_two_checks_that_fail_in_turn_confirm_nothing() -> None:
    """Each is looked at for itself, and so is each environment."""
    first = look(begun(), BEGAN + MINUTE, health=F)
    second = look(first.observed, BEGAN + 2 * MINUTE, logs=F)
    assert (first.confirmed, second.confirmed) == ((), ())
    assert second.observed.places["production"].failing == (LOGS,)


@given(st.lists(st.tuples(OUTCOMES, OUTCOMES, OUTCOMES), max_size=12))
def test_it_is_confirmed_exactly_when_the_verdicts_say_so(looks: list[tuple[str, str, str]]) -> None:
    """Whatever else was seen: a check's last two verdicts, without what is not one, are failures."""
    observed, verdicts = begun(), {name: list[str]() for name in (HEALTH, REQUESTS, LOGS)}
    for number, outcomes in enumerate(looks):
        found = look(observed, BEGAN + number * MINUTE, **dict(zip(("health", "requests", "logs"), outcomes, strict=True)))
        observed = found.observed
        for name, outcome in zip(verdicts, outcomes, strict=True):
            verdicts[name] += [outcome] if outcome in {P, F} else []
            wanted = outcome == F and verdicts[name][-2:] == [F, F]
            assert (("production", name) in found.confirmed) is wanted
        assert observed.passed == sum(set(one) == {P} for one in looks[: number + 1])
    assert Observed.model_validate(observed.model_dump(mode="json")) == observed


def counts(requests: int, errors: int, started: str = "a") -> dict[str, Any]:
    """Count."""
    return {"started": started, "requests": requests, "errors": errors, "buckets": {}}


def test_requests_are_added_up_when_they_are_judged() -> None:
    """None twice, none of the time before the first counts, and after a restart from zero."""
    known, well = begun(), {HEALTH: PhaseResult(outcome=Outcome.PASSED, reason="well")}
    seen = [None, (100, 0), (150, 5), (150, 5), (30, 1, "b")]
    for number, one in enumerate(seen):
        after = SeenCounts.model_validate(counts(*one)) if one else None
        known = after_look(known, {"production": FoundThere(well, after)}, at=BEGAN + number * HOUR).observed
    assert (known.places["production"].requests, known.places["production"].errors) == (80, 6)


@pytest.mark.parametrize(
    ("before", "after", "outcome", "goes_on_from"),
    [
        ((100, 50), (200, 50), P, 200),  # what failed before does not count again
        ((100, 0), (200, 5), P, 200),
        ((100, 0), (200, 6), F, 200),
        ((100, 0), (119, 19), N, 100),  # too few: they count on in the next look
        ((100, 0), (120, 20), F, 120),
        ((100, 0), (100, 0), N, 100),
        ((100, 0), (30, 30, "b"), F, 30),  # restarted: it counts from zero
        ((100, 90), (30, 0, "b"), P, 30),
        ((100, 0), (5, 5, "b"), N, 100),
        ((100, 0), (40, 40), F, 40),  # a total that fell is a restart, too
        (None, (500, 500), N, 500),  # of which most were the canary's
        ((100, 0), None, N, 100),
        (None, None, N, None),
    ],
)
def test_requests_are_judged_since_the_last_verdict(before: Any, after: Any, outcome: str, goes_on_from: int | None) -> None:
    """With at most 5 % that may fail."""
    was = SeenCounts.model_validate(counts(*before)) if before else None
    found, then = judge_requests(was, counts(*after) if after else None, limit=0.05)
    assert found.outcome == outcome, found.reason
    assert (then.requests if then else None) == goes_on_from


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=20))
def test_no_request_is_judged_twice_and_none_is_lost(steps: list[tuple[int, int]]) -> None:
    """However few come between two looks."""
    state, total, judged = SeenCounts.model_validate(counts(0, 0)), 0, 0
    for requests, _ in steps:
        total += requests
        found, then = judge_requests(state, counts(total, 0), limit=0.05)
        assert then is not None
        judged += then.requests - state.requests
        assert (found.outcome is Outcome.NO_DATA) is (then == state)
        state = then
    assert total - judged == total - state.requests < LEAST_REQUESTS or not steps


def test_too_few_requests_are_said() -> None:
    """In the words of the look."""
    found, _ = judge_requests(SeenCounts.model_validate(counts(0, 0)), counts(3, 3), limit=0.05)
    assert found.reason == "too few requests: 3 of 20"


def test_where_another_version_serves_it_is_observed_no_more() -> None:
    """And once none is left, it is over."""
    observed = begun().model_copy(
        update={"places": {"production/eu": begun().places["production"], "production/us": begun().places["production"]}}
    )
    left = look(observed, BEGAN + MINUTE, environment="production/us").observed
    assert (list(left.places), left.ended) == (["production/us"], "")
    over = after_look(left, {}, at=BEGAN + 2 * MINUTE).observed
    assert over.ended == "1.1 does not serve any more"


def test_people_are_told_again_only_once_it_was_well() -> None:
    """An episode is one message."""
    observed = look(begun(), BEGAN + MINUTE, health=F).observed.model_copy(update={"told": True})
    still = look(observed, BEGAN + 2 * MINUTE, health=N).observed
    well = look(still, BEGAN + 3 * MINUTE).observed
    assert (still.told, well.told) == (True, False)


def test_it_is_said_in_words() -> None:
    """For `shipway status`."""
    observed = begun()
    assert observed.in_words("shop") == "shop 1.1 until Sun 2026-03-01 14:00 UTC; the first look is due Sun 2026-03-01 12:16 UTC"
    found = look(observed, BEGAN + 16 * MINUTE, requests=N).observed
    said = "0 of 1 looks passed; the last one no data, Sun 2026-03-01 12:16 UTC: production: requests says no_data"
    assert found.in_words("shop") == f"shop 1.1 until Sun 2026-03-01 14:00 UTC; {said}"
    assert CONFIRMED_AFTER == MINUTE


def test_two_plans_that_call_their_service_alike_are_observed_apart_if_they_deploy_to_other_blocks() -> None:
    """As one for Europe and one for the US: the end of one must not end the observation of the other."""
    one = taken().parsed()
    other = one.model_copy(update={"production": one.production.model_copy(update={"platform": "local/other"})})
    assert observed_name(one) == observed_name(one.model_copy())
    assert observed_name(one) != observed_name(other)
    assert observed_name(other).startswith("shop-")
