"""Write to a release's record from a flow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from prefect import task
from prefect.filesystems import WritableFileSystem
from prefect.results import aget_default_result_storage

from tasks.policy import OBSERVE
from tasks.record_store import append_entry
from tasks.rules.record import Entry, Kind


# The record itself remembers what was written, so Prefect need not.
@task(name="write entry", task_run_name="record {key}", **OBSERVE)
async def write_entry(
    release_id: str,
    *,
    key: str,
    kind: Kind,
    who: str,
    what: str,
    why: str = "",
    evidence: dict[str, Any] | None = None,
    secrets: Sequence[str] = (),
    at: datetime | None = None,
    storage: WritableFileSystem | None = None,
) -> Entry:
    """Write an entry once; a key that is in the record already is left as it is.

    Args:
        release_id: The release.
        key: Unique in the record.
        kind: What sort of thing happened.
        who: The person or the part that did it.
        what: What happened, in one sentence.
        why: The reason, with its numbers.
        evidence: JSON-like values.
        secrets: Texts to mask.
        at: When it happened; now where None.
        storage: A filesystem block; Prefect's default result storage where None.

    Returns:
        The entry as it is stored.

    Raises:
        WorldMoved: The record is broken before its last entry.
    """
    place = storage or await aget_default_result_storage()
    return await append_entry(place, release_id, key=key, kind=kind, who=who, what=what, why=why, evidence=evidence, secrets=secrets, at=at)
