"""One release of a service at a time: lock the service, or do what the plan says while another run holds its lock."""

from __future__ import annotations

from datetime import timedelta

from blocks.errors import Refused
from flows.lifecycle.context import Phase
from flows.lifecycle.suspend import wait_until
from tasks.evidence.releases_there import releases_there
from tasks.lifecycle.clock import now
from tasks.lifecycle.lock import busy, lock_service, request_stop, request_stop_by_tags
from tasks.lifecycle.retries import retried
from tasks.lifecycle.run_labels import wake_by
from tasks.record.journal import append_entry, flow_of, read_entries
from tasks.record.kept_entries import kept_entries
from tasks.rules.approval.closing import gives_way_at
from tasks.rules.evidence.rehearsal import REHEARSE
from tasks.rules.plan.targets import environments_reversed
from tasks.rules.record.durations import QUEUE, SUSPENDS_UNTIL, WAITS_FOR
from tasks.rules.rollout.waiting import has_begun_work

LOOK_AGAIN = timedelta(seconds=30)


async def lock_or_wait(phase: Phase, *, run: str) -> None:
    """Lock the service; refuse, queue behind the holder, or have the holder rolled back first, as the plan says.

    A holder that is deployed, and waits only for ticks of what is done after that, is queued for whatever the plan says: it ends that wait.

    Args:
        phase: The release.
        run: Its flow run id.

    Raises:
        Refused: Another run holds the service and the plan says `refuse`; carries its link. Or this release has begun its work
            and lost the lock.
    """
    lock = await lock_service(phase.plan.service, run=run)
    if lock.granted:
        return
    if has_begun_work(await read_entries(run)):  # in the queue what it has changed would stay as it is, unwatched
        raise Refused(f"{phase.plan.service} was taken by {lock.holder} while this release was under way; what it changed is rolled back")
    is_rehearsal = await flow_of(run) == REHEARSE  # for which no release ends its wait
    gives_way = None if is_rehearsal else gives_way_at(await kept_entries(lock.holder.run))
    if phase.plan.on_conflict == "refuse" and gives_way is None:
        raise Refused(busy(phase.plan.service, lock.holder))
    if phase.plan.on_conflict == "supersede" and gives_way is None:
        there = await releases_there(phase.plan, environments_reversed(phase.plan), besides=run)
        await request_stop(list(there), by=run)
        await request_stop_by_tags(phase.plan.service, by=run)
    why = f"the plan says on_conflict: {phase.plan.on_conflict}"
    if gives_way is not None:
        why = f"it is deployed, and waits for ticks until {gives_way:%Y-%m-%d %H:%M} UTC at most, as this one waits for it"
    await append_entry(run, f"Waits for {lock.holder}", kind="gate", name=QUEUE, why=why, evidence={SUSPENDS_UNTIL: "", WAITS_FOR: QUEUE})
    if gives_way is not None:
        await retried(wake_by)(lock.holder.run, at=gives_way)
    await wait_until(now() + LOOK_AGAIN, name=QUEUE, polls=True)
