"""The quietest window of each service that has one: the keeper measures it again each week, and tells the team if it moved."""

from __future__ import annotations

import asyncio
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.events import emit_event
from prefect.utilities.context import get_task_and_flow_run_ids
from pydantic import ValidationError

from blocks.errors import ShipwayError
from blocks.outside_text import error_text
from tasks.lifecycle.apart import apart
from tasks.lifecycle.clock import now
from tasks.lifecycle.quietest import KeptQuietest, measured_services, read_quietest, replace_quietest
from tasks.notify import announce
from tasks.record.journal import say
from tasks.rules.windows.quietest import HOLDS_FOR, NOT_ASKED, OVERDUE_AFTER, TRIED_AFTER, is_due, moved_in_words
from tasks.rules.windows.words import moment_in_words

if TYPE_CHECKING:  # a keeper that measures nothing need not pay for it
    from tasks.analysis.quietest import Measuring

MEASURE_SECONDS, TELL_SECONDS, MOST_LETTERS = 20, 10, 500
BEGIN_SECONDS = 10  # after which a turn of the keeper begins with no other service: the next one does
TURN_SECONDS = MEASURE_SECONDS + 2 * TELL_SECONDS  # with the calendars less than the minute for which the next keeper waits for this one


async def renew_quietest() -> list[str]:
    """Measure again what was measured a week ago, and tell what is untold; gives what was done, a line each.

    What there is no time for in this turn has the next one: what is measured or told is not due any more by then.
    """
    done, began = list[str](), monotonic()
    for service in await asyncio.to_thread(measured_services):
        if monotonic() - began >= BEGIN_SECONDS:
            break
        with apart(f"the quietest window of {service}"):
            done += await _see_to(service)
    return done


async def _see_to(service: str) -> list[str]:
    kept, at, done = await asyncio.to_thread(read_quietest, service), now(), list[str]()
    if kept is None:
        return []
    if is_due(kept.chosen, kept.tried, at):
        tried = kept.model_copy(update={"tried": at})
        if not await asyncio.to_thread(replace_quietest, service, kept, tried):  # so that another keeper leaves it meanwhile
            return []
        kept, words, found = await _measure(service, tried, at, last=kept.tried)
        say(words)
        done.append(words)
        if found is not None:
            with apart(f"the page of the quietest window of {service}"):
                async with asyncio.timeout(TELL_SECONDS):
                    await publish_quietest(service, found, at)
    if kept.untold and (kept.telling is None or at - kept.telling >= TRIED_AFTER):
        async with asyncio.timeout(TELL_SECONDS):
            await _tell(service, kept, at)
    return done


async def _measure(service: str, kept: KeptQuietest, at: datetime, *, last: datetime) -> tuple[KeptQuietest, str, Measuring | None]:
    """Measure again; if that fails, what was measured before counts on, until it is two weeks old."""
    from tasks.analysis.quietest import measure_again  # noqa: PLC0415 - once a week

    try:
        async with asyncio.timeout(MEASURE_SECONDS):
            found = await measure_again(kept, at=at)
    except (ShipwayError, TimeoutError, ValueError) as error:
        fault = _fault(error)
        late = last < kept.chosen.at + OVERDUE_AFTER <= at  # the first try since then, so that it is told once
        until = moment_in_words(kept.chosen.at + HOLDS_FOR)
        said = f"{service}: the quietest window could not be measured again, and counts until {until}: {fault}"
        after = kept.model_copy(update={"fault": fault, **({"untold": f"{said}. {NOT_ASKED}", "telling": None} if late else {})})
        await asyncio.to_thread(replace_quietest, service, kept, after)
        return after, said, None
    moved = moved_in_words(service, kept.chosen, found.kept.chosen)
    after = found.kept.model_copy(update={"untold": moved, "telling": None} if moved else {})
    if not await asyncio.to_thread(replace_quietest, service, kept, after):  # as by people with `--measure`, whose window counts
        return kept, f"{service}: the quietest window was measured by others meanwhile", None
    return after, moved or f"{service}: the quietest window is {found.kept.chosen.words}, as before", found


def _fault(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {MEASURE_SECONDS} s"
    if isinstance(error, ValidationError):
        return "what is kept is of another version of Shipway"
    return (str(error) if isinstance(error, ShipwayError) else error_text(error))[:MOST_LETTERS]


async def publish_quietest(service: str, found: Measuring, at: datetime) -> None:
    """Write the page with the week's picture, the artifact `quietest-SERVICE`; also outside of a run, for who measures by hand."""
    from tasks.analysis.quietest import windows_of  # noqa: PLC0415
    from tasks.analysis.quietest_picture import draw_week, page_of  # noqa: PLC0415 - once a week
    from tasks.rules.plan.plan import Plan  # noqa: PLC0415

    chosen = found.kept.chosen
    asked, groups = chosen.asked, await windows_of(Plan.model_validate(found.kept.plan))
    holidays = "-".join(part for part in (asked.country, asked.subdivision) if part)
    picture = await asyncio.to_thread(
        draw_week, f"{service}: requests of production in a week", found.week, minutes=asked.minutes, zone=asked.zone, groups=groups,
        at=at, holidays=holidays, chosen=chosen,
    )  # fmt: skip
    await write_page(page_of(service, chosen, picture, at=at), key=f"quietest-{service}")


async def write_page(markdown: str, *, key: str) -> None:
    """Write an artifact; Prefect's own function for that is to refuse it outside of a run."""
    task_run, flow_run = get_task_and_flow_run_ids()
    page = ArtifactCreate(type="markdown", key=key, data=markdown, task_run_id=task_run, flow_run_id=flow_run)
    async with get_client() as client:
        await client.create_artifact(page)


async def _tell(service: str, kept: KeptQuietest, at: datetime) -> None:
    """Tell the team once; a message that cannot be sent is tried again in an hour."""
    from tasks.rules.plan.plan import Plan  # noqa: PLC0415 - as above

    payload = {"service": service, "what": kept.untold, "when": kept.chosen.words}
    what = "unmeasured" if kept.fault else "moved"
    if kept.telling is None:
        emit_event(f"shipway.window.{what}", resource={"prefect.resource.id": f"shipway.service.{service}"}, payload=payload)
    blocks = Plan.model_validate(kept.plan).notify
    after = kept.model_copy(update={"telling": at})
    try:
        await announce(blocks, subject=kept.untold, key=f"quietest/{service}/{kept.chosen.at:%Y-%m-%d}/{kept.untold}"[:200])
        after = kept.model_copy(update={"untold": "", "telling": None})
    finally:
        await asyncio.to_thread(replace_quietest, service, kept, after)
