"""Deployment metrics of a made history, whose answers are known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.metrics.facts import Facts, Looks
from tasks.rules.metrics.metrics import Metrics, Selection, measure
from tasks.rules.metrics.numbers import Ratio, Spread
from tests.rules.metrics.made import HOUR, MONDAY, Writer, at, released, rolled_back

DAY = 24 * HOUR
TARGETS = ("production/eu", "production/us")


def measured(*facts: Facts, service: str = "shop", environment: str = "production", days: tuple[float, float] = (0, 10)) -> Metrics:
    """Measure a span of the history."""
    return measure(facts, Selection(service, environment, at(days[0] * DAY), at(days[1] * DAY)))


@pytest.mark.parametrize(
    ("outcomes", "rate"),
    [
        (("deployed", "deployed", "rolled_back", "failed"), Ratio(2, 4)),
        (("deployed", "cancelled", "partly_deployed"), Ratio(1, 3)),
        (("refused", "skipped", "open"), Ratio(0, 0)),
        (("refused", "skipped", "open", "deployed"), Ratio(1, 1)),
    ],
)
def test_a_success_is_a_deployed_release_of_all_that_finished(outcomes: tuple[str, ...], rate: Ratio) -> None:
    """Partly deployed, cancelled, failed and rolled back are none; refused, skipped and open ones are left out, and counted as that."""
    found = measured(*(released(f"r{place}", place * DAY, outcome=outcome) for place, outcome in enumerate(outcomes)))
    assert found.success == rate
    assert (found.left_out.refused, found.left_out.skipped, found.left_out.open) == tuple(
        map(outcomes.count, ("refused", "skipped", "open"))
    )


def test_of_nothing_no_rate_is_known() -> None:
    """None, and neither 0 nor 100 %; that there was no deployment in ten days is known."""
    found = measured()
    ratios = (found.success, found.failures.rate, found.rework, found.afterwards.health, found.afterwards.errors)
    assert [one.value for one in ratios] == [None] * 5
    spreads = (found.took.total, found.took.people, found.failures.recovery, found.lead_time.changes)
    assert set(spreads) == {Spread(0, None, None)}
    assert found.per_day is None
    assert measured(released("r1", 0), days=(5, 10)).per_day == 0
    assert measure([], Selection("", "production", None, MONDAY)).per_day is None


def test_a_span_that_began_before_the_records_is_not_taken_for_a_time_without_deployments() -> None:
    """Ten days of which the records know two have a deployment a day by those two, of whichever service they are."""
    found = measured(released("r1", 8 * DAY, service="mail"), released("r2", 9 * DAY))
    assert (found.days, found.per_day) == (2, 0.5)


def test_without_a_begin_the_span_begins_with_the_first_record() -> None:
    """A service that is a day old by records of ten days has not ten deployments a day."""
    found = measure([released("r0", 0, service="mail"), released("r1", 10 * DAY - 61)], Selection("shop", "production", None, at(10 * DAY)))
    assert (found.days, found.per_day, found.selection.since) == (10, 0.1, at(0))
    assert measure([released("r0", 0)], Selection("", "production", None, at(-DAY))).selection.since is None


def test_alerts_are_counted_by_kind_and_by_what_the_records_say() -> None:
    """Each fact once a run; a rollback on demand of the environment is one of them, and what ended outside the span is not."""
    watched = Writer("w", "release", DAY).say(DAY, "review", service="shop").say(DAY, "health", where="production", outcome="failed")
    failed = watched.say(DAY + 1, "closed", outcome="failed").facts()
    early = released("early", -DAY, outcome="rolled_back")
    other = rolled_back("r", 3 * DAY, bad="1.0", where="staging")
    facts = [failed, released("a", 2 * DAY), rolled_back("b", 3 * DAY, bad="1.0"), released("c", 4 * DAY, outcome="open"), early, other]
    assert measured(*facts).alerts == {
        "deployment_failed": 1, "health_check_failed": 1, "rolled_back": 1, "deployed": 1, "approval_waiting": 1,
    }  # fmt: skip


def test_a_question_of_a_part_of_a_release_is_an_alert_as_any_other() -> None:
    """Its entry carries the part's name first; a checklist, and a second question, notify no one."""
    asked = Writer("s", "release", 0).say(0, "review", service="shop").say(1, "gate", "script-production-deploy-1 question 1", question=1)
    ticks = Writer("t", "release", 0).say(0, "review", service="shop").say(1, "gate", "checklist-production question 1", progress={})
    later = Writer("u", "release", 0).say(0, "review", service="shop").say(1, "gate", "question 2", question=2)
    assert [one.facts().alerts for one in (asked, ticks, later)] == [("approval_waiting",), (), ()]


