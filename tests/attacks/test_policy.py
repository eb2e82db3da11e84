"""Attacks on a protected environment: plans, services and requesters that its policy does not let in; none of them moves anything."""

# ruff: noqa: F811 - a fixture that is imported is the name of a parameter, too
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from blocks.errors import Refused
from blocks.key_folder.policy_files import remove_policy_file, write_policy_file
from tests.flows.conftest import runner, stage, theatre, visitors  # noqa: F401 - fixtures
from tests.flows.gatehouse import People, answer, answers, enrol, go_on
from tests.flows.harness import FIRST, MOST_ATTEMPTS, Ran, Stage, check_closed, check_well, plan_of
from tests.flows.keeping import keep

pytestmark = [pytest.mark.attack, pytest.mark.server, pytest.mark.timeout(400)]


class Protection:
    """The policy of the stage's production, as its platform team writes it."""

    def __init__(self, stage: Stage) -> None:
        """Name it after the stage."""
        self.stage = stage
        self.applied: set[str] = set()

    def apply(self, environment: str = "production", **changes: Any) -> None:
        """Put it beside the key; `changes` replace whole fields."""
        name = f"{self.stage.name}-{environment}"
        usual = {"policy": 1, "name": name, "protects": [f"local/{name}"], "environment": environment, "services": [self.stage.name]}
        write_policy_file(name, yaml.safe_dump(usual | changes).encode())
        self.applied.add(name)

    def end(self) -> None:
        """Take it away."""
        for name in self.applied:
            remove_policy_file(name)


@pytest.fixture
def protection(stage: Stage) -> Iterator[Protection]:
    """Give the policies of the stage, none of which is applied yet."""
    one = Protection(stage)
    yield one
    one.end()


async def attempt(stage: Stage, flow: str = "release", **parameters: Any) -> Ran:
    """Run a flow with an attacker's parameters to its end, and assert that it is refused and moves nothing."""
    wanted = {"plan": stage.plan(), "version": stage.tag(f"9.{len(list(stage.repository.glob('plan-*')))}"), "reason": "mine"}
    if flow != "staging":
        wanted["requester"] = "mallory"
    ran = await stage.carry_through(await stage.ask(flow, **(wanted | parameters)), flow)
    assert ran.state == "Refused", ran
    assert [entry.kind for entry in ran.entries if entry.kind == "effect"] == []
    await check_well(stage, version=FIRST)
    return ran


async def test_a_plan_without_approval_does_not_get_into_a_protected_environment(stage: Stage, protection: Protection) -> None:
    """A plan of one's own that asked for no approval was once deployed to production, with no person asked."""
    protection.apply(approval={"quorum": 1, "approvers": ["ada"]})
    ran = await attempt(stage)
    assert "approval.quorum: 0 is less than the 1 of `approval.quorum`" in ran.message
    await check_closed(stage, ran, outcome="refused")
    alone = await attempt(stage, "production")
    assert "approval.quorum: 0 is less than" in alone.message


async def test_another_service_does_not_get_into_a_protected_environment(stage: Stage, protection: Protection) -> None:
    """Whatever its plan says of approvals."""
    protection.apply()
    ran = await attempt(stage, plan=stage.plan(service=f"{stage.name}-mine"))
    assert f"service: {stage.name}-mine may not release to local/{stage.name}-production by `services`" in ran.message


async def test_production_is_not_deployed_to_as_the_staging_of_a_plan(stage: Stage, protection: Protection) -> None:
    """Staging is deployed before people are asked."""
    protection.apply()
    usual = plan_of(stage.name)
    swapped = stage.plan(
        staging={**usual["staging"], "platform": usual["production"]["platform"]},
        production={**usual["production"], "platform": usual["staging"]["platform"]},
    )
    for flow in ("release", "staging"):
        ran = await attempt(stage, flow, plan=swapped)
        assert "staging.platform" in ran.message
        assert "may be named only in `production` by `environment`" in ran.message


async def test_an_analysis_that_decides_nothing_does_not_get_into_a_protected_environment(stage: Stage, protection: Protection) -> None:
    """A canary that no one looks at, or a checklist that is turned off."""
    protection.apply(checklist=["tests_passed"], least_analysis={"indicators": ["latency"], "watch_seconds": 60, "first_percent": 10})
    ran = await attempt(stage)
    for field in ("checklist.tests_passed", "judgement.slis", "judgement.inconclusive", "production.steps", "production.steps[0].percent"):
        assert f"{field}: " in ran.message, field


