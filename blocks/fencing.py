"""Fencing: who may act in an environment, by its owner and the newest generation that was given out; values in, an error or nothing out."""

from __future__ import annotations

from typing import TypedDict

from blocks.errors import Refused, Superseded
from blocks.platform import Lease


class Owned(TypedDict):
    """The part of an environment's state that fences: the service, who holds the lease, and the newest generation."""

    service: str
    owner: str | None
    generation: int


def check_lease(state: Owned, lease: Lease) -> None:
    """Let only the newest owner act.

    Raises:
        Superseded: A newer lease was taken.
        Refused: The environment has no owner, or another one, under this generation.
    """
    if lease["generation"] < state["generation"]:
        raise Superseded(
            f"the lease of {state['service']} is at generation {state['generation']}, held by {state['owner'] or 'no one'}; "
            f"generation {lease['generation']} of {lease['owner']} may not act any more. Stop, and start a new release if one is wanted"
        )
    if state["owner"] != lease["owner"] or lease["generation"] != state["generation"]:
        raise Refused(
            f"{state['service']} is owned by {state['owner'] or 'no one'}, not by {lease['owner']} (generation {lease['generation']}). "
            "Acquire the lease before acting"
        )


def check_free(state: Owned, owner: str, *, takeover: bool) -> None:
    """Let `owner` become the owner.

    Raises:
        Refused: Another owner holds the environment and `takeover` is not set.
    """
    if state["owner"] not in (None, owner) and not takeover:
        raise Refused(
            f"{state['service']} is owned by {state['owner']} (generation {state['generation']}). "
            "Wait until that run ends, cancel it, or roll back, which takes the environment over"
        )
