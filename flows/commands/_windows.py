"""What the windows of a plan, and of this machine's policies, say about a release: never, not now, or now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.rules.plan.plan import Plan
    from tasks.rules.windows.opening import Group


def ask_windows(plan: Plan) -> tuple[list[str], str]:
    """Look when production may change.

    Args:
        plan: The plan.

    Returns:
        Problems: that no release could ever begin, or a zone is not known here. And what holds now, in a sentence; "" without windows.
    """
    from blocks.approvers.key_file import key_path
    from blocks.errors import BadInput, Refused
    from tasks.lifecycle.clock import now
    from tasks.rules.rollout.windows import windows_fault
    from tasks.rules.windows.opening import look
    from tasks.rules.windows.words import look_in_words, never_read, notes_of

    try:
        groups, moment = load_groups(plan), now()
        if not groups:
            return [], ""
        if wrong := windows_fault(plan, groups, moment):
            if never_read(groups) and not key_path().exists():
                return [], f"When production is open cannot be known here, which is not a worker's machine: {'; '.join(never_read(groups))}"
            return [f"windows: {wrong}."], ""
        return [], ". ".join([f"Production is {look_in_words(look(groups, moment))}", *notes_of(groups)])
    except BadInput as error:
        return [f"windows: {error}"], ""
    except Refused:
        return [], ""  # the comparison with the policies says why


def frozen(service: str | None = None) -> list[str]:
    """Say what is frozen, by the freezes on this machine: of a service, or of any; a sentence each."""
    from blocks.errors import Refused
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.freezes import load_freezes
    from tasks.rules.windows.freeze import freeze_in_words, unreadable

    try:
        return [freeze_in_words(one) for one in load_freezes() if one.holds(now(), service)]
    except Refused as error:
        return [unreadable(str(error)).why]


def load_groups(plan: Plan) -> list[Group]:
    """Give the windows of a plan and of the policies on this machine.

    Raises:
        Refused: A policy cannot be read.
    """
    from tasks.approval.protection import load_policies
    from tasks.rules.policy.windows import groups_of

    groups = groups_of(plan, load_policies())
    if not any(window.ics for group in groups for window in group):
        return groups
    from tasks.windows.calendars import with_calendars

    return asyncio.run(with_calendars(groups))
