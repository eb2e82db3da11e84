"""What a release changes beside its workload belongs to one service and section, and a rollback cannot borrow it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blocks.errors import BadInput, Refused, Unreachable
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.key_file import create_key, key_path
from blocks.key_folder.owners import Owner, file_of_thing, read_owner
from blocks.key_folder.places import FOLDER, Kept, keep_place
from blocks.touching import NotOwn
from tasks.approval import protection
from tasks.approval.protection import is_anothers, own_environment, things_of
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import place_of
from tests.rules.policy.test_rules import plan_of, policy_of

WEB, ROUTE, STAGING = "the Service shop/web", "the HTTPRoute shop/web", "the Service shop/web-staging"


@pytest.fixture(autouse=True)
def _key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHIPWAY_KEY_FILE", str(tmp_path / "keys" / "approvals.key"))
    create_key(key_path())


class Workload:
    """A platform that says what it points to, and what it changes besides."""

    def __init__(self, uid: str, *things: str, fault: Exception | None = None) -> None:
        """Point to these."""
        self.uid, self.things, self.fault = uid, things, fault

    async def identity(self) -> str:
        """Return the workload."""
        return f"kubernetes {self.uid}"

    async def touches(self) -> dict[str, str]:
        """Return the rest."""
        if self.fault is not None:
            raise self.fault
        return {one: f"uid of {one}" for one in self.things}


def plan_for(service: str) -> Plan:
    """Give a plan of a service with blocks of its own."""
    steps = {"steps": [{"percent": 100}]}
    production = {"platform": f"kubernetes/{service}-production", **steps}
    return plan_of(service=service, staging={"platform": f"kubernetes/{service}-staging"}, production=production)


PRODUCTION: Any = Workload("u-production", WEB, ROUTE)


def not_own(*things: str, refuses_rollbacks: bool = True) -> NotOwn:
    """Say that a Service does not select the pods."""
    found = {one: f"uid of {one}" for one in things}
    return NotOwn("it does not select", field="service", fix="x", things=found, refuses_rollbacks=refuses_rollbacks)


async def own(environment: str, platform: Any, *, claims: bool = False, service: str = "shop", besides: bool = True) -> None:
    """Look, or become the owner."""
    plan = plan_for(service)
    await own_environment.fn(plan, place_of(plan, environment), platform, claims=claims, besides=besides)


async def test_an_environment_is_its_workload_and_what_is_changed_besides() -> None:
    """Each by an identity of its own."""
    assert await things_of.fn(PRODUCTION) == {"": "kubernetes u-production", WEB: f"uid of {WEB}", ROUTE: f"uid of {ROUTE}"}
    plain: Any = object()
    assert await things_of.fn(plain) == {}


@pytest.mark.parametrize("borrowed", [WEB, ROUTE])
@pytest.mark.parametrize(("environment", "service"), [("staging", "shop"), ("production", "other"), ("staging", "other")])
async def test_no_block_borrows_what_a_production_is_reached_by(environment: str, service: str, borrowed: str) -> None:
    """Its workload is its own and has no owner: the requests of all users would go to a version that no one approved."""
    await own("production", PRODUCTION, claims=True)
    for claims in (False, True):
        with pytest.raises(Refused, match=borrowed):
            await own(environment, Workload("u-worker", borrowed), claims=claims, service=service)


async def test_a_refused_block_becomes_the_owner_of_nothing() -> None:
    """Else it would keep others from the rest of what it names."""
    await own("production", PRODUCTION, claims=True)
    with pytest.raises(Refused):
        await own("staging", Workload("u-staging", STAGING, WEB), claims=True)
    await own("staging", Workload("u-staging", STAGING), claims=True, service="other")


async def test_a_refusal_names_all_owners_and_their_files_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a service that moves there are several; and each is owned in the words of its owner's block, by which a policy shares it."""
    await own("production", PRODUCTION, claims=True)
    files = [file_of_thing(f"uid of {one}") for one in (WEB, ROUTE)]
    owners = [read_owner(path) for path in files]
    assert owners == [Owner("shop", "kubernetes/shop-production", "production", one) for one in (WEB, ROUTE)]
    with pytest.raises(Refused) as error:
        await own("production", Workload("u-other", WEB, ROUTE), service="other")
    assert all(said in str(error.value) for said in (WEB, ROUTE, *map(str, files), "The owners are kept in"))
    policy = policy_of(protects=["kubernetes/shop-production"], shares=[ROUTE])
    monkeypatch.setattr(protection, "load_policies", lambda: (policy,))
    with pytest.raises(Refused) as error:
        await own("production", Workload("u-other", WEB, ROUTE), service="other")
    assert (str(files[0]) in str(error.value), str(files[1]) in str(error.value)) == (True, False)
    await own("production", Workload("u-other", ROUTE), service="other", claims=True)
    assert read_owner(files[1]) == owners[1]


