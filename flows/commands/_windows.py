"""What the windows of a plan, and of this machine's policies, say about a release: never, not now, or now."""

from __future__ import annotations

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
    from blocks.errors import BadInput, Refused
    from tasks.lifecycle.clock import now
    from tasks.record.kept_times import history_of
    from tasks.rules.rollout.windows import windows_fault
    from tasks.rules.windows.opening import look
    from tasks.rules.windows.words import look_in_words

    try:
        groups, moment = load_groups(plan), now()
        if not groups:
            return [], ""
        if wrong := windows_fault(plan, groups, moment, history_of(plan)):
            return [f"windows: {wrong}."], ""
        return [], ". ".join([f"Production is {look_in_words(look(groups, moment))}", *ask_times(plan)["estimates"]])
    except BadInput as error:
        return [f"windows: {error}"], ""
    except Refused:
        return [], ""  # the comparison with the policies says why


def ask_times(plan: Plan) -> dict[str, list[str]]:
    """Say how long each wave is taken to need, and what the phases of earlier releases took, by what is kept on this machine."""
    from tasks.record.kept_times import times_of
    from tasks.rules.plan.targets import waves_of
    from tasks.rules.rollout.history import estimate, estimate_in_words, phases_in_words

    history = times_of(plan.service)
    said = [estimate_in_words(estimate(plan, wave, history), wave=wave) for wave in range(1, len(waves_of(plan)) + 1)]
    return {"estimates": [f"{one[:1].upper()}{one[1:]}" for one in said], "phases": phases_in_words(plan, history)}


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

    return groups_of(plan, load_policies())
