"""Which other blocks lead to the same environment by its names: a workload that was deleted and applied again has another UID.

By what is kept of each block through which a release acted (`keys/places`), so no edit of a block hides whose the environment is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from blocks.errors import ShipwayError
from blocks.key_folder.kept_files import NotKept, kept_path
from blocks.key_folder.places import FOLDER, Kept, kept_blocks, read_place
from blocks.platform import Composed, Identified, Platform
from blocks.secret_text import learn

if TYPE_CHECKING:
    from blocks.kubernetes.platform import KubernetesPlatform

KINDS = ("kubernetes", "gitops", "local", "script", "script-hosts")
WORKLOADS = "kubernetes/"
NAMES = ("namespace", "kind", "workload")
ON_MACHINES = ("local ", "script ", "script-hosts ")
ANSWER_SECONDS = 10.0


async def blocks_that_led_to(block: str, platform: Platform, identity: str) -> list[str]:
    """Name the other blocks through which a release acted on this very environment, whatever its identity was then.

    Args:
        block: The block that leads there now, as `type/name`.
        platform: Its platform.
        identity: What it points to, see `blocks.platform.Identified`.

    Raises:
        Refused: A file beside the key is unsafe, or cannot be read. One of an earlier key says nothing and is left out.
    """
    places = await asyncio.to_thread(_places, block)
    here = _workload_of(block, platform)
    found = await asyncio.gather(*(_is_same(kept, here, identity) for kept in places.values()))
    return [name for name, is_same in zip(places, found, strict=True) if is_same]


async def block_kept_for(block: str, platform: Platform) -> str:
    """Name the other block through which a release last acted on this very environment, for a rollback; "" if none is known.

    Only what says that it is the same counts: what cannot be compared must not send a rollback elsewhere.

    Args:
        block: The block that leads there now, as `type/name`, through which no release ever acted.
        platform: Its platform.
    """
    try:
        places = await asyncio.to_thread(_places, block)
        if not places or not isinstance(platform, Identified):
            return ""
        async with asyncio.timeout(ANSWER_SECONDS):
            identity = await platform.identity()
        found = [name for name, kept in places.items() if kept.identity == identity]
        if not found:
            here = _workload_of(block, platform)
            asked = await asyncio.gather(*(_leads_there(kept, here, identity) for kept in places.values()))
            found = [name for name, leads in zip(places, asked, strict=True) if leads]
        return max(found, key=lambda name: kept_path(FOLDER, name).stat().st_mtime, default="")
    except Exception:  # noqa: BLE001 - whatever a block does that may have been edited
        return ""


def _places(block: str) -> dict[str, Kept]:
    found: dict[str, Kept] = {}
    kinds = dict.fromkeys((*KINDS, block.partition("/")[0]))
    for name in (one for kind in kinds for one in kept_blocks(kind) if one != block):
        try:
            kept = read_place(name)
        except NotKept:
            continue
        if kept is not None:
            found[name] = kept
    return found


def _workload_of(block: str, platform: Platform) -> Any:
    """Give the Kubernetes platform that a platform is or is made of; None for others."""
    parts = platform.parts() if isinstance(platform, Composed) else {block: platform}
    return next((part for name, part in parts.items() if name.startswith(WORKLOADS)), None)


async def _is_same(kept: Kept, here: Any, identity: str) -> bool:
    """Ask where the kept settings lead now, as one cluster has several addresses; if that does not answer, the address counts.

    What cannot be read is taken for the same: the names are.
    """
    leads = await _leads_there(kept, here, identity)
    if leads is not None:
        return leads
    try:
        return await _server(_as_kept(kept)) == await _server(here)
    except (ShipwayError, OSError, ValueError):
        return True


async def _leads_there(kept: Kept, here: Any, identity: str) -> bool | None:
    """Say whether kept settings lead to an environment now; None if they lead to one of the same names, and that does not answer."""
    kind = f"{identity.partition(' ')[0]} "
    if kind in ON_MACHINES and kept.identity.startswith(kind):
        return _folder(kept.identity) == _folder(identity)  # the key of another machine was restored here, with all that it keeps
    name = _workload_in(kept)
    names = [getattr(here, one, None) for one in NAMES]
    if name is None or None in names or names != [kept.parts[name].get(one) for one in NAMES]:
        return False
    try:
        there = _as_kept(kept)
        async with asyncio.timeout(ANSWER_SECONDS):
            return await there.identity() == identity
    except (ShipwayError, OSError, ValueError):  # also TimeoutError
        return None


def _workload_in(kept: Kept) -> str | None:
    return next((one for one in kept.parts if one.startswith(WORKLOADS)), None)


async def _server(platform: KubernetesPlatform) -> str:
    return (await platform.target()).cluster.host


def _as_kept(kept: Kept) -> KubernetesPlatform:
    from blocks.kubernetes.platform import KubernetesPlatform  # noqa: PLC0415 - plans without a cluster need not pay for it

    settings = kept.parts[_workload_in(kept) or ""]
    credentials = "" if settings.get("config") else str(settings.get("credentials") or "")
    kubeconfig = kept.parts.get(credentials, {}).get("kubeconfig")
    resolved = {} if kubeconfig is None else {"config": kubeconfig, "credentials": ""}
    found = KubernetesPlatform.model_validate({**settings, **resolved})
    learn([found.config.get_secret_value()])
    return found


def _folder(identity: str) -> str:
    return identity.split(" ", 2)[-1]
