"""A rollback is about the releases that act where it does; a service's name alone is whatever a plan says."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.places import Kept, keep_place
from tasks.evidence.begun import Begun, keep_begun
from tasks.evidence.releases_there import releases_there
from tasks.lifecycle.kept_runs import keep_open
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.plan import Plan
from tests.flows.harness import plan_of

pytestmark = pytest.mark.usefixtures("offline")
MINE, OTHER, THIRD = "local/shop-eu", "local/shop-us", "local/shop-asia"
RUN = "11111111-1111-4111-8111-111111111111"


def plan(*platforms: str, staging: str = "local/shop-staging") -> dict[str, Any]:
    """Write a plan of the service; several platforms are targets in waves."""
    usual = plan_of("shop")
    production = {**usual["production"], "platform": platforms[0]}
    if len(platforms) > 1:
        del production["platform"]
        production["targets"] = [{"name": name.rpartition("-")[2], "platform": name} for name in platforms]
    return {**usual, "staging": {"platform": staging}, "production": production}


async def opened(*rounds: dict[str, Any], begun: bool = True) -> None:
    """Keep a release as open, by its plan in each round; and what it acts by if it has begun."""
    first = Plan.model_validate(rounds[0])
    await keep_open(RUN, service=first.service, blocks=[rounds[0]["staging"]["platform"], *_production(rounds[0])])
    if begun:
        scopes = [RUN, *(f"{RUN}/{number}" for number in range(2, len(rounds) + 1))]
        taken = [TakenPlan(plan=one, path="/srv/plan.yaml", folder="/srv", repository="/srv") for one in rounds]
        await keep_begun(RUN, Begun(plans=dict(zip(scopes, taken, strict=True))))


def _production(one: dict[str, Any]) -> list[str]:
    section = one["production"]
    return [target["platform"] for target in section.get("targets", [])] or [section["platform"]]


async def there(environment: str = "production", *, mine: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask for the releases that act where a rollback of this environment does."""
    return await releases_there(Plan.model_validate(mine or plan(MINE)), [environment], besides="rollback")


@pytest.mark.parametrize(
    ("rounds", "begun", "found"),
    [
        ([plan(MINE)], True, {RUN: [(1, "production")]}),
        ([plan(MINE)], False, {RUN: []}),
        ([plan(OTHER)], True, {}),
        ([plan(OTHER)], False, {}),
        ([plan(OTHER, staging=MINE)], True, {RUN: [(1, "staging")]}),
        ([plan(OTHER, MINE)], True, {RUN: [(1, "production/eu")]}),
        ([plan(OTHER), plan(MINE)], True, {RUN: [(2, "production")]}),
        ([plan(MINE), plan(OTHER)], True, {RUN: [(1, "production")]}),
        ([{**plan(MINE), "service": "mail"}], True, {}),
    ],
    ids=["same", "begins", "another", "another begins", "as staging", "target", "since round 2", "until round 2", "another service"],
)
async def test_a_release_acts_here_if_its_kept_plan_names_this_block(rounds: list[Any], found: dict[str, Any], *, begun: bool) -> None:
    """In the very round whose effects are meant: a plan that is changed later makes no effect elsewhere one of here."""
    await opened(*rounds, begun=begun)
    assert await there() == found


async def test_plans_that_share_their_staging_alone_do_not_meet_in_production() -> None:
    """Two plans of a service, one for each region, do not stop each other."""
    await opened(plan(OTHER))
    assert await there() == {}
    assert await there("staging") == {RUN: [(1, "staging")]}


async def test_a_release_of_one_target_of_several_is_not_of_the_other() -> None:
    """But a rollback of one target is about a release of both."""
    await opened(plan(MINE, OTHER))
    assert await there("production/eu", mine=plan(MINE, THIRD)) == {RUN: [(1, "production/eu")]}
    assert await there("production/asia", mine=plan(MINE, THIRD)) == {}


@pytest.mark.parametrize(("identity", "found"), [("workload 1", {RUN: []}), ("workload 2", {}), ("", {})])
async def test_a_release_through_another_block_that_led_to_the_same_is_stopped_and_no_effect_of_it_is_here(
    identity: str, found: dict[str, Any]
) -> None:
    """A cluster of anyone's may say that it is the same; what that release did is seen in what the platform here runs."""
    keep_place(MINE, Kept("workload 1", {}))
    keep_place(OTHER, Kept(identity, {}))
    await opened(plan(OTHER))
    assert await there() == found


async def test_what_cannot_be_read_names_no_effect() -> None:
    """The release must stop all the same, by what is kept of its being open."""
    await opened(plan(MINE))
    kept_path("begun", RUN).write_bytes(b"x")
    assert await there() == {RUN: []}


async def test_who_asks_is_not_among_them() -> None:
    """A release that supersedes another does not stop itself."""
    await opened(plan(MINE))
    assert await releases_there(Plan.model_validate(plan(MINE)), ["production"], besides=RUN) == {}