async def test_a_release_that_changed_nothing_yet_owns_its_workload_alone() -> None:
    """A block can name production's route or Application; production, which releases there, is not kept from its own."""
    await own("staging", Workload("u-eve", ROUTE), claims=True, service="eve", besides=False)
    with pytest.raises(Refused, match="staging of the service eve"):
        await own("production", Workload("u-eve"), claims=True)
    await own("production", PRODUCTION, claims=True)
    with pytest.raises(Refused, match=ROUTE):
        await own("staging", Workload("u-eve", ROUTE), claims=True, service="eve", besides=False)


async def test_staging_and_production_beside_each_other_are_released_as_often_as_wanted() -> None:
    """A workload and a Service each; what both have in common, as a namespace or a gateway, is not theirs."""
    for _ in range(2):
        await own("staging", Workload("u-staging", STAGING), claims=True)
        await own("production", PRODUCTION, claims=True)


class TestRollback:
    """A rollback asks only where no release ever acted."""

    async def anothers(self, platform: Any, *, environment: str = "staging", service: str = "shop") -> str:
        """Ask whose an environment is."""
        plan = plan_for(service)
        return await is_anothers(plan, place_of(plan, environment), platform)

    async def test_it_is_refused_for_a_block_that_was_never_released_by(self) -> None:
        """It would move the requests of production to a workload of the asker's choice."""
        await own("production", PRODUCTION, claims=True)
        assert WEB in await self.anothers(Workload("u-worker", WEB))
        assert "does not select" in await self.anothers(
            Workload("u", fault=NotOwn("it does not select", field="service", fix="x", things={}))
        )
        assert await self.anothers(Workload("u-staging", STAGING)) == ""
        assert await self.anothers(PRODUCTION, environment="production") == ""

    async def test_it_goes_by_what_a_release_kept_whatever_is_said_since(self) -> None:
        """No edit of a block, and no owner's file, refuses it."""
        await own("production", PRODUCTION, claims=True)
        plan = plan_for("shop")
        keep_place(place_of(plan, "staging").platform, Kept("", {}))
        assert await self.anothers(Workload("u-worker", WEB)) == ""

    @pytest.mark.parametrize("broken", ["owners", "policies"])
    async def test_no_file_that_cannot_be_read_refuses_it(self, broken: str) -> None:
        """A version that must go does not wait for a file's rights."""
        await own("production", PRODUCTION, claims=True)
        folder = key_path().parent / broken
        folder.mkdir(exist_ok=True, mode=0o700)
        (folder / "p.yaml").write_text("policy: 99")
        for path in folder.glob("*.json"):
            path.write_bytes(b"")
        assert await self.anothers(PRODUCTION, environment="production") == ""

    async def test_what_does_not_answer_is_not_a_reason(self) -> None:
        """The rollback itself waits for it."""
        assert await self.anothers(Workload("u", fault=Unreachable("no answer"))) == ""

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (not_own(WEB), ""),
            (not_own(WEB, ROUTE), ""),
            (not_own(STAGING), "does not select"),
            (not_own(STAGING, refuses_rollbacks=False), ""),
            (BadInput("the namespace has no Deployment web", field="workload", fix="x"), ""),
        ],
        ids=["own", "all own", "no one's", "shared", "wrong"],
    )
    async def test_where_the_files_say_that_its_service_released_there_no_look_at_the_cluster_refuses_it(
        self, fault: Exception, said: str
    ) -> None:
        """The last release was made before places were kept; a copy of the workload, or a Service that others edited, is not a reason."""
        await own("production", PRODUCTION, claims=True)
        found = await self.anothers(Workload("u-production", fault=fault), environment="production")
        assert said in found if said else not found

    async def test_what_is_anothers_is_refused_though_it_is_shared(self) -> None:
        """What the cluster says of the Service does not hide whose it is."""
        await own("production", PRODUCTION, claims=True)
        assert WEB in await self.anothers(Workload("u-worker", fault=not_own(WEB, refuses_rollbacks=False)))

    async def test_a_place_that_cannot_be_read_says_that_a_release_acted(self) -> None:
        """The key was replaced since."""
        plan = plan_for("shop")
        keep_place(block := place_of(plan, "production").platform, Kept("", {}))
        kept_path(FOLDER, block).write_bytes(b"of another key")
        assert await self.anothers(Workload("u", fault=not_own(STAGING)), environment="production") == ""
        assert await self.anothers(Workload("u", fault=not_own(STAGING)), environment="staging") != ""
