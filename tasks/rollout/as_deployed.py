"""The platform of a rollback: each block that it is made of as the last release had it, whatever was done to it through the API since."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

from prefect.blocks.core import Block
from pydantic import BaseModel, SecretBytes, SecretStr

from blocks.block_copy import copied
from blocks.errors import BadInput, Permanent, Refused, ShipwayError
from blocks.key_folder.kept_files import kept_path
from blocks.key_folder.places import FOLDER, Kept, read_place, whole_settings
from blocks.kubernetes.api.users import with_users_of
from blocks.outside_text import error_text
from blocks.platform import Identified, Platform, Strategic
from blocks.script.hosts.platform import ScriptHosts
from blocks.script.platform import ScriptPlatform
from blocks.script.programs import Renewed
from tasks.approval.kept_places import block_kept_for
from tasks.record.borders import hold, hold_of
from tasks.record.journal import say
from tasks.rollout.asked import seldom
from tasks.rollout.platforms import KNOWN, known_class, load_platform
from tasks.rollout.present_blocks import present_block, present_kubeconfig

GITOPS = "gitops/"
SCRIPTS = (ScriptPlatform, ScriptHosts)
ANSWER_SECONDS, LOOK_SECONDS = 30.0, 10.0
MOST_OF_A_SECRET = 65_536  # bytes; Linux takes no variable of more than 128 kB


class Answer(NamedTuple):
    """What was answered where a block leads.

    Fields:
        fault: Why that is not well, or nothing answers; "" if it is, or the block leads nowhere.
        is_refused: Whether its credentials are refused there.
    """

    fault: str = ""
    is_refused: bool = False


Answers = Callable[[Block], Awaitable[Answer]]


class Made(NamedTuple):
    """A platform, and the blocks that it is made of, by `type/name`."""

    platform: Platform
    parts: dict[str, Block]


async def load_platform_to_roll_back(name: str, *, field: str, strategy: str | None = None, looks: bool = True) -> Platform:
    """Load the platform on which a rollback acts, as the last release had it.

    What was edited since does not count, nor that a block was deleted or renamed: who can edit blocks could send the rollback elsewhere.
    Only a secret that is refused by now, as it was rotated, is replaced by the one that the block has now, if that serves; it goes to the
    same place. What does not answer for a moment refuses nothing.

    Args:
        name: The block, as `type/name`.
        field: Where the plan names it, for messages.
        strategy: The plan's rollout strategy; None leaves it to the block.
        looks: Whether what differs is tried, to know whose secrets serve; else those of the release are taken.

    Raises:
        BadInput: The block cannot be used, and no release acted through it.
    """
    found = await _to_roll_back(name, field=field, strategy=strategy, looks=looks)
    return found.rolling_back() if isinstance(found, SCRIPTS) else found  # a version that hangs must not keep it from being read


async def _to_roll_back(name: str, *, field: str, strategy: str | None, looks: bool) -> Platform:
    was, kept = name, await asyncio.to_thread(_kept, name)
    if kept is None:
        now = await load_platform(name, field=field, strategy=strategy)
        was = await block_kept_for(name, now)
        kept = await asyncio.to_thread(_kept, was) if was else None
        if kept is None:
            return now
        say(f"no release ever acted through {name}; what it leads to was last released through {was}, and the rollback goes by that")
    try:  # of what was kept alone: nothing that is wrong with the block as it is now must make that count
        released = await _made_of(was, _released_parts(kept))
    except (ValueError, LookupError, TypeError, AttributeError, BadInput, ImportError) as error:  # as by another version of Shipway
        say(f"{kept_path(FOLDER, was)} cannot be used: {error_text(error)}. The rollback goes by the block as it is now")
        return await load_platform(name, field=field, strategy=strategy)
    found = await _with_rotated_secrets(was, released, _answers if looks else _unasked, now=name)
    return found.following(strategy) if strategy is not None and isinstance(found, Strategic) else found


def _kept(name: str) -> Kept | None:
    try:
        return read_place(name)
    except Refused as error:
        say(f"{error_text(error)}. The rollback goes by the block as it is now")
        return None


async def _made_of(name: str, part_of: Callable[[str], Block]) -> Made:
    """Make a platform, and give each block that it is made of."""
    parts: dict[str, Block] = {}

    async def load(part: str, _field: str) -> Block:
        parts[part] = part_of(part)
        return parts[part]

    found: Any = await load(name, "")
    if name.startswith(GITOPS):
        from tasks.gitops.compose import compose  # noqa: PLC0415 - it loads the Kubernetes platform, which others need not pay for

        found = await compose(found, name=name, load=load)
    if not isinstance(found, Platform):
        raise BadInput(f"the block {name} was not a platform", field=name, fix="Look at its type.")
    return Made(found, parts)


def _released_parts(kept: Kept) -> Callable[[str], Block]:
    def part_of(name: str) -> Block:
        settings = kept.parts[name]
        return _resolved(name, _of_settings(name, settings), kept.parts.get(_credentials(settings), {}).get("kubeconfig"))

    return part_of


async def _with_rotated_secrets(name: str, released: Made, answers: Answers, *, now: str) -> Platform:
    """Give a platform of the release with its blocks' present secrets, where only they serve; `now` is how its block is called by now."""
    blocks = [
        _with_those_that_serve(part, block, answers, of=name, now=now if part == name else part) for part, block in released.parts.items()
    ]
    found = dict(zip(released.parts, await asyncio.gather(*blocks), strict=True))
    if all(found[part] is block for part, block in released.parts.items()):
        return released.platform
    return (await _made_of(name, found.__getitem__)).platform


