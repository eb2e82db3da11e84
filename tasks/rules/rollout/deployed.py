"""What counts as deployed in an environment: a rollback returns to it without an approval, and crosses the contracts that it came after.

Tags name nothing, and neither does the name of a service alone: whoever writes plans can call a service by any name.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.rules.plan.targets import PRODUCTION, STAGING, section_of
from tasks.rules.record.entries import Entry, outcome_of, select, verify_chain
from tasks.rules.rollout.migrations import Here, place_in

BROUGHT_BY = {"release": (STAGING, PRODUCTION), "production": (PRODUCTION,), "staging": (STAGING,)}
"""The sections to which each flow brings a version: staging alone asks no one, so it says nothing of production."""


def promotions_in(entries: Sequence[Entry], *, service: str) -> list[Here]:
    """List where a release or a phase alone promoted its version for a service, as its record says."""
    opened = next(iter(select(entries, kind="opened")), None)
    sections = BROUGHT_BY.get(str(opened.evidence.get("flow", "")), ()) if opened else ()
    return [
        Here(entry.environment, *place_in(entry))
        for entry in select(entries, kind="effect", name="promote")
        if section_of(entry.environment) in sections and entry.evidence.get("service") == service
    ]


def says_deployed(entries: Sequence[Entry], *, service: str, version: str, here: Here) -> bool:
    """Say whether a record, whole from its first entry to its last, says that this version was deployed here."""
    whole = [*entries]
    return (
        outcome_of(whole) == "deployed"
        and not verify_chain(whole)
        and whole[0].evidence.get("version") == version
        and any({*places_of(one)} & {*places_of(here)} for one in promotions_in(whole, service=service))
    )


def places_of(here: Here) -> list[str]:
    """Name an environment by its block and by what that points to, each with its section; two that share a name are the same.

    The block may have been renamed, or have moved with what it points to; a target may be called otherwise by now.
    """
    section = section_of(here.environment)
    return [f"{section} {kind} {name}" for kind, name in (("block", here.block), ("at", here.identity)) if name]
