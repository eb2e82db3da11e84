"""Publish a release's record: one JSON document, one HTML page, one markdown artifact."""

from __future__ import annotations

import re
from typing import Any

from prefect import task
from prefect.artifacts import Artifact, acreate_markdown_artifact
from prefect.filesystems import WritableFileSystem

from tasks.lifecycle.retries import OBSERVE
from tasks.record.facts import keep_facts
from tasks.record.objects import objects_of
from tasks.record.page import render_page
from tasks.record.reading import folder_of, read_record
from tasks.record.storage import default_storage
from tasks.rules.record.document import to_json
from tasks.rules.record.entries import verify_chain
from tasks.rules.record.markdown import to_markdown


@task(name="publish record", task_run_name="publish the record", **OBSERVE)
async def publish_record(release_id: str, *, service: str, storage: WritableFileSystem | None = None) -> dict[str, str]:
    """Write `record.json` and `record.html` beside the entries, and the artifact `release-<service>`.

    The same record gives the same files and no second artifact.

    Args:
        release_id: The release.
        service: The service's name, for the artifact's key.
        storage: A filesystem block; Prefect's default result storage where None.

    Returns:
        `json` and `html`: where the files are in the storage; `artifact`: the artifact's key.
    """
    place: Any = storage or await default_storage()
    objects, folder = objects_of(place), folder_of(release_id)
    reading = await read_record(objects, release_id)
    problems = list(dict.fromkeys([*reading.problems, *verify_chain(reading.entries)]))
    await objects.replace(f"{folder}/record.json", to_json(reading.entries).encode())
    await objects.replace(f"{folder}/record.html", render_page(reading.entries, problems=problems).encode())
    await keep_facts(release_id, reading)
    key = artifact_key(service)
    await _publish(
        key,
        to_markdown(reading.entries, problems=problems, place=f"{objects.name}/{folder}"),
        description=f"The record of release {release_id}",
    )
    return {"json": f"{objects.name}/{folder}/record.json", "html": f"{objects.name}/{folder}/record.html", "artifact": key}


def artifact_key(service: str) -> str:
    """Name a service's record among the artifacts: lower-case letters, digits and dashes."""
    return "release-" + (re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-") or "unnamed")


async def _publish(key: str, markdown: str, *, description: str) -> None:
    newest = await Artifact.aget(key=key)
    if newest is None or newest.data != markdown:
        await acreate_markdown_artifact(markdown, key=key, description=description)
