"""Measure the quietest window that a plan asks for, for `shipway windows PLAN --measure` on the worker's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.commands import _terminal

if TYPE_CHECKING:  # models take time that `shipway --help` does not have
    from datetime import datetime

    from tasks.analysis.quietest import Measuring
    from tasks.lifecycle.quietest import KeptQuietest
    from tasks.rules.plan.plan import Plan


def measure(plan: Plan) -> None:
    """Measure it, keep it, and write its page; of a plan that does not ask for it, what is kept is forgotten.

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
        block, traffic, at = await prometheus_of(plan), await measure_production(plan), now()
        found = await measure_quietest(plan, block, traffic, at=at)
        moved = moved_in_words(plan.service, before.chosen, found.kept.chosen) if before else ""
        kept = found.kept.model_copy(update={"untold": moved})  # the keeper tells the team
        await asyncio.to_thread(keep_quietest, plan.service, kept)
        await _publish(plan.service, found, at)
    return kept


async def _publish(service: str, found: Measuring, at: datetime) -> None:
    """Write the page of what was measured; it is kept, whether that can be done or not."""
    import asyncio

    from blocks.outside_text import error_text
    from flows.lifecycle.quietest import TELL_SECONDS, publish_quietest

    try:
        async with asyncio.timeout(TELL_SECONDS):
            await publish_quietest(service, found, at)
    except Exception as error:  # noqa: BLE001 - the server may fail in any way
        wrong = f"does not answer within {TELL_SECONDS} s" if isinstance(error, TimeoutError) else f"did not take it: {error_text(error)}"
        text = f"It is measured and kept, but its page, the artifact `quietest-{service}`, could not be written: the server {wrong}."
        _terminal.show(text, error=True)
