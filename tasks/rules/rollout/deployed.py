"""What counts as deployed in an environment: a rollback returns to it without an approval, and crosses the contracts that it came after.

Tags name nothing, and neither does the name of a service alone: whoever writes plans can call a service by any name.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tasks.rules.plan.targets import PRODUCTION, STAGING, section_of
from tasks.rules.record.entries import Entry, moment, outcome_of, select, verify_chain
from tasks.rules.rollout.migrations import Here, place_in

BROUGHT_BY = {"release": (STAGING, PRODUCTION), "production": (PRODUCTION,), "staging": (STAGING,)}
"""The sections to which each flow brings a version: staging alone asks no one, so it says nothing of production."""


class Promotion(NamedTuple):
    """A version that became the baseline: where, and when (UTC)."""

    here: Here
    at: datetime


def promotions_in(entries: Sequence[Entry], *, service: str) -> list[Promotion]:
    """List where and when a release or a phase alone promoted its version for a service, as its record says."""
    opened = next(iter(select(entries, kind="opened")), None)
    sections = BROUGHT_BY.get(str(opened.evidence.get("flow", "")), ()) if opened else ()
    return [
        Promotion(Here(entry.environment, *place_in(entry)), moment(entry))
        for entry in select(entries, kind="effect", name="promote")
        if section_of(entry.environment) in sections and entry.evidence.get("service") == service
    ]


def deployed_at(
    entries: Sequence[Entry], *, service: str, version: str, here: Here, owner: str, by_identity: bool = False
) -> datetime | None:
    """Say when this version was last promoted here by a run that deployed it.

    That is the moment that counts for contracts: a release may wait in the queue, or for people, while another one begins a contract.

    Args:
        entries: The run's record.
        service: The service.
        version: The version.
        here: The environment.
        owner: As `is_here`.
        by_identity: As `is_here`.

    Returns:
        The moment; None unless the record, whole from its first entry to its last, says that it was deployed here.
    """
    whole = [*entries]
    if outcome_of(whole) != "deployed" or verify_chain(whole) or whole[0].evidence.get("version") != version:
        return None
    return last_here(promotions_in(whole, service=service), here, owner=owner, by_identity=by_identity)


def last_here(promotions: Sequence[Promotion], here: Here, *, owner: str, by_identity: bool = False) -> datetime | None:
    """Give the moment of the last of these promotions that was here, see `is_here`; None if none was."""
    return max((one.at for one in promotions if is_here(one.here, here, owner=owner, by_identity=by_identity)), default=None)


def is_here(one: Here, here: Here, *, owner: str, by_identity: bool = False) -> bool:
    """Say whether a promotion was here: by the block, which may have moved, or by what that points to, as it may have been renamed.

    What a platform points to is said by its API server, which may be anyone's. So it counts for a promotion through another block only if
    the owner's file shows that this block was the first to deploy there; and a block that points by now to what another one was the first
    to deploy to counts only for what it deployed there itself.

    Args:
        one: Where the promotion was.
        here: The environment.
        owner: The block that was the first to deploy to what `here` points to; "" if no file says it.
        by_identity: Whether the same identity is enough, as for contracts: after a block was renamed twice, or back, no file shows more,
            and each contract would refuse the rollback. It makes no version known that did not run there.
    """
    if section_of(one.environment) != section_of(here.environment):
        return False
    is_same = one.identity == here.identity != ""
    if one.block == here.block != "":
        return is_same or owner in {"", here.block}
    return is_same and (by_identity or one.block == owner != "")


def places_of(here: Here) -> list[str]:
    """Name an environment by its block and by what that points to, each with its section; two that share none are not the same.

    A target may be called otherwise by now.
    """
    section = section_of(here.environment)
    return [f"{section} {kind} {name}" for kind, name in (("block", here.block), ("at", here.identity)) if name]
