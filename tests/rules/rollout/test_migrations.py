"""Migrations: what a plan may say of them, which run when, and which contracts a rollback would cross."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.plan.file import Problem, read_plan
from tasks.rules.record.entries import Entry, chain
from tasks.rules.rollout.migrations import Contract, Here, contracts_in, crossed, due, not_acknowledged, refusal, restored_in
from tasks.rules.rollout.steps import longest_seconds
from tasks.rules.rollout.summary import describe_course
from tests.rules.plan.test_file import MINIMAL

FILE, OTHER_FILE = "/srv/shop/shipway.yaml", "/srv/eve/shipway.yaml"
NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
EXPAND = "{name: add-place, manifest: jobs/add.yaml, when: before, compatibility: expand}"
CONTRACT = "{name: drop-city, manifest: jobs/drop.yaml, when: after, compatibility: contract, environments: [production]}"


def read(*migrations: str) -> tuple[Any, list[Problem]]:
    """Read the minimal plan with migrations."""
    return read_plan(f"{MINIMAL}migrations:\n" + "".join(f"  - {one}\n" for one in migrations), name="shipway.yaml")


def told(state: str, *, name: str = "drop-city", where: str = "production", version: str = "1.2", minutes: int = 0, **more: Any) -> Entry:
    """Make an entry about a migration."""
    said = {"migration": name, "compatibility": "contract", "version": version, "state": state, **more}
    at = NOW + timedelta(minutes=minutes)
    return chain(None, at=at, environment=where, name=state, kind="migration", who="shipway", what="x", evidence=said)


def contract(**changes: Any) -> Contract:
    """Make a contract that 1.2 brought to production."""
    return Contract(**{"name": "drop-city", "environment": "production", "version": "1.2", "run": "run-1", "at": NOW, **changes})


def test_migrations_run_in_the_plans_order_where_and_when_they_are_due() -> None:
    """Each environment and moment gets its own, in the order in which they stand."""
    plan, problems = read(EXPAND, CONTRACT, EXPAND.replace("add-place", "add-more"))
    assert problems == []
    names = {
        (environment, when): [one.name for one in due(plan.migrations, environment=environment, when=when)]
        for environment in ("staging", "production", "production/eu")
        for when in ("before", "after", None)
    }
    assert names == {
        ("staging", "before"): ["add-place", "add-more"],
        ("staging", "after"): [],
        ("staging", None): ["add-place", "add-more"],
        ("production", "before"): ["add-place", "add-more"],
        ("production", "after"): ["drop-city"],
        ("production", None): ["add-place", "drop-city", "add-more"],
        ("production/eu", "before"): ["add-place", "add-more"],
        ("production/eu", "after"): ["drop-city"],
        ("production/eu", None): ["add-place", "drop-city", "add-more"],
    }


@pytest.mark.parametrize(
    ("migration", "said"),
    [
        (CONTRACT.replace("after", "before"), "which it would break. Write `when: after`, or say in `because`"),
        (CONTRACT.replace("after", "before, because: ' '"), "which it would break"),
        (EXPAND.replace("expand", "shrink"), "must be 'expand' or 'contract'"),
        (EXPAND.replace(", when: before", ""), "`when` is missing"),
        (EXPAND.replace("jobs/add.yaml", "../add.yaml"), "leads out"),
        (EXPAND.replace("add-place", "Add Place"), "does not fit"),
        (EXPAND.replace("}", ", environments: [staging, staging]}"), "listed twice"),
        (EXPAND.replace("}", ", environments: []}"), "at least 1"),
        (EXPAND.replace("}", ", timeout_seconds: 0}"), "more than 0"),
    ],
)
def test_a_migration_that_cannot_be_meant_is_a_problem(migration: str, said: str) -> None:
    """The check says so, with the fix, before anything moves."""
    plan, problems = read(migration)
    assert plan is None
    assert said in " ".join(map(str, problems))
    assert all(problem.fix for problem in problems)


def test_a_contract_may_run_before_where_the_plan_says_why() -> None:
    """The reason is shown to whoever reads the course."""
    because = CONTRACT.replace("after", "before, because: 1.1 no longer reads the column.")
    plan, problems = read(because, EXPAND)
    assert problems == []
    text = "\n".join(describe_course(plan, "1.2"))
    assert "Production: run the migration drop-city (contract, because 1.1 no longer reads the column); " in text
    assert longest_seconds(plan) >= 3 * 600


def test_two_migrations_of_one_name_are_a_problem() -> None:
    """Their Jobs and entries would be one."""
    assert "`add-place` is listed twice" in str(read(EXPAND, EXPAND)[1][0])


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        (["begun"], True),
        (["begun", "applied"], True),
        (["begun", "failed"], True),
        (["begun", "not run"], False),
    ],
)
def test_a_contract_counts_from_its_beginning(states: list[str], counts: bool) -> None:  # noqa: FBT001 - a column of the table
    """Half of it may be done when a process dies or the Job fails; only one that never ran left everything as it was."""
    entries = [told(state) for state in states]
    assert bool(contracts_in(entries, run="run-1")) is counts


def test_an_expansion_is_not_a_contract_and_a_record_that_says_nothing_is_not_trusted() -> None:
    """A run that is known to speak of contracts and whose record does not may have begun any, anywhere."""
    assert contracts_in([told("applied", compatibility="expand")], run="run-1") == []
    lost = contracts_in([], run="run-1")
    for environment in ("staging", "production", "production/eu"):
        assert crossed(lost, set(), here=Here(environment), target="1.1", target_since=NOW)
    assert not_acknowledged(lost, ["run-1"]) == []


@pytest.mark.parametrize(
    ("changes", "target", "since", "blocks"),
    [
        ({}, "1.1", NOW - timedelta(days=1), True),
        ({}, "1.1", None, True),
        ({}, "1.2", NOW - timedelta(days=1), False),
        ({}, "1.3", NOW + timedelta(days=1), False),
        ({}, "1.1", NOW + timedelta(days=1), False),
        ({"environment": "staging"}, "1.1", None, False),
    ],
    ids=["older", "unknown", "its own", "later", "released again later", "elsewhere"],
)
def test_a_rollback_crosses_what_came_after_its_target(
    changes: dict[str, Any],
    target: str,
    since: datetime | None,
    blocks: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """A version works with its own contracts and those that were there when it came, and no others."""
    found = crossed([contract(**changes)], set(), here=Here("production"), target=target, target_since=since)
    assert bool(found) is blocks


@pytest.mark.parametrize(
    ("block", "identity", "plan", "counts"),
    [
        ("", "", "", True),
        ("kubernetes/shop", "kubernetes u-1", OTHER_FILE, True),
        ("kubernetes/shop", "kubernetes u-2", OTHER_FILE, True),
        ("kubernetes/renamed", "kubernetes u-1", OTHER_FILE, True),
        ("kubernetes/moved", "kubernetes u-9", FILE, True),
        ("kubernetes/moved", "", FILE, True),
        ("kubernetes/moved", "kubernetes u-9", "", True),
        ("kubernetes/eve", "kubernetes u-9", OTHER_FILE, False),
        ("mine/eve", "", OTHER_FILE, False),
    ],
    ids=[
        "unreadable record", "the same", "made anew", "renamed block", "renamed and moved", "moved and silent then", "an unknown plan",
        "another's production", "another's, which does not say",
    ],
)  # fmt: skip
def test_a_contract_counts_where_it_began(block: str, identity: str, plan: str, *, counts: bool) -> None:
    """A plan of others that calls its service `shop`, with a platform of its own, stops no rollback of shop; nor does another region's."""
    here = Here("production", "kubernetes/shop", "kubernetes u-1", (FILE,))
    found = crossed([contract(block=block, identity=identity, plan=plan)], set(), here=here, target="1.0", target_since=None)
    assert bool(found) is counts


