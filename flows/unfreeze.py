"""Unfreeze: lift a freeze from the Prefect UI; who lifts it proves by code or signature who that is."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from prefect import State, flow
from prefect.states import Completed
from pydantic import Field

from blocks.errors import BadInput
from tasks.approval.lifting import lift_by_proof
from tasks.lifecycle.clock import now
from tasks.lifecycle.freezes import emit_freeze, find_freeze
from tasks.rollout.platforms import load_approvers
from tasks.rules.approval.answers import read_answer
from tasks.rules.approval.lifting import challenge_in_words
from tasks.rules.approval.proofs import MAX_SIGNATURE_CHARACTERS
from tasks.rules.plan.request import AnyReason
from tasks.rules.windows.freeze import lifted_in_words

FreezeId = Annotated[str, Field(max_length=12, title="Freeze", description="Its id. Leave it empty if there is only one.")]
Approver = Annotated[str, Field(max_length=64, title="Your name", description="As enrolled.")]
Code = Annotated[
    str, Field(max_length=32, title="Code", description="From `shipway code` for the challenge, which is said if this is left empty.")
]
Signature = Annotated[str, Field(max_length=MAX_SIGNATURE_CHARACTERS, title="SSH signature", description="Instead of a code.")]
Block = Annotated[str, Field(max_length=200, title="Approvers", description="The block in which you are enrolled.")]


@flow(name="unfreeze", flow_run_name="unfreeze {freeze}", persist_result=False)
async def unfreeze(
    reason: AnyReason,
    approver: Approver,
    code: Code = "",
    freeze: FreezeId = "",
    signature: Signature = "",
    block: Block = "approvers/shipway",
) -> State[Any]:
    """Lift a freeze; releases that it holds go on by themselves. Without code and signature it says the challenge of this hour and reason.

    Args:
        reason: Why; the code is for this reason alone, and an SSH signature is made over it, as the comment.
        approver: Your name, which the code or signature proves.
        code: The eight digits for the challenge of the freeze.
        freeze: Its id; empty takes the only one.
        signature: An SSH signature instead of a code.
        block: The block in which you are enrolled.
    """
    found = await asyncio.to_thread(find_freeze, freeze.strip())
    form = {"decision": "approve", "approver": approver, "code": code, "signature": signature, "comment": reason}
    if not code.strip() and not signature.strip():
        fix = f"Run it again with a code; the challenge is {challenge_in_words(found, now(), reason=reason)}."
        raise BadInput("there is neither a code nor a signature", field="code", fix=fix)
    answer = read_answer(form, received_at=now())
    approvers = await load_approvers(block)
    lifted = await asyncio.to_thread(lift_by_proof, found, answer, approvers=approvers)
    words = lifted_in_words(lifted, now())
    emit_freeze(lifted, what=words)
    return Completed(name="Lifted", message=words)
