"""What counts as deployed in an environment: which flow brought it, for whom, and where."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.rules.record.entries import Entry, Kind, chain
from tasks.rules.rollout.deployed import deployed_at, places_of, promotions_in
from tasks.rules.rollout.migrations import Here

NOW = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)
BLOCK, UID = "kubernetes/shop", "kubernetes u-1"
PRODUCTION = Here("production", BLOCK, UID)


def record(flow: str, *where: Here, service: str = "shop", version: str = "1.0", outcome: str = "deployed", **more: Any) -> list[Entry]:
    """Make the record of a run that promoted a version in some environments."""
    told: list[tuple[Kind, str, str, dict[str, Any]]] = [("opened", "", "", {"flow": flow, "version": version, "plan": "plan.yaml"})]
    told += [
        ("effect", one.environment, "promote", {"service": service, "block": one.block, "identity": one.identity} | more) for one in where
    ]
    told += [("closed", "", "", {"outcome": outcome})] if outcome != "open" else []
    entries: list[Entry] = []
    for place, (kind, environment, name, evidence) in enumerate(told):
        last, at = entries[-1] if entries else None, NOW + timedelta(seconds=place)
        entries.append(chain(last, at=at, kind=kind, environment=environment, name=name, who="rita", what="x", evidence=evidence))
    return entries


def counts(entries: list[Entry], *, here: Here = PRODUCTION, service: str = "shop", version: str = "1.0", owner: str | None = None) -> bool:
    """Say whether this record makes the version one to return to; what is deployed here belongs to the block unless another is named."""
    owner = here.block if owner is None else owner
    return deployed_at(entries, service=service, version=version, here=here, owner=owner) is not None


@pytest.mark.parametrize(
    ("flow", "environment", "yes"),
    [
        ("release", "production", True),
        ("production", "production", True),
        ("staging", "production", False),
        ("rollback", "production", False),
        ("verify", "production", False),
        ("", "production", False),
        ("release", "staging", True),
        ("staging", "staging", True),
        ("production", "staging", False),
    ],
)
def test_only_a_flow_that_asks_for_the_environment_brings_a_version_there(flow: str, environment: str, *, yes: bool) -> None:
    """Staging alone asks no one, whatever its record says of production."""
    here = Here(environment, BLOCK, UID)
    assert counts(record(flow, here), here=here) is yes


@pytest.mark.parametrize(
    ("there", "here", "yes"),
    [
        (PRODUCTION, PRODUCTION, True),
        (Here("production", BLOCK, "kubernetes u-0"), PRODUCTION, True),
        (Here("production", BLOCK), PRODUCTION, True),
        (PRODUCTION, Here("production", BLOCK), True),
        (Here("production/eu", BLOCK, UID), PRODUCTION, True),
        (PRODUCTION, Here("production/eu", BLOCK, UID), True),
        (Here("production/us", "kubernetes/us", "kubernetes u-2"), Here("production/eu", BLOCK, UID), False),
        (Here("production", "kubernetes/eve", "kubernetes u-9"), PRODUCTION, False),
        (Here("production", "kubernetes/eve"), Here("production", BLOCK), False),
        (Here("production"), Here("production"), False),
        (Here("staging", BLOCK, UID), PRODUCTION, False),
    ],
    ids=[
        "the same",
        "a block that moved",
        "it did not say then",
        "it does not answer now",
        "a target that became production",
        "production that became a target",
        "another target",
        "a plan of others with blocks of their own",
        "the same, and neither says what it points to",
        "nothing known of either",
        "staging of the same release",
    ],
)
def test_a_version_is_known_where_it_was_promoted(there: Here, here: Here, *, yes: bool) -> None:
    """By the block, which may have moved."""
    assert counts(record("release", there), here=here) is yes


OLD, EVE = "kubernetes/shop-old", "kubernetes/eve"


@pytest.mark.parametrize(
    ("through", "here", "owner", "yes"),
    [
        (Here("production", OLD, UID), PRODUCTION, OLD, True),
        (PRODUCTION, PRODUCTION, OLD, True),
        (Here("production", BLOCK, "kubernetes u-0"), PRODUCTION, OLD, False),
        (Here("production", EVE, UID), PRODUCTION, BLOCK, False),
        (Here("production", EVE, UID), PRODUCTION, OLD, False),
        (Here("production", EVE, UID), PRODUCTION, "", False),
        (Here("production", EVE, "kubernetes u-9"), Here("production", EVE, UID), BLOCK, False),
        (Here("staging", OLD, UID), PRODUCTION, OLD, False),
        (PRODUCTION, PRODUCTION, "", True),
        (Here("production", BLOCK, "kubernetes u-0"), PRODUCTION, "", True),
    ],
    ids=[
        "the block was renamed since, and its old name owns the place",
        "the block was renamed before, and its old name owns the place",
        "the block points by now to what another one deployed",
        "an API server of others says that it is this one",
        "an API server of others says that it is this one, and a renamed block owns that",
        "an API server of others says that it is this one, and no file says whose that is",
        "a block of others points here by now",
        "staging, through the block that owned the place",
        "no file says whose the place is",
        "no file says whose the place is to which the block moved",
    ],
)
def test_what_a_platform_points_to_counts_as_far_as_its_owner_is_known(through: Here, here: Here, owner: str, *, yes: bool) -> None:
    """Its API server says it, and that may be anyone's."""
    assert counts(record("release", through), here=here, owner=owner) is yes