async def test_a_requester_who_is_not_listed_moves_nothing(stage: Stage, protection: Protection) -> None:
    """Nor does a phase that runs alone and names no requester."""
    protection.apply(requesters=["ada"])
    protection.apply("staging", requesters=["ada"])
    ran = await attempt(stage)
    assert "mallory may not release by `requesters`" in ran.message
    assert "a phase that runs alone may not release" in (await attempt(stage, "staging")).message


async def test_a_policy_applied_after_the_gate_holds_before_the_first_change_and_a_rollback_is_exempt(
    stage: Stage,
    protection: Protection,
) -> None:
    """The policy counts as it is then; the rollback of what staging got by then is not held up by it."""
    run = await stage.release(stage.tag("8.1"))
    await stage.runner.run(run, "release", kill_at="effect staging promote")
    protection.apply(services=["other"])
    protection.apply("staging", services=["other"])
    for _ in range(MOST_ATTEMPTS):
        if not await keep(run, settle=stage.settle):
            break
        if (await stage.seen(run)).state == "AwaitingRetry":
            await stage.runner.run(run, "release")
    ran = await stage.seen(run)
    assert "may not release to" in ran.message
    assert [entry.environment for entry in ran.entries if entry.kind == "effect"] == ["staging"]
    await check_well(stage, version=FIRST)


@pytest.mark.usefixtures("visitors")
async def test_a_rollback_is_exempt_from_policy(stage: Stage, protection: Protection) -> None:
    """A policy that lets nothing in lets everything out."""
    released = await stage.release_through(stage.tag("8.2"))
    await check_closed(stage, released, outcome="deployed")
    protection.apply(services=["other"], requesters=["ada"], approval={"quorum": 3})
    protection.apply("staging", services=["other"])
    run = await stage.ask("rollback", plan=stage.plan(), reason="it is bad", version=FIRST)
    ran = await stage.carry_through(run, "rollback")
    assert ran.state == "RolledBack", ran
    assert (await stage.platform("production").current())["baseline"] == FIRST


@pytest.mark.usefixtures("visitors")
async def test_a_release_that_keeps_its_policy_is_deployed_and_its_record_has_both_rules(stage: Stage, protection: Protection) -> None:
    """Protection does not get into the way of who it is for."""
    protection.apply(requesters=["rita"])
    released = await stage.release_through(stage.tag("8.3"))
    await check_closed(stage, released, outcome="deployed")
    review = next(entry for entry in released.entries if entry.kind == "review")
    assert [policy["name"] for policy in review.evidence["policies"]] == [f"{stage.name}-production"]
    assert {"field": "requester", "plan": "any", "policy": "rita", "counts": "rita"} in review.evidence["rules"]
    assert f"under {stage.name}-production" in review.why


@pytest.mark.usefixtures("visitors")
async def test_who_requests_under_another_name_and_approves_alone_deploys_nothing(
    stage: Stage, protection: Protection, server: Any
) -> None:
    """A name is easily written into a request; where the policy asks for proof, that person's own answer is needed beside the approval."""
    people: People = await enrol(server)
    approver, named = people.names[:2]
    protection.apply(approval={"quorum": 1, "requester": "proved"})
    plan = stage.plan(approval=people.section(approvers=[approver]))
    asked = {"plan": plan, "version": stage.tag("8.9"), "reason": "mine", "requester": named}
    held = await go_on(stage, await stage.ask("release", **asked))
    ran = await answer(stage, held.id, await people.form(approver, held.id))
    assert ran.state == "Suspended", ran
    assert answers(ran)[-1] == f"{approver} approved"
    assert (await stage.platform("production").current())["baseline"] == FIRST
    ran = await answer(stage, held.id, await people.form(named, held.id))
    await check_closed(stage, ran, outcome="deployed")
    decision = next(entry for entry in ran.entries if entry.kind == "gate" and entry.name == "decision")
    assert decision.why == f"approved by {approver}; {named} confirmed the request"


