"""The record's tasks, in a real flow against a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.filesystems import LocalFileSystem

from tasks.record.artifacts import artifact_key
from tasks.record.report import publish_record
from tasks.record.store import store_entry
from tests.record_entries import load_entries


@flow
async def documented(release_id: str, service: str, folder: str) -> dict[str, str]:
    """Record a release twice over, as a flow that runs again from its first line does."""
    storage = LocalFileSystem(basepath=folder)
    told: dict[str, str] = {}
    for _ in range(2):
        opened = {"service": service, "version": "1.2.0", "password": "hunter2"}
        await store_entry(storage, release_id, kind="opened", who="ada", what="Asked.", evidence=opened, secrets=["hunter2"])
        await store_entry(storage, release_id, kind="closed", who="shipway", what="Done.", evidence={"outcome": "deployed"})
        told = await publish_record(release_id, service=service, storage=storage)
    return told


async def artifacts(key: str) -> list[Any]:
    """Read all versions of an artifact."""
    async with get_client() as client:
        return await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.usefixtures("server")
async def test_a_record_is_published_once_as_document_page_and_artifact(tmp_path: Path) -> None:
    """A second run adds no entry and no artifact, and no secret is anywhere."""
    service = f"guestbook-{uuid4().hex[:6]}"
    told = await documented("r1", service, str(tmp_path))
    assert len(await load_entries(tmp_path, "r1")) == 2
    (artifact,) = await artifacts(told["artifact"])
    assert f"{service}".replace("-", "\\-") in str(artifact.data)
    assert told["json"] == f"{tmp_path}/records/r1/record.json"
    page, document = texts_of(tmp_path / "records" / "r1")
    assert "is intact" in page
    assert "hunter2" not in document + page


def texts_of(folder: Path) -> tuple[str, str]:
    """Read the published page and document."""
    return (folder / "record.html").read_text(encoding="utf-8"), (folder / "record.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("service", "key"), [("guestbook", "release-guestbook"), ("My Shop_2", "release-my-shop-2"), ("é", "release-unnamed")]
)
def test_the_artifact_has_a_key_that_prefect_takes(service: str, key: str) -> None:
    """Lower-case letters, digits and dashes."""
    assert artifact_key("release", service) == key