def test_a_broken_record_is_said_and_counts_as_nothing() -> None:
    """Whatever it would have been."""
    found = measure([released("r1", 0)], Selection("", "production", None, at(DAY)), broken=3)
    assert (found.left_out.broken, found.success) == (3, Ratio(1, 1))


def test_the_wait_for_people_is_not_work() -> None:
    """Of 60 minutes 10 were waited for an answer."""
    took = measured(released("r1", 0), released("r2", DAY, outcome="rolled_back")).took
    assert [one.median_seconds for one in (took.total, took.people, took.work, took.windows, took.lock)] == [3_600, 600, 3_000, 0, 0]
    assert took.total.count == 1


@pytest.mark.parametrize(
    ("facts", "rate", "in_release", "recovery", "not_recovered"),
    [
        ([released("a", 0, outcome="rolled_back")], Ratio(1, 1), 1, [300], 0),
        ([released("a", 0, outcome="failed")], Ratio(1, 1), 1, [], 1),
        ([released("a", 0), rolled_back("b", 2 * DAY, bad="1.0")], Ratio(1, 1), 0, [300], 0),
        ([released("a", 0), rolled_back("b", DAY, bad="1.0", passed=False)], Ratio(1, 1), 0, [], 1),
        ([released("a", 0), rolled_back("b", DAY, bad="2.0")], Ratio(0, 1), 0, [], 0),
        ([released("a", 0), rolled_back("b", DAY, bad="1.0", service="mail")], Ratio(0, 1), 0, [], 0),
        ([released("a", 0), released("b", DAY, version="1.1"), rolled_back("c", 2 * DAY, bad="1.0")], Ratio(1, 2), 0, [300], 0),
        ([released("a", 0), released("b", DAY), rolled_back("c", 2 * DAY, bad="1.0")], Ratio(1, 2), 0, [300], 0),
        ([released("a", 0), released("b", DAY, version="1.1", kind="fix", because_of="a")], Ratio(1, 2), 0, [50 * 60], 0),
        (
            [released("a", 0), released("b", DAY, version="1.1", kind="fix", because_of="a", outcome="rolled_back")],
            Ratio(2, 2), 1, [300], 1,
        ),
        ([released("a", 0), released("b", DAY, kind="fix", because_of="a", outcome="refused")], Ratio(0, 1), 0, [], 0),
        ([released("a", 0), rolled_back("b", DAY, bad="1.0"), rolled_back("c", 2 * DAY, bad="1.0")], Ratio(1, 1), 0, [300], 0),
        ([released("a", 0, outcome="open")], Ratio(0, 0), 0, [], 0),
        ([released("a", 0, outcome="refused")], Ratio(0, 0), 0, [], 0),
        ([released("a", 0, outcome="cancelled")], Ratio(1, 1), 1, [300], 0),
    ],
)  # fmt: skip
def test_a_deployment_failed_if_its_release_did_or_what_undid_it_names_it(
    facts: list[Facts], rate: Ratio, in_release: int, recovery: list[float], not_recovered: int
) -> None:
    """Deployments are counted, not incidents; a rollback of another version, or of another service, is blamed on none."""
    found = measured(*facts).failures
    assert (found.rate, found.in_release, found.not_recovered) == (rate, in_release, not_recovered)
    assert found.recovery == Spread.of(recovery)


def test_a_release_that_never_got_traffic_is_not_a_deployment() -> None:
    """As one that failed in staging: it is in the success rate alone."""
    record = Writer("a", "release", 0, version="1.0").say(0, "review", service="shop").say(10, "effect", "promote", where="staging")
    found = measured(record.say(20, "closed", outcome="failed").facts())
    assert (found.success, found.failures.rate, found.deployments) == (Ratio(0, 1), Ratio(0, 0), 0)


@pytest.mark.parametrize(
    ("environment", "rate", "deployments"), [("production", Ratio(1, 1), 1), (TARGETS[0], Ratio(0, 1), 1), (TARGETS[1], Ratio(1, 1), 1)]
)
def test_of_a_partly_deployed_release_each_target_is_judged_by_itself(environment: str, rate: Ratio, deployments: int) -> None:
    """The whole failed, and so did the target that was rolled back; it is one deployment, not one for each target."""
    found = measured(released("a", 0, where=TARGETS, outcome="partly_deployed"), environment=environment)
    assert (found.failures.rate, found.deployments) == (rate, deployments)
    assert found.success == Ratio(0, 1)


