"""Credentials: load the value of a block, once it is known that the block lets it go where it is about to go."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from prefect import task
from pydantic import SecretStr

from blocks.credential import Credential
from blocks.errors import BadInput
from tasks.lifecycle.retries import OBSERVE
from tasks.rollout.platforms import load_block
from tasks.rules.plan.credentials import Bounds, Use, refusal, uses_of
from tasks.rules.plan.plan import Plan


async def held(name: str, *, field: str) -> Credential:
    """Load a credential block; its bounds are for the caller to keep.

    Raises:
        BadInput: It does not exist, is not a credential, or is empty.
        Temporary: The Prefect server does not answer.
    """
    block = await load_block(name, field=field)
    if not isinstance(block, Credential) or not block.value.get_secret_value().strip():
        raise BadInput(f"the block {name} does not hold a credential", field=field, fix="Make it with `shipway credential NAME`.")
    return block


async def load_credential(uses: Sequence[Use]) -> SecretStr:
    """Load the value of one credential, for all its uses that are about to be made.

    Raises:
        BadInput: It does not exist, or its block does not allow one of them.
        Temporary: The Prefect server does not answer.
    """
    block = await held(uses[0].credential, field=uses[0].field)
    bounds = Bounds(block.services, block.hosts, block.platforms)
    for use in uses:
        if (wrong := refusal(use, bounds)) is not None:
            raise BadInput(wrong[0], field=use.field, fix=wrong[1])
    return block.value


@task(name="check credentials", **OBSERVE)
async def expect_credentials(plan: Plan) -> None:
    """Look whether the blocks of all credentials that a plan names allow its uses of them, before any is sent.

    Raises:
        BadInput: One does not; names the credential and the plan's field.
        Temporary: The Prefect server does not answer.
    """
    for _, uses in groupby(sorted(uses_of(plan), key=_name), key=_name):
        await load_credential(list(uses))


def _name(use: Use) -> str:
    return use.credential
