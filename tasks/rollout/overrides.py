"""Overrides: who may, the answer of a person who does, and what is set aside for a release; one that cannot be read sets nothing aside."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

from blocks.approvers.approvers import Approvers
from blocks.approvers.signers import signature_fault
from blocks.errors import Refused, ShipwayError
from blocks.key_folder.override_files import read_override_files, write_override_file
from blocks.outside_text import error_text
from tasks.approval.approval import judge_and_count
from tasks.approval.protection import load_policies
from tasks.lifecycle.clock import now
from tasks.record.journal import read_entry, say
from tasks.rollout.platforms import load_approvers
from tasks.rules.approval.answers import Answer
from tasks.rules.approval.override import Override, gate_of, in_force, set_aside
from tasks.rules.approval.proofs import Trust
from tasks.rules.approval.statement import NAMESPACE
from tasks.rules.plan.plan import Plan
from tasks.rules.policy.rules import may_override, policies_of, signatures_of


async def what_is_set_aside(run: str, plan: Plan) -> frozenset[str]:
    """Give the freezes, and `windows`, that people set aside for a release, as all policies of its plan allow now."""
    return set_aside(await overrides_of(run, plan))


async def overrides_of(run: str, plan: Plan) -> list[Override]:
    """List the overrides of a release that count now; none if anything about them cannot be read."""
    try:
        found = await asyncio.to_thread(_read, run)
        if not found:
            return []
        opened = await read_entry(run, "opened")
        version = str(opened.evidence.get("version") or "") if opened else ""
        approvers = await load_approvers(plan.approval.block)
        return await asyncio.to_thread(_in_force, found, run, plan, version, approvers)
    except (ShipwayError, ValueError, OSError) as error:
        say(f"an override does not count: {error_text(error)}")
        return []


async def override(run: str, plan: Plan, *, version: str, holds: Collection[str], answer: Answer) -> str:
    """Judge an answer to the question whether these holds are set aside for a release, and keep it if it counts.

    Args:
        run: The release's flow run id.
        plan: Its plan.
        version: The version under release, as its record was opened with.
        holds: Freezes by id, and `windows`.
        answer: Who, code or signature, and the reason as its comment.

    Returns:
        What is still needed; "" if the holds are set aside now.

    Raises:
        Refused: The person may not, did not prove who it is, or gave no reason.
    """
    approvers = await load_approvers(plan.approval.block)
    return await asyncio.to_thread(_judge, run, plan, version, holds, answer, approvers)


def _judge(run: str, plan: Plan, version: str, holds: Collection[str], answer: Answer, approvers: Approvers) -> str:
    policies = policies_of(plan, load_policies())
    allowed = may_override(policies)
    if allowed is None:
        raise Refused("no policy of this plan lets anyone override: a policy's `windows.overrides` names who may. Lift the freeze, or wait")
    gate = gate_of(run, holds, service=plan.service, version=version, allowed=allowed, at=now())
    gate = gate.model_copy(update={"signatures": signatures_of(policies)})
    if not answer.comment or answer.decision != "approve":
        raise Refused("an override needs a reason")
    judged = judge_and_count(gate, answer, approvers=approvers, proofs=())
    if judged.proof is None:
        raise Refused(f"the override does not count: {judged.reason}")
    kept = Override(holds=tuple(sorted(holds)), proof=judged.proof)
    write_override_file(run, kept.proof.name()[:32], kept.model_dump_json().encode())
    if _in_force(_read(run), run, plan, version, approvers):
        return ""
    return f"another one of {', '.join(allowed.who)} must override the same, too"


def _read(run: str) -> list[Override]:
    return [Override.model_validate_json(content) for content in read_override_files(run).values()]


def _in_force(found: Collection[Override], run: str, plan: Plan, version: str, approvers: Approvers) -> list[Override]:
    policies = policies_of(plan, load_policies())
    allowed = may_override(policies)
    if allowed is None:
        return []
    trust = Trust(approvers.signing_key(), approvers.readable(), partial(signature_fault, namespace=NAMESPACE), signatures_of(policies))
    return in_force(found, run=run, service=plan.service, version=version, allowed=allowed, trust=trust, at=now())
