"""Attacks on the gate by who can write to the API, with the right proofs of people, but for something else; nothing moves."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.flows.gatehouse import People, answer, answers, enrol, forge, go_on
from tests.flows.harness import FIRST, Ran, Stage, check_closed, check_well

pytestmark = [pytest.mark.attack, pytest.mark.server, pytest.mark.timeout(400), pytest.mark.usefixtures("visitors")]


@pytest.fixture
async def people(server: Any) -> People:
    """Enrol two people."""
    return await enrol(server)


@pytest.fixture
def key(people: People, tmp_path: Path) -> Path:
    """Give the first person an SSH key, besides the secret."""
    from blocks.approvers.signers import add_signer  # noqa: PLC0415
    from tasks.rules.approval.statement import NAMESPACE  # noqa: PLC0415

    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    add_signer(people.names[0], path.with_suffix(".pub"), namespace=NAMESPACE)
    return path


async def hold(stage: Stage, version: str, people: People, **approval: Any) -> Ran:
    """Bring a release to its gate."""
    run = await stage.release(stage.tag(version), plan=stage.plan(approval=people.section(**approval)))
    ran = await go_on(stage, run)
    assert ran.state == "Suspended", ran
    return ran


async def signed(people: People, run: str, key: Path, *, namespace: str = "shipway-approval@v1") -> dict[str, str]:
    """Approve by signature, as `shipway approve --key` does."""
    from prefect import get_client  # noqa: PLC0415

    from blocks.approvers.signers import sign  # noqa: PLC0415
    from tasks.approval.answering import read_question  # noqa: PLC0415

    async with get_client() as client:
        asked = await read_question(client, await client.read_flow_run(UUID(run)))
    assert asked.question is not None
    name = people.names[0]
    signature = sign(asked.question.statement("approve", name), key=key, namespace=namespace)
    return {"decision": "approve", "approver": name, "signature": signature}


async def check_still_held(stage: Stage, ran: Ran, *, says: str) -> None:
    """Assert that an answer did not count, and that nothing moved in production."""
    assert ran.state == "Suspended", ran
    assert says in answers(ran)[-1]
    position = await stage.platform("production").current()
    assert (position["baseline"], position["canary"]) == (FIRST, None)


async def test_a_stored_rejection_cannot_be_replaced_by_an_approval_with_the_same_code(stage: Stage, people: People) -> None:
    """While no worker looks; that once deployed, with an intact chain of hashes."""
    from prefect.states import Scheduled  # noqa: PLC0415

    held = await hold(stage, "7.1", people)
    rejection = await people.form(people.names[0], held.id, decision="reject")
    await forge(held.id, {**rejection, "decision": "approve"}, key="production-1", state=Scheduled())
    ran = await go_on(stage, held.id)
    await check_still_held(stage, ran, says="does not answer the challenge to approve")
    ran = await answer(stage, held.id, await people.form(people.names[0], held.id, decision="reject"))
    await check_closed(stage, ran, outcome="refused")


async def test_a_proof_for_one_release_approves_no_other(stage: Stage, people: People, key: Path) -> None:
    """Neither a code nor a signature, of a service's earlier run or of another service: each names its run."""
    first = await hold(stage, "7.2", people)
    code, signature = await people.form(people.names[0], first.id), await signed(people, first.id, key)
    ran = await answer(stage, first.id, await people.form(people.names[1], first.id, decision="reject"))
    await check_closed(stage, ran, outcome="refused")
    second = await hold(stage, "7.2.1", people)
    await check_still_held(stage, await answer(stage, second.id, code), says="does not answer the challenge")
    await check_still_held(stage, await answer(stage, second.id, signature), says="the SSH signature is not one of")
    other_purpose = await signed(people, second.id, key, namespace="git")
    await check_still_held(stage, await answer(stage, second.id, other_purpose), says="the SSH signature is not one of")
    ran = await answer(stage, second.id, await people.form(people.names[1], second.id, decision="reject"))
    await check_closed(stage, ran, outcome="refused")


async def test_a_signature_counts_until_its_key_is_removed(stage: Stage, people: People, key: Path) -> None:
    """It is verified again right before the first change: one of two who approved was removed meanwhile."""
    from blocks.approvers.signers import remove_signer  # noqa: PLC0415

    held = await hold(stage, "7.3", people, quorum=2)
    assert (await answer(stage, held.id, await signed(people, held.id, key))).state == "Suspended"
    remove_signer(people.names[0])
    ran = await answer(stage, held.id, await people.form(people.names[1], held.id))
    assert "SSH signature is not valid" in ran.message, ran
    await check_closed(stage, ran, outcome="refused")
    await check_well(stage, version=FIRST)


async def test_a_signature_alone_deploys(stage: Stage, people: People, key: Path) -> None:
    """The way that the attacks are compared with."""
    held = await hold(stage, "7.4", people)
    ran = await answer(stage, held.id, await signed(people, held.id, key))
    await check_closed(stage, ran, outcome="deployed")
