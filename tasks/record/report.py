"""Publish a release's record: one JSON document, one HTML page, one markdown artifact."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.filesystems import WritableFileSystem

from tasks.lifecycle.retries import OBSERVE
from tasks.record.artifacts import artifact_key, publish_markdown
from tasks.record.facts import keep_facts
from tasks.record.objects import objects_of
from tasks.record.page import render_page
from tasks.record.reading import folder_of, read_record
from tasks.record.storage import default_storage
from tasks.rules.record.document import to_json
from tasks.rules.record.markdown import to_markdown


@task(name="publish record", task_run_name="publish the record", **OBSERVE)
async def publish_record(
    release_id: str, *, service: str, storage: WritableFileSystem | None = None, kind: str = "release"
) -> dict[str, str]:
    """Write `record.json` and `record.html` beside the entries, and the artifact `release-<service>`, or of another kind.

    The same record gives the same files and no second artifact.

    Args:
        release_id: The release.
        service: The service's name, for the artifact's key.
        storage: A filesystem block; Prefect's default result storage where None.
        kind: Of what it is the record, for the artifact's key.

    Returns:
        `json` and `html`: where the files are in the storage; `artifact`: the artifact's key.
    """
    place: Any = storage or await default_storage()
    objects, folder = objects_of(place), folder_of(release_id)
    reading = await read_record(objects, release_id)
    problems = reading.problems_at_end
    await objects.replace(f"{folder}/record.json", to_json(reading.entries).encode())
    await objects.replace(f"{folder}/record.html", render_page(reading.entries, problems=problems).encode())
    await keep_facts(release_id, reading)
    key, page = artifact_key(kind, service), to_markdown(reading.entries, problems=problems, place=f"{objects.name}/{folder}")
    await publish_markdown(page, key=key, description=f"The record of {kind.replace('-', ' ')} {release_id}")
    return {"json": f"{objects.name}/{folder}/record.json", "html": f"{objects.name}/{folder}/record.html", "artifact": key}