@pytest.mark.parametrize(
    ("through", "here", "owner", "yes"),
    [
        (Here("production", "b", UID), Here("production", "c", UID), "a", True),
        (Here("production", "b", UID), Here("production", "a", UID), "a", True),
        (Here("production", "a", UID), Here("production", "b", UID), "", True),
        (Here("production", "a", "kubernetes u-0"), Here("production", "a", UID), "b", False),
        (Here("production", "b"), Here("production", "c"), "a", False),
        (Here("staging", "b", UID), Here("production", "c", UID), "a", False),
    ],
    ids=["renamed twice", "renamed back", "no owner's file", "the block points to another one's by now", "neither says it", "staging"],
)
def test_for_contracts_a_version_was_deployed_where_the_identity_is_the_same(through: Here, here: Here, owner: str, *, yes: bool) -> None:
    """Whatever its block was called then: else each contract would refuse the rollback."""
    entries = record("release", through)
    found = deployed_at(entries, service="shop", version="1.0", here=here, owner=owner, by_identity=True)
    assert (found is not None) is yes


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"service": "pay"}, {}),
        ({}, {"service": "pay"}),
        ({"version": "2.0"}, {}),
        ({}, {"version": "2.0"}),
        ({"outcome": "rolled_back"}, {}),
        ({"outcome": "failed"}, {}),
        ({"outcome": "open"}, {}),
    ],
)
def test_a_record_of_something_else_says_nothing(changes: dict[str, Any], asked: dict[str, str]) -> None:
    """Of another service or version, of what was rolled back, or of what is not ended."""
    assert not counts(record("release", PRODUCTION, **changes), **asked)


def test_what_was_promoted_nowhere_or_is_not_whole_says_nothing() -> None:
    """A record that says `deployed` without a promotion is not one of a release here."""
    whole = record("release", Here("staging", "s", "s-1"), PRODUCTION)
    assert counts(whole)
    assert not counts(record("release"))
    assert not counts([])
    for place in range(len(whole)):
        assert not counts(whole[:place] + whole[place + 1 :])


def test_a_release_in_several_targets_is_known_in_each_of_them() -> None:
    """And staging alone in none."""
    eu, us, asia = (Here(f"production/{name}", f"kubernetes/{name}", f"u-{name}") for name in ("eu", "us", "asia"))
    released = record("release", Here("staging", "s", "s-1"), eu, us)
    assert [counts(released, here=one) for one in (eu, us, asia)] == [True, True, False]
    assert promotions_in(record("staging", eu), service="shop") == []


def test_the_moment_that_counts_is_that_of_the_last_promotion_here() -> None:
    """Not the one at which the release was asked for: it may have waited for days. Another environment's does not count."""
    whole = record(
        "release", Here("staging", "s", "s-1"), PRODUCTION, PRODUCTION._replace(environment="production/eu"), Here("production/us", "us")
    )
    assert deployed_at(whole, service="shop", version="1.0", here=PRODUCTION, owner=BLOCK) == NOW + timedelta(seconds=3)


@given(st.builds(Here, st.sampled_from(["production", "production/eu"]), st.sampled_from(["", "a", "b"]), st.sampled_from(["", "a", "b"])))
def test_what_is_kept_by_its_places_is_found_by_them(here: Here) -> None:
    """A record that counts is always among those that are kept under one of the names of the place."""
    for block in ("", "a", "b"):
        for identity in ("", "a", "b"):
            there = Here("production", block, identity)
            shared = bool({*places_of(there)} & {*places_of(here)})
            assert shared is ((block == here.block != "") or (identity == here.identity != ""))
            for owner in ("", "a", "b"):
                assert shared or not counts(record("release", there), here=here, owner=owner)
