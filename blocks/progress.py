"""Progress of a release, as an event that nothing keeps: `shipway release` and `shipway status` show the newest one."""

from __future__ import annotations

from prefect.events import emit_event

from blocks.outside_text import said

EVENT = "shipway.progress"
EVERY_READING, EACH = 30, 10


def emit_progress(release: str, what: str, *, reading: int) -> None:
    """Let those who follow a release see it at work; nothing is recorded, and after 30 readings only each tenth is emitted.

    Args:
        release: The release's flow run id.
        what: What is seen, in one sentence.
        reading: The number of this reading, from 1.
    """
    if reading <= EVERY_READING or reading % EACH == 0:
        resource = {"prefect.resource.id": f"shipway.release.{release}", "prefect.resource.name": release}
        emit_event(EVENT, resource=resource, payload={"what": said(what), "reading": reading})
