"""The step that an environment takes next, named as the entry that says that it was taken."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Next(NamedTuple):
    """The step that an environment takes next, by the entry that says that it was taken, or begun.

    Fields:
        name: The entry's name.
        step: Its share of the traffic, of a shift.
        kind: Its kind.
        is_after: Whether the version is promoted by then.
    """

    name: str
    step: int | None = None
    kind: Literal["effect", "migration"] = "effect"
    is_after: bool = False


PREPARE, PROMOTE = Next("prepare"), Next("promote")


def shift_to(percent: int) -> Next:
    """Give the step that shifts a share of the traffic."""
    return Next("shift", percent)


def migration_step(name: str, *, is_after: bool) -> Next:
    """Give the step that runs a migration."""
    return Next(f"{name} begun", None, "migration", is_after)