def test_overlapping_releases_of_two_services_are_not_mixed_up() -> None:
    """The rollback of one says nothing of the other, whose version has the same name and came later."""
    both = [released("a", 0), released("b", 30, service="mail"), rolled_back("c", 200, bad="1.0")]
    assert measured(*both).failures.rate == Ratio(1, 1)
    assert measured(*both, service="mail").failures.rate == Ratio(0, 1)
    assert measured(*both, service="").failures.rate == Ratio(1, 2)


def test_a_rollback_after_the_span_makes_the_deployment_in_it_a_failure() -> None:
    """What is known of it counts, whenever it came to be known."""
    facts = [released("a", 0), rolled_back("b", 5 * DAY, bad="1.0")]
    assert measured(*facts, days=(0, 1)).failures.rate == Ratio(1, 1)
    assert measured(*facts, days=(4, 6)).failures.rate == Ratio(0, 0)


def test_a_run_belongs_to_the_span_in_which_it_was_closed() -> None:
    """Also one whose process died, and whose record the keeper closed two days later: until then it is under way."""
    record = (
        Writer("a", "release", 0, version="1.0").say(0, "review", service="shop").say(30, "effect", "shift", where="production", step=5)
    )
    record.say(2 * DAY, "rollback", "decision").say(2 * DAY + 3, "rollback", "done", where="production", outcome="passed")
    late = record.say(2 * DAY + 4, "closed", outcome="rolled_back").facts()
    first, third = measured(late, days=(0, 1)), measured(late, days=(2, 3))
    assert (first.success, first.left_out.open, first.deployments) == (Ratio(0, 0), 1, 0)
    assert (third.success, third.left_out.open, third.deployments) == (Ratio(0, 1), 0, 1)
    assert third.failures.recovery == Spread.of([180])


def test_lead_time_is_from_each_commit_to_its_first_promotion() -> None:
    """A commit that is released again after a rollback is not a new change; one from the future is said."""
    first = released("a", DAY, commits=(("c1", 0), ("c2", DAY)))
    again = released("b", 3 * DAY, version="1.1", commits=(("c1", 0), ("c2", DAY), ("c3", 3 * DAY - 10), ("c4", 9 * DAY)))
    found = measured(first, again).lead_time
    assert found.changes == Spread.of([DAY * 60 + 3_000, 3_000, 3_600])
    assert found.in_future == 1
    assert measured(first, again, days=(2, 10)).lead_time.changes == Spread.of([3_600])


def test_what_has_no_lead_time_is_said() -> None:
    """The first deployment of a service, whose change log is its whole history; what never became the baseline has none."""
    found = measured(
        released("a", 0, direction="first", commits=(("c1", -999 * DAY),)),
        released("b", DAY, outcome="rolled_back", commits=(("c2", 0),)),
        released("c", 2 * DAY),
    ).lead_time
    assert (found.changes.count, found.without_log) == (0, 2)


def test_frequency_and_rework_are_of_deployments() -> None:
    """Four in ten days, one of them a fix; a refused one is none."""
    facts = [released(f"r{day}", day * DAY) for day in range(3)]
    found = measured(*facts, released("fix", 5 * DAY, kind="fix"), released("no", 6 * DAY, kind="fix", outcome="refused"))
    assert (found.per_day, found.rework) == (0.4, Ratio(1, 4))


def test_errors_are_weighed_by_requests_and_nothing_counted_is_not_zero() -> None:
    """One without a request has no error ratio."""
    found = measured(released("a", 0, counts=(100, 1)), released("b", DAY, counts=(900, 0)), released("c", 2 * DAY, counts=None)).afterwards
    assert found.errors == Ratio(1, 1_000)
    assert (found.uncounted, found.health) == (1, Ratio(3, 3))


def test_health_after_a_deployment_counts_the_looks_of_the_hours_after_it() -> None:
    """Each with a verdict, in its environment alone."""
    facts = released("a", 0, where=("production/eu", "production/us")).with_looks({"production/us": Looks(checks=8, well=6)})
    assert measured(facts).afterwards.health == Ratio(8, 10)
    assert measured(facts, environment="production/eu").afterwards.health == Ratio(1, 1)