@pytest.mark.usefixtures("visitors")
async def test_a_platform_block_belongs_to_the_first_service_also_without_a_policy(stage: Stage, protection: Protection) -> None:
    """Another service is refused there, under the block's name and under another one, until a policy lists both."""
    released = await stage.release_through(stage.tag("8.4"))
    await check_closed(stage, released, outcome="deployed")
    await stage.reset_versions(FIRST)
    await stage.platform("production").save(f"{stage.name}-alias", overwrite=True)
    production, staging = (plan_of(stage.name)[name] for name in ("production", "staging"))
    other = {"service": f"{stage.name}-other", "staging": {**staging, "platform": f"local/{stage.name}-none"}}
    await stage.platform("none").save(f"{stage.name}-none", overwrite=True)
    for platform in (f"local/{stage.name}-production", f"local/{stage.name}-alias"):
        ran = await attempt(stage, plan=stage.plan(**other, production={**production, "platform": platform}))
        assert f"production.platform: {platform} belongs to the service {stage.name}, which was the first to release there" in ran.message
    protection.apply(services=[stage.name, f"{stage.name}-other"])
    shared = await stage.release_through(stage.tag("8.5"), plan=stage.plan(service=f"{stage.name}-other", staging=other["staging"]))
    await check_closed(stage, shared, outcome="deployed")


@pytest.mark.usefixtures("visitors")
async def test_a_second_block_on_a_protected_environment_does_not_evade_its_policy(stage: Stage, protection: Protection) -> None:
    """Whoever may write blocks could make one of another name that points to the same place."""
    released = await stage.release_through(stage.tag("8.6"))
    await check_closed(stage, released, outcome="deployed")
    await stage.reset_versions(FIRST)
    await stage.platform("production").save(f"{stage.name}-alias", overwrite=True)
    protection.apply(approval={"quorum": 1, "approvers": ["ada"]})
    ran = await attempt(stage, plan=stage.plan(production={**plan_of(stage.name)["production"], "platform": f"local/{stage.name}-alias"}))
    assert f"points to the environment of local/{stage.name}-production, which the policy {stage.name}-production protects" in ran.message


@pytest.mark.usefixtures("visitors")
async def test_staging_that_is_pointed_at_production_deploys_nothing_there(stage: Stage, protection: Protection) -> None:  # noqa: ARG001
    """Staging is deployed before people are asked: its block was pointed at production's folder, and production served the version.

    Also while production's own block points elsewhere, so that the two differ; a rollback is not held up by it.
    """
    released = await stage.release_through(stage.tag("8.10"))
    await check_closed(stage, released, outcome="deployed")
    await stage.reset_versions(FIRST)
    production, staging = stage.platform("production"), stage.platform("staging")
    folder = (await production.identity()).rpartition(" ")[2]
    await staging.model_copy(update={"folder": folder}).save(f"{stage.name}-staging", overwrite=True)
    try:
        assert "points to the same environment as" in (await attempt(stage)).message
        await production.model_copy(update={"folder": f"{folder}-elsewhere"}).save(f"{stage.name}-production", overwrite=True)
        for flow in ("release", "staging"):
            assert f"points to production of the service {stage.name}" in (await attempt(stage, flow)).message
    finally:
        await staging.save(f"{stage.name}-staging", overwrite=True)
        await production.save(f"{stage.name}-production", overwrite=True)


async def test_a_version_that_no_signer_signed_does_not_get_into_a_protected_environment(stage: Stage, protection: Protection) -> None:
    """Neither by a release nor by a phase that runs alone."""
    signers = ["ada ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    for environment in stage.environments:
        protection.apply(environment, source={"signed": "tag", "signers": signers})
    for flow in ("release", "staging", "production"):
        ran = await attempt(stage, flow)
        assert "is not an annotated tag of that name" in ran.message
        assert "`source.signed: tag` of the policy" in ran.message


@pytest.mark.usefixtures("visitors")
async def test_a_policy_that_cannot_be_read_refuses_a_release_and_not_a_rollback(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could protect any block. In this process, because other tests share the key."""
    from flows.release import release  # noqa: PLC0415 - importing Prefect costs seconds that other tests need not pay
    from flows.rollback import rollback  # noqa: PLC0415

    released = await stage.release_through(stage.tag("8.7"))
    await check_closed(stage, released, outcome="deployed")

    def refuse() -> None:
        raise Refused("a policy is wrong, so nothing is deployed")

    monkeypatch.setattr("tasks.approval.protection.load_policies", refuse)
    state: Any = await release(plan=stage.plan(), version=stage.tag("8.8"), reason="a test", requester="rita", return_state=True)
    assert (state.name, "a policy is wrong" in state.message) == ("Refused", True), state
    await check_well(stage, version="8.7")
    state = await rollback(plan=stage.plan(), reason="it is bad", version=FIRST, return_state=True)
    assert state.name == "RolledBack", state
    assert (await stage.platform("production").current())["baseline"] == FIRST
