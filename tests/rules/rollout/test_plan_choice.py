"""By which plan a rollback on demand goes: what an honest operator has edited since, and what others have."""

from __future__ import annotations

from typing import Any

import pytest

from blocks.errors import BadInput
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.rollout.plan_choice import ActedPlan, Named, blocks_not_known, choose_plan
from tests.flows.harness import plan_of

P, Q, ELSEWHERE = "/srv/shop/shipway.yaml", "/srv/shop-us/shipway.yaml", "/home/ada/shipway.yaml"
FAULT = "BadInput: 1 problem(s)"


def taken(*blocks: str, service: str = "shop", path: str = P, **production: Any) -> TakenPlan:
    """Make a plan as it is read from a file; several blocks are targets, called as the ends of their names."""
    usual = plan_of(service)
    section = {**usual["production"], "platform": blocks[0], **production}
    if len(blocks) > 1:
        del section["platform"]
        section["targets"] = [{"name": name.removeprefix("k/").removeprefix("shop-"), "platform": name} for name in blocks]
    return TakenPlan(plan={**usual, "production": section}, path=path, folder="/srv", repository="/srv")


def acted(plan: TakenPlan, *, at: int = 1, before: tuple[str, ...] = (), given: str = "") -> ActedPlan:
    """Let a release have acted by a plan, and earlier ones through other blocks."""
    production = plan.plan["production"]
    blocks = [one["platform"] for one in production.get("targets", [])] or [production["platform"]]
    return ActedPlan(
        service=plan.plan["service"],
        section="production",
        given=given or plan.path,
        at=f"2026-03-0{at}",
        blocks=(*blocks, *before),
        taken=plan,
    )


def named(plan: TakenPlan | None, *, at: str = "", environment: str = "production", text: str = "") -> Named:
    """Name a plan file for a rollback."""
    return Named(frozenset({at or (plan.path if plan else P)}), environment, plan, "" if plan else FAULT, text)


SHOP, TARGETS = taken("k/shop"), taken("k/shop-eu", "k/shop-us")
MOVED = acted(taken("k/new"), before=("k/shop",))
US = acted(taken("k/us", path=Q))
CHECKOUTS = [acted(taken("k/shop-eu", "k/shop-us", path=f"/ci/{number}/shipway.yaml"), at=number) for number in (1, 2)]
FILE, KEPT = "the file", "as the release had it"


@pytest.mark.parametrize(
    ("kept", "file", "goes_by", "said"),
    [
        ([], SHOP, FILE, ""),
        ([acted(SHOP)], taken("k/shop", ready_timeout_seconds=99), FILE, ""),
        ([acted(SHOP)], taken("k/evil"), KEPT, "names k/evil for production, and releases by it acted by k/shop"),
        ([acted(SHOP)], taken("k/shop", strategy="rolling"), KEPT, "names k/shop (rolling)"),
        ([acted(TARGETS)], taken("k/shop-eu"), KEPT, "acted by k/shop-eu, k/shop-us"),
        ([acted(TARGETS)], taken("k/shop-eu", "k/shop-us", "k/shop-asia"), KEPT, "names k/shop-asia, k/shop-eu, k/shop-us"),
        ([acted(TARGETS, before=("k/old",))], taken("k/shop-eu", "k/old"), KEPT, "names k/old"),
        ([MOVED], taken("k/new"), FILE, ""),
        ([MOVED], SHOP, FILE, "releases by it acted by k/new. The rollback goes by the file"),
        ([MOVED, US], taken("k/new", path=ELSEWHERE), FILE, ""),
        ([acted(SHOP), US], taken("k/us", path=Q), FILE, ""),
        ([acted(SHOP), US], taken("k/evil", path=ELSEWHERE), FILE, "releases of shop acted by k/shop, k/us. The rollback goes by the file"),
        (CHECKOUTS, taken("k/shop-eu", path=ELSEWHERE), KEPT, "the last release of shop acted by k/shop-eu, k/shop-us"),
        (CHECKOUTS, taken("k/evil", path=ELSEWHERE), KEPT, "the last release of shop acted by k/shop-eu, k/shop-us"),
        (CHECKOUTS, taken("k/shop-eu", "k/shop-us", path=ELSEWHERE), FILE, ""),
        ([*CHECKOUTS, acted(taken("k/asia", path=Q), at=3)], taken("k/shop-us", path=ELSEWHERE), KEPT, "the last release of shop acted by"),
        ([acted(SHOP)], taken("k/shop", service="mail"), KEPT, "the service mail, of which no release ever acted"),
        ([acted(SHOP)], taken("k/evil", service="mail"), KEPT, "the service mail"),
        ([acted(SHOP)], taken("k/shop", service="mail", path=ELSEWHERE), KEPT, "the service mail"),
        ([acted(SHOP)], taken("k/mail", service="mail", path=ELSEWHERE), FILE, ""),
        ([MOVED], taken("k/shop", service="mail", path=ELSEWHERE), FILE, ""),
        ([acted(SHOP), acted(taken("k/mail", service="mail"))], taken("k/mail", service="mail"), FILE, ""),
        ([acted(SHOP), acted(taken("k/mail", service="mail", path=Q))], taken("k/mail", service="mail"), FILE, ""),
    ],
    ids=[
        "nothing kept", "limits edited", "another block", "another strategy", "a target fewer", "a target more", "a target exchanged",
        "after a move", "a move undone", "another checkout", "another region", "another folder and block",
        "a target fewer in a new checkout", "another block in a new checkout", "as released in a new checkout", "a region's new checkout",
        "another service",
        "another service and block", "its block in another plan", "a new service", "a block that was left to it",
        "one path, two services", "a service came to this path",
    ],
)  # fmt: skip
def test_a_rollback_goes_where_releases_acted(kept: list[ActedPlan], file: TakenPlan, goes_by: str, said: str) -> None:
    """Edits that wait for a release change nothing; what a release brought through this file or another counts."""
    found = choose_plan(named(file), kept, same={})
    assert found is not None
    assert (found.taken == file) == (goes_by == FILE)
    assert found.taken in [file, *(one.taken for one in kept)]
    assert (said in found.differs, found.differs == "") == (True, said == "")
    assert ("--plan-as-it-is" in found.differs) == (goes_by == KEPT)