def test_requests_that_looks_judged_count_for_the_error_ratio() -> None:
    """A version that post-deploy counted nothing of is counted by them alone."""
    looks = {"production": Looks(requests=900, errors=9)}
    facts = released("a", 0, counts=(100, 1)).with_looks(looks), released("b", DAY, counts=None).with_looks(looks)
    assert measured(*facts).afterwards.errors == Ratio(19, 1_900)
    assert measured(*facts).afterwards.uncounted == 0


def test_a_late_failure_is_an_alert_of_its_release() -> None:
    """Once a run, however often people were told, and none without a failure."""
    looks = {"production/eu": Looks(checks=8, late_failures=2), "production/us": Looks(late_failures=1)}
    late = released("a", 0, where=("production/eu", "production/us")).with_looks(looks)
    well = released("b", DAY).with_looks({"production": Looks(checks=8, well=8)})
    assert measured(late, well).alerts["late_failure"] == 1
    assert "late_failure" not in measured(well).alerts


def test_a_release_without_a_service_is_said() -> None:
    """It ended before its plan was read, so no service has it, and none loses it unnoticed."""
    unnamed = Writer("a", "release", 0, version="1.0").say(1, "closed", outcome="refused").facts()
    assert measured(unnamed).left_out.unnamed == 1
    assert measured(unnamed, service="").left_out.refused == 1


HISTORIES = st.lists(
    st.one_of(
        st.builds(
            lambda day, version, service, outcome, because: released(
                f"r{day}-{version}-{service}", day * DAY, version=version, service=service, outcome=outcome,
                commits=((f"c{day}", day * DAY),),
                **({"because_of": f"r{because}-1.0-shop", "kind": "fix"} if because else {}),
            ),
            st.integers(0, 9), st.sampled_from(["1.0", "1.1"]), st.sampled_from(["shop", "mail"]),
            st.sampled_from(["deployed", "rolled_back", "failed", "partly_deployed", "cancelled", "refused", "skipped", "open"]),
            st.integers(0, 4),
        ),
        st.builds(
            lambda day, bad, passed: rolled_back(f"back{day}-{bad}", day * DAY, bad=bad, passed=passed),
            st.integers(0, 9), st.sampled_from(["1.0", "1.1"]), st.booleans(),
        ),
    ),
    max_size=12, unique_by=lambda one: one.run,
)  # fmt: skip


@given(HISTORIES, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(history: list[Facts], random: Any) -> None:
    """Files are listed in any order."""
    shuffled = [*history]
    random.shuffle(shuffled)
    assert measured(*shuffled) == measured(*history)


def test_a_fix_of_another_service_counts_for_the_deployment_that_it_names() -> None:
    """Whichever service is selected."""
    history = [released("r1-1.0-shop", DAY), released("r2-1.0-mail", 2 * DAY, service="mail", because_of="r1-1.0-shop", kind="fix")]
    assert [measured(*history, service=name).failures.rate.part for name in ("shop", "mail", "")] == [1, 0, 1]


@given(HISTORIES)
def test_services_and_spans_add_up_to_the_whole(history: list[Facts]) -> None:
    """Each release is counted once: in one service, and in one of two spans that meet; and each rate lies between 0 and 1."""
    whole = measured(*history, service="")
    for parts in (
        [measured(*history, service=name) for name in ("shop", "mail")],
        [measured(*history, service="", days=days) for days in ((0, 5), (5, 10))],
    ):
        assert sum(one.success.whole for one in parts) == whole.success.whole
        assert sum(one.success.part for one in parts) == whole.success.part
        assert sum(one.deployments for one in parts) == whole.deployments
        assert sum(one.failures.rate.part for one in parts) == whole.failures.rate.part
        assert sum(one.lead_time.changes.count for one in parts) == whole.lead_time.changes.count
    ended = sum(whole.outcomes.values())
    assert ended == whole.success.whole + whole.left_out.refused + whole.left_out.skipped
    assert ended + whole.left_out.open == sum(one.flow == "release" for one in history)
    rates = (whole.success, whole.failures.rate, whole.rework, whole.afterwards.health, whole.afterwards.errors)
    assert all(one.value is None or 0 <= one.value <= 1 for one in rates)


@given(HISTORIES)
def test_facts_are_read_back_as_they_were(history: list[Facts]) -> None:
    """What is kept of a record says the same as the record."""
    assert [Facts.load(one.dump()) for one in history] == history
