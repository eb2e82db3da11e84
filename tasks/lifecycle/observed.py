"""What is observed after deployments: `observed/NAME.kept` beside the approval key, and the runs that look again when it is due.

Whoever has the API's password can start such a run, which then does nothing unless a look is due by what is kept.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

from prefect import get_client, task
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun

from blocks.key_folder.kept_files import NotKept, kept_names, locked, read_kept_as, remove_kept, write_kept
from tasks.lifecycle.apart import apart
from tasks.lifecycle.asking import ask_for_run
from tasks.lifecycle.clock import now
from tasks.lifecycle.looked import keep_looks
from tasks.lifecycle.retries import OBSERVE
from tasks.rules.lifecycle.observed import Observed, ObservedPlace
from tasks.rules.lifecycle.observed_looks import put_off
from tasks.rules.metrics.facts import Looks

FOLDER, WHAT = "observed", "which says what is observed after a deployment"
DEPLOYMENT = "observe/observe"
MOST_AT_ONCE = 8  # looks under way: their queue, which is that of rollbacks, has no limit
LOST = "the runs of its look were lost"
MOST_ASKED = 5  # runs that are asked for one look; if all end without it, the next look is due after the usual time


def observed_services() -> list[str]:
    """List by name, see `observed_name`, of which services something is or was observed."""
    return kept_names(FOLDER)


def read_observed(service: str) -> Observed | None:
    """Read what is observed of a service; None if nothing ever was.

    Raises:
        Refused: The file was changed, or cannot be read.
    """
    return read_kept_as(FOLDER, service, Observed, what=WHAT, whose=f"the file {WHAT} of {service}")


def begin_observed(service: str, observed: Observed | None, *, release: str, since: datetime) -> None:
    """Keep what is observed from now on, in place of what was observed before; None if that is nothing.

    What was begun for the same release goes on, and so does that of a version that was deployed later: a run may be ended again.

    Args:
        service: The service, by `observed_name`.
        observed: What is observed.
        release: The run that deployed it.
        since: When it was deployed.

    Raises:
        Refused: The key or its folder cannot be used.
        OSError: Likewise.
    """
    with locked(FOLDER, service, what=WHAT):
        try:
            before = read_observed(service)
        except NotKept:
            before = None
        if before is not None and (before.release == release or before.is_newer(since, at=now())):
            return
        if observed is None:
            remove_kept(FOLDER, service)
        else:
            write_kept(FOLDER, service, observed.model_dump(mode="json"), what=WHAT)


def replace_observed(service: str, before: Observed, after: Observed) -> bool:
    """Keep what a look found, unless another process kept something else meanwhile; says whether it did.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    with locked(FOLDER, service, what=WHAT):
        if read_observed(service) != before:
            return False
        write_kept(FOLDER, service, after.model_dump(mode="json"), what=WHAT)
        keep_looks(after.release, {name: looks_at(one) for name, one in after.places.items()})
        return True


def looks_at(place: ObservedPlace) -> Looks:
    """Give what the looks at one environment found, as it counts for the metrics."""
    return Looks.model_validate(place.model_dump(include={*Looks.model_fields}))


def find_observed(release: str) -> tuple[str, Observed | None]:
    """Find what is observed of a release, with its service; none if nothing is, or a newer one took its place."""
    for service in observed_services():
        with apart(f"what is observed of {service}"):
            found = read_observed(service)
            if found is not None and found.release == release:
                return service, found
    return "", None


@task(name="start looks", **OBSERVE)
async def start_due_looks() -> list[str]:
    """Start a run of `observe` for each service of which a look is due, one for a look; the most overdue first, a few at once.

    Returns:
        The runs that are under way or to come.
    """
    at, found = now(), list[str]()
    due = {service: one for service in await asyncio.to_thread(observed_services) if (one := await _due(service, at)) is not None}
    if not due:
        return []
    async with get_client() as client:
        deployment = await client.read_deployment_by_name(DEPLOYMENT)
        for service, one in sorted(due.items(), key=lambda item: item[1].due):
            if len(found) >= MOST_AT_ONCE:
                break
            with apart(f"the look at {service} {one.version}"):
                run = await _ask(client, deployment.id, one, at)
                found += [str(run.id)] if run else []
                if run is None:
                    await asyncio.to_thread(replace_observed, service, one, put_off(one, at=at, pause=one.pause, why=LOST))
    return found


async def _due(service: str, at: datetime) -> Observed | None:
    with apart(f"what is observed of {service}"):
        found = await asyncio.to_thread(read_observed, service)
        return found if found is not None and found.is_due(at) else None
    return None


async def _ask(client: PrefectClient, deployment: UUID, one: Observed, at: datetime) -> FlowRun | None:
    """Ask for the run of a look: the server makes one for a key; another one is asked for only if that ended without its look.

    Or if it has not made it for minutes. Two looks at once are one look.

    Returns:
        The run that will look; None if all were lost.
    """
    for number in range(MOST_ASKED):
        key, wanted = f"observe-{one.release}-{one.number}-{number}", {"release": one.release}
        run, does_it = await ask_for_run(client, deployment, wanted, key=key, names=wanted, at=at)
        if does_it:
            return run
    return None
