"""The plan of a rollback on demand: the file that was named, or the plan by which releases acted, if the file is not like it any more."""

from __future__ import annotations

from contextlib import suppress

from blocks.errors import BadInput, Refused, Tampered
from blocks.outside_text import as_ending, error_text
from flows.lifecycle.acting import acting, fix_plan
from flows.lifecycle.context import Phase, begin_phase
from tasks.evidence.acted_plans import acted_plans, led_through, named_plan
from tasks.record.journal import say
from tasks.rules.evidence.inputs import TakenPlan
from tasks.rules.plan.plan import Plan
from tasks.rules.plan.targets import chosen, section_of
from tasks.rules.rollout.plan_choice import PlanChoice, choose_plan

NAME = "plan of the rollback"


async def begin_rollback(run: str, plan: str, *, environment: str, as_it_is: bool) -> tuple[Phase, Plan | None]:
    """Begin a rollback on demand by the plan that it goes by; chosen once, and kept beside the key at its first step.

    Args:
        run: The rollback.
        plan: The plan file that was named.
        environment: What is rolled back.
        as_it_is: Whether the file counts although releases acted by another block or service.

    Returns:
        The phase, and the plan in the file if that is another one.

    Raises:
        BadInput: The file is not a plan, and no release is known that it could be about.
    """
    release = acting()
    if release is not None and run in (await release.known()).plans:
        return await begin_phase(plan, scope=run), None
    file: TakenPlan | BadInput
    try:
        file = (await _of_file(run, plan)).taken
    except BadInput as error:
        file = error
    choice = await _choice(plan, environment, file, as_it_is=as_it_is)
    await fix_plan(run, choice.taken)
    phase = await begin_phase(plan, scope=run)
    if choice.differs:
        by = "as releases acted" if choice.taken is not file else "as it is"
        await phase.append(f"The rollback goes by the plan {by}", kind="note", name=NAME, why=as_ending(choice.differs))
    return phase, file.parsed() if isinstance(file, TakenPlan) and choice.taken is not file else None


async def how_it_differs(phase: Phase) -> str:
    """Say how the file that was named differs from the plan by which releases acted; "" if it does not."""
    noted = await phase.read("note", name=NAME)
    return noted.why if noted else ""


def environments_in(plan: Plan, environment: str) -> list[str]:
    """List the environments of a plan that a name stands for; none if it does not have it."""
    with suppress(BadInput):
        return [place.environment for place in chosen(plan, environment)]
    return []


async def _of_file(run: str, plan: str) -> Phase:
    try:
        return await begin_phase(plan, scope=run)
    except (Refused, Tampered) as error:
        say(f"{error_text(error)}. The plan file is read as it is now")
        return await begin_phase(plan, scope=run, anew=True)


async def _choice(plan: str, environment: str, file: TakenPlan | BadInput, *, as_it_is: bool) -> PlanChoice:
    if as_it_is and isinstance(file, TakenPlan):
        return PlanChoice(file)
    kept = await acted_plans(section_of(environment))
    named = await named_plan(plan, environment, file)
    choice = choose_plan(named, kept, same=await led_through(named, kept))
    if choice is None:
        assert isinstance(file, BadInput)  # noqa: S101 - a file that is a plan is always a choice
        raise file
    return choice
