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


def deployed_at(entries: Sequence[Entry], *, service: str, version: str, here: Here) -> datetime | None:
    """Say when this version was last promoted here by a run that deployed it.

    That is the moment that counts for contracts: a release may wait in the queue, or for people, while another one begins a contract.

    Args:
        entries: The run's record.
        service: The service.
        version: The version.
        here: The environment.

    Returns:
        The moment; None unless the record, whole from its first entry to its last, says that it was deployed here.
    """
    whole = [*entries]
    if outcome_of(whole) != "deployed" or verify_chain(whole) or whole[0].evidence.get("version") != version:
        return None
    return last_here(promotions_in(whole, service=service), here)


def last_here(promotions: Sequence[Promotion], here: Here) -> datetime | None:
    """Give the moment of the last of these promotions that was here; None if none was."""
    return max((one.at for one in promotions if {*places_of(one.here)} & {*places_of(here)}), default=None)


def places_of(here: Here) -> list[str]:
    """Name an environment by its block and by what that points to, each with its section; two that share a name are the same.

    The block may have been renamed, or have moved with what it points to; a target may be called otherwise by now.
    """
    section = section_of(here.environment)
    return [f"{section} {kind} {name}" for kind, name in (("block", here.block), ("at", here.identity)) if name]
