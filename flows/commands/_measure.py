"""Measure the quietest window that a plan asks for, for `shipway windows PLAN --measure` on the worker's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from tasks.lifecycle.quietest import KeptQuietest
    from tasks.rules.plan.plan import Plan


def measure(plan: Plan) -> None:
    """Measure it and keep it; of a plan that does not ask for it, what is kept is forgotten.

    Raises:
        BadInput, Refused, Temporary: It cannot be measured or kept, as of another plan with that service; what was kept stays.
    """
    import asyncio

    from blocks.errors import Refused
    from tasks.lifecycle.quietest import forget_quietest, known_for, known_of

    before, problem = known_for(plan)
    if problem and known_of(plan.service).kept is not None:
        raise Refused(problem)
    if plan.windows.quietest is None:
        forget_quietest(plan.service)
        _terminal.show(f"The plan of {plan.service} has no `windows.quietest`, so nothing is kept of it.", error=True)
        return
    kept = asyncio.run(_measure(plan, before))
    url, was = kept.prometheus.get("url"), before.prometheus.get("url") if before else None
    other = f" Before it was {was}." if was not in {None, url} else ""
    _terminal.show(f"Measured by {url} ({plan.judgement.prometheus}), which the keeper asks again each week.{other}", error=True)


async def _measure(plan: Plan, before: KeptQuietest | None) -> KeptQuietest:
    import asyncio

    from flows.commands._power import measure_production
    from flows.commands._quietest import prometheus_of
    from tasks.analysis.quietest import measure_quietest
    from tasks.lifecycle.clock import now
    from tasks.lifecycle.quietest import keep_quietest
    from tasks.lifecycle.server import server
    from tasks.rules.windows.quietest import moved_in_words

    async with server():
        block, traffic = await prometheus_of(plan), await measure_production(plan)
        found = await measure_quietest(plan, block, traffic, at=now())
    moved = moved_in_words(plan.service, before.chosen, found.kept.chosen) if before else ""
    kept = found.kept.model_copy(update={"untold": moved})  # the keeper tells the team
    await asyncio.to_thread(keep_quietest, plan.service, kept)
    return kept
