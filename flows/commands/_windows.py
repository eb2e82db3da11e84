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
    from blocks.errors import BadInput, Refused
    from blocks.key_folder.key_file import key_path
    from tasks.lifecycle.clock import now
    from tasks.record.kept_times import history_of
    from tasks.rules.rollout.windows import windows_fault
    from tasks.rules.windows.opening import look
    from tasks.rules.windows.words import look_in_words, not_known, notes_of

    try:
        groups, moment = load_groups(plan), now()
        if not groups:
            return [], ""
        notes, history = notes_of(groups), history_of(plan)
        if wrong := windows_fault(plan, groups, moment, history):
            if not key_path().exists() and (unknown := not_known(groups)):
                return [], f"When production is open cannot be known here, which is not a worker's machine: {'; '.join(unknown)}"
            return [f"windows: {wrong}."], ""
        kept = kept_quietest(plan)
        notes += [*([f"The quietest window: {kept}"] if kept else []), *ask_times(plan)["estimates"]]
        return [], ". ".join([f"Production is {look_in_words(look(groups, moment))}", *notes])
    except BadInput as error:
        return [f"windows: {error}"], ""
    except Refused:
        return [], ""  # the comparison with the policies says why


def kept_quietest(plan: Plan) -> str:
    """Say when the quietest window is, as it is kept on this machine, with its age; "" if the plan does not ask for one."""
    from tasks.lifecycle.quietest import known_for, quietest_in_words

    if plan.windows.quietest is None:
        return ""
    (kept, problem), now_ = known_for(plan), plan.model_dump(mode="json")
    changed = kept is not None and any(kept.plan.get(name) != now_[name] for name in ("judgement", "production", "windows"))
    said = problem or quietest_in_words(plan.service) or "not measured on this machine"
    return f"{said}. The plan's SLIs, steps or windows changed since: measure it again" if changed else said


def ask_times(plan: Plan) -> dict[str, list[str]]:
    """Say how long each wave is taken to need, and what the phases of earlier releases took, by what is kept on this machine."""
    from tasks.record.kept_times import times_of
    from tasks.rules.plan.targets import waves_of
    from tasks.rules.rollout.history import estimate, estimate_in_words, phases_in_words

    history = times_of(plan)
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


def load_groups(plan: Plan, *, quietest: bool = True) -> list[Group]:
    """Give the windows of a plan and of the policies on this machine.

    Args:
        plan: The plan.
        quietest: Whether the quietest time counts, if the plan asks for it.

    Raises:
        Refused: A policy cannot be read.
    """
    from tasks.approval.protection import load_policies
    from tasks.approval.windows import groups_now
    from tasks.rules.policy.windows import groups_of

    groups = (groups_now if quietest else groups_of)(plan, load_policies())
    if not any(window.ics for group in groups for window in group):
        return groups
    from tasks.windows.calendars import with_calendars

    return asyncio.run(with_calendars(groups))