def test_where_a_contract_began_is_in_its_entry() -> None:
    """As the release wrote it before the Job was started."""
    opened = chain(None, at=NOW, kind="opened", who="rita", what="x", evidence={"plan": FILE})
    (found,) = contracts_in([opened, told("begun", block="kubernetes/shop", identity="kubernetes u-1")], run="run-1")
    assert (found.block, found.identity, found.plan) == ("kubernetes/shop", "kubernetes u-1", FILE)


def test_only_what_is_named_as_restored_is_crossed_and_stays_crossed() -> None:
    """One name of two is not enough; what a rollback's record says to be restored is not asked for again."""
    both = [contract(), contract(name="drop-zip", run="run-2")]
    assert [one.name for one in not_acknowledged(both, ["drop-city"])] == ["drop-zip"]
    assert not_acknowledged(both, ["drop-city", "drop-zip"]) == []
    restored = restored_in([told("restored", restored=[{"run": "run-1", "environment": "production", "name": "drop-city"}])])
    left = crossed(both, restored, here=Here("production"), target="1.0", target_since=None)
    assert [one.name for one in left] == ["drop-zip"]


def test_a_refusal_says_what_stands_in_the_way_and_both_ways_out() -> None:
    """Fix forward, or restore by hand and say so by name."""
    text = refusal([contract(), contract(name="drop-zip")], target="1.1", environment="production")
    for part in ("drop-city, drop-zip", "applied by 1.2", "nothing was moved", "Fix forward", "--restored drop-city --restored drop-zip"):
        assert part in text


@given(
    st.lists(st.builds(contract, version=st.sampled_from(["1.0", "1.1", "1.2"]), name=st.sampled_from(["a", "b"]))),
    st.sampled_from(["1.0", "1.1", "1.2"]),
)
def test_acknowledging_everything_always_opens_the_way(contracts: list[Contract], target: str) -> None:
    """No state leaves people without a way out; and what is restored never blocks again."""
    found = crossed(contracts, set(), here=Here("production"), target=target, target_since=None)
    assert not_acknowledged(found, [one.name for one in found]) == []
    restored = {(one.run, one.environment, one.name) for one in found}
    assert crossed(contracts, restored, here=Here("production"), target=target, target_since=None) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("production", "production/eu", True),
        ("production/eu", "production", True),
        ("production/eu", "production/us", False),
        ("production/eu", "production/eu", True),
        ("production", "staging", False),
        ("", "staging", True),
    ],
)
def test_a_production_that_was_split_keeps_its_contracts(one: str, other: str, *, same: bool) -> None:
    """A contract recorded before the targets came counts in each of them, and what was restored in one counts there alone."""
    contract = Contract("drop", one, "1.1", "r", None)
    ask = {"target": "1.0", "target_since": None}
    assert bool(crossed([contract], set(), here=Here(other), **ask)) is same
    assert crossed([contract], {("r", other, "drop")}, here=Here(other), **ask) == [] or not one