def test_a_renamed_block_is_not_another_one() -> None:
    """The file counts, and the rollback by it goes by what is kept under the old name."""
    renamed = taken("k/renamed")
    assert blocks_not_known(named(renamed), [acted(SHOP)]) == {"k/renamed"}
    found = choose_plan(named(renamed), [acted(SHOP)], same={"k/renamed": "k/shop"})
    assert found == (renamed, "")


@pytest.mark.parametrize(
    ("kept", "file", "environment", "goes_by"),
    [
        (TARGETS, taken("k/shop-eu"), "production/us", KEPT),
        (TARGETS, TARGETS, "production/us", FILE),
        (SHOP, TARGETS, "production/us", FILE),
        (SHOP, taken("k/shop", "k/shop-us"), "production/shop", FILE),
    ],
    ids=["taken out of the file", "as released", "not released yet", "a target now"],
)
def test_a_target_that_the_file_leaves_out_can_be_rolled_back(kept: TakenPlan, file: TakenPlan, environment: str, goes_by: str) -> None:
    """And one that no release knows is looked for in the file."""
    found = choose_plan(named(file, environment=environment), [acted(kept)], same={})
    assert found is not None
    assert (found.taken == file) == (goes_by == FILE)


@pytest.mark.parametrize(
    ("kept", "at", "text", "found"),
    [
        ([acted(SHOP)], P, "", SHOP),
        ([acted(SHOP), US], P, "service: other\nproduction: {platform: k/us", SHOP),
        ([acted(SHOP, given="/srv/current/shipway.yaml")], "/srv/current/shipway.yaml", "", SHOP),
        ([acted(taken("k/old"), given="/srv/1"), acted(SHOP, at=2, given="/srv/2")], P, "", SHOP),
        ([acted(SHOP)], ELSEWHERE, "service: shop\n{", SHOP),
        ([acted(SHOP), US], ELSEWHERE, "service: 'shop'\nplatform: k/us\n{", US.taken),
        ([acted(SHOP), US], ELSEWHERE, "service: shop\n{", None),
        ([acted(SHOP), acted(taken("k/mail", service="mail"))], P, "service: mail\n{", taken("k/mail", service="mail")),
        ([acted(SHOP), acted(taken("k/mail", service="mail"))], P, "{", None),
    ],
    ids=[
        "broken", "broken and lying", "by a link", "the newest of one file", "another checkout", "of two regions", "of which region",
        "two services", "of which service",
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_plan_refuses_no_rollback(kept: list[ActedPlan], at: str, text: str, found: TakenPlan | None) -> None:
    """Its path says which release it is about, else its text; if both leave it open, people are asked."""
    if found is None:
        with pytest.raises(BadInput, match=rf"{P}.*") as raised:
            choose_plan(named(None, at=at, text=text), kept, same={})
        assert "not known which of several releases" in str(raised.value)
        return
    choice = choose_plan(named(None, at=at, text=text), kept, same={})
    assert choice is not None
    assert choice.taken == found
    assert choice.differs.startswith(FAULT)


@pytest.mark.parametrize(("at", "text"), [(ELSEWHERE, ""), (ELSEWHERE, "service: mail"), (f"{P}.txt", "{")])
def test_a_file_that_no_release_knows_stays_refused(at: str, text: str) -> None:
    """As a path with a slip of the pen: another service must not be rolled back instead."""
    assert choose_plan(named(None, at=at, text=text), [acted(SHOP)], same={}) is None
