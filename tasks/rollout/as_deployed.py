"""The platform of a rollback: the block as it is now if it still leads to what was deployed, else the block as the last release had it."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import get_client
from prefect.blocks.core import Block
from pydantic import ValidationError

from blocks.approvers.places import Kept, plain_settings, read_place
from blocks.errors import BadInput, Refused
from blocks.outside_text import error_text
from blocks.platform import Platform, Strategic
from tasks.approval.protection import identify
from tasks.record.borders import hold
from tasks.record.journal import say
from tasks.rollout.platforms import KNOWN, known_class, load_platform


async def load_platform_to_roll_back(name: str, *, field: str, strategy: str | None = None) -> Platform:
    """Load the platform on which a rollback acts.

    An operator may have corrected the block since the release, so it counts as long as it leads to the same environment. One that was
    deleted, cannot be read, leads elsewhere or does not answer there is replaced by the settings that the last release acted by.

    Args:
        name: The block, as `type/name`.
        field: Where the plan names it, for messages.
        strategy: The plan's rollout strategy; None leaves it to the block.

    Raises:
        BadInput: The block cannot be used, and no release acted through it.
    """
    kept = await asyncio.to_thread(_kept, name)
    try:
        platform = await load_platform(name, field=field, strategy=strategy)
    except BadInput as error:
        if kept is None or name.partition("/")[0] not in {"local", "kubernetes"}:
            raise
        return await _as_deployed(name, kept, strategy, why=error_text(error))
    if kept is None or (now := plain_settings(platform)) == kept.settings:
        return platform
    added = [name for name, value in kept.settings.items() if value == "" and name not in now]
    why = f"it has a secret in {', '.join(added)} now" if added else await _leads_elsewhere(platform, kept)
    if not why:
        return platform
    return await _as_deployed(name, kept, strategy, why=why)


def _kept(name: str) -> Kept | None:
    try:
        return read_place(name)
    except Refused as error:
        say(f"{error_text(error)}. The rollback goes by the block as it is now")
        return None


async def _leads_elsewhere(platform: Platform, kept: Kept) -> str:
    try:
        identity = await identify.fn(platform)
        await platform.current()
    except Exception as error:  # noqa: BLE001 - whatever an edited block does, the rollback goes on
        return error_text(error)
    return "" if identity == kept.identity else "it points to another environment"


async def _as_deployed(name: str, kept: Kept, strategy: str | None, *, why: str) -> Platform:
    say(f"the block {name} is not as the last release had it: {why}. The rollback goes by the settings of that release")
    kind, _, own = name.partition("/")
    stored = await _stored(kind, own)
    block = _valid(await _class_of(kind), kept.settings, stored)
    block._block_document_name = own  # noqa: SLF001 - Prefect's own, which a block that was not loaded does not have
    hold(block)
    found: Any = block
    return found.following(strategy) if strategy is not None and isinstance(found, Strategic) else found


def _valid(model: type[Block], settings: dict[str, Any], stored: dict[str, Any]) -> Block:
    """Make the block with the secrets that are stored, or without them if they spoil it: what is deployed has its own."""
    secrets = {name: value for name, value in stored.items() if name in model.model_fields and name not in settings}
    try:
        return model.model_validate({**secrets, **settings})
    except ValidationError:
        return model.model_validate(settings)


async def _class_of(kind: str) -> type[Block]:
    if kind in KNOWN:
        return known_class(kind)
    return Block.get_block_class_from_key(kind)


async def _stored(kind: str, own: str) -> dict[str, Any]:
    try:
        async with get_client() as client:
            document = await client.read_block_document_by_name(own, kind, include_secrets=True)
    except Exception as error:  # noqa: BLE001 - it may have been deleted; what is deployed runs without it
        say(f"the block {kind}/{own} could not be read: {error_text(error)}")
        return {}
    return dict(document.data)