async def _with_those_that_serve(name: str, was: Block, answers: Answers, *, of: str, now: str) -> Block:
    """Give one block as it was; with its present secrets if only they serve. Whatever an edited block does, the rollback goes on."""
    present, why = await _as_it_is_now(now)
    if present is not None and _is_same(was, present):
        return was
    say(
        f"the block {now} is not as the last release had it{why}. The rollback goes by the settings of that release; "
        f"if others must count, remove {kept_path(FOLDER, of)}"
    )
    serving = await seldom(name, was, lambda: _renewed_that_serves(name, was, present, answers, of=of), by=answers)
    if isinstance(was, SCRIPTS):
        return _taking_turns(was, serving or _with_secrets_of(was, present, name=name), of=of, serves=serving is not None)
    return serving or was


def _taking_turns(was: ScriptPlatform | ScriptHosts, renewed: Block, *, of: str, serves: bool) -> Block:
    """Give scripts with the secrets of the release, which take turns with the present ones: the version may answer `status` unsteadily.

    Whether the secrets of scripts serve is known only once one has failed; a key for hosts is taken if it serves.
    """
    present = renewed.environment if isinstance(renewed, SCRIPTS) else {}
    found = copied(renewed, environment=was.environment) if serves else was
    found._kept = Renewed(str(kept_path(FOLDER, of)), present, reads=serves and present != was.environment)  # type: ignore[attr-defined]  # noqa: SLF001
    return found


async def _renewed_that_serves(name: str, was: Block, present: Block | None, answers: Answers, *, of: str) -> Block | None:
    if not (await answers(was)).is_refused or (renewed := _with_secrets_of(was, present, name=name)) == was:
        return None
    if (await answers(renewed)).fault or not (again := await answers(was)).is_refused:  # a fault may pass meanwhile
        return None
    kept = kept_path(FOLDER, of)
    counts = "are used in turns with them" if isinstance(was, SCRIPTS) else "count"
    say(f"the secrets of {name} in {kept} are refused ({again.fault}); those that the block has now serve, and {counts}")
    return renewed


async def _as_it_is_now(name: str) -> tuple[Block | None, str]:
    """Load a block as it is now, for a comparison; gives none, and why, if that fails in any way."""
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            block = await present_block(name)
            credentials = _credentials(whole_settings(block))
            return _resolved(name, block, await present_kubeconfig(credentials) if credentials else None), ""
    except Exception as error:  # noqa: BLE001 - whatever an edited block does, the rollback goes on; its own words may quote a secret
        return None, f" ({error_text(error) if isinstance(error, ShipwayError) else type(error).__name__})"


def _is_same(was: Block, present: Block) -> bool:
    with suppress(Exception):
        return whole_settings(present) == whole_settings(was)
    return False


def _of_settings(name: str, settings: dict[str, Any]) -> Block:
    kind = name.partition("/")[0]
    model: type[Block] = known_class(kind) if kind in KNOWN else Block.get_block_class_from_key(kind)
    block = model.model_validate(settings)
    hold(block)
    return block


def _resolved(name: str, block: Block, kubeconfig: str | None) -> Block:
    """Name a block as if it was loaded, and put the credentials of the block that it names into it."""
    if kubeconfig is not None:
        block = block.model_copy(update={"config": SecretStr(kubeconfig), "credentials": ""})
    block._block_document_name = name.partition("/")[2]  # noqa: SLF001 - Prefect's own, which a block that was not loaded does not have
    return block


def _credentials(settings: dict[str, Any]) -> str:
    """Name the block of credentials that counts; a kubeconfig of the block itself goes before it."""
    return "" if settings.get("config") else str(settings.get("credentials") or "")


def _with_secrets_of(was: Block, now: Block | None, *, name: str) -> Block:
    """Give a block as it was, with the secrets of another one; of a kubeconfig its users alone, as the rest says where it leads.

    One that is none, of another type, or whose secrets cannot be taken, or are too many to be kept out of texts, changes nothing.
    """
    with suppress(Exception):
        if now is not None and type(now) is type(was) and hold_of(name, renewed := copied(was, **_renewed(was, now))):
            return renewed
    return was


def _renewed(was: BaseModel, now: BaseModel) -> dict[str, Any]:
    """Give the secrets that may have been rotated; of a table those that the release's block names, as any other may lead elsewhere."""
    changed: dict[str, Any] = {}
    rotated = was.rotates if isinstance(was, SCRIPTS) else ()
    for name in type(was).model_fields:
        before, after = getattr(was, name), getattr(now, name)
        if name == "config" and isinstance(before, SecretStr) and isinstance(after, SecretStr):
            changed[name] = SecretStr(with_users_of(before, after))
        elif isinstance(before, SecretStr | SecretBytes) and type(before) is type(after) and before.get_secret_value():
            changed[name] = after if _can_serve(after) else before
        elif isinstance(before, dict) and isinstance(after, dict):
            changed[name] = before | {one: after[one] for one in rotated if before.get(one) and _can_serve(after.get(one))}
        elif isinstance(before, BaseModel) and type(before) is type(after):
            changed[name] = before.model_copy(update=_renewed(before, after))
    return changed


def _can_serve(secret: Any) -> bool:
    """Say whether a secret can be sent at all, or stand in a variable of a process: neither empty, nor too long, nor with NUL."""
    value = secret.get_secret_value() if isinstance(secret, SecretStr | SecretBytes) else ""
    content = value if isinstance(value, bytes) else value.encode()
    return 0 < len(content) <= MOST_OF_A_SECRET and b"\0" not in content


async def _unasked(_block: Block) -> Answer:
    return Answer()


async def _answers(block: Any) -> Answer:
    """Ask where a block leads whether its credentials are taken; scripts know no refusal, so `status` that fails is one."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if isinstance(block, ScriptHosts):
                fault = await block.refused()  # a host that does not answer says nothing of a key
                return Answer(fault, is_refused=bool(fault))
            if isinstance(block, ScriptPlatform):
                await block._environment().status()  # noqa: SLF001 - `current` goes by the notes if it fails
            elif isinstance(block, Platform):
                await block.current()
            elif isinstance(block, Identified):
                await block.identity()
            elif hasattr(block, "work_copy"):
                async with block.work_copy() as copy:
                    await copy.fetch()
    except Exception as error:  # noqa: BLE001 - see `_as_it_is_now`
        is_refused = isinstance(error, Permanent) if isinstance(block, ScriptPlatform) else _refuses(error)
        return Answer(error_text(error) or type(error).__name__, is_refused)
    return Answer()


def _refuses(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_refuses(one) for one in error.exceptions)
    return isinstance(error, ShipwayError) and error.refuses_credentials
