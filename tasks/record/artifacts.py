"""Artifacts of a service in the Prefect UI: their keys, and one that is published anew only if it says something else."""

from __future__ import annotations

import re

from prefect.artifacts import Artifact, acreate_markdown_artifact


def artifact_key(kind: str, service: str) -> str:
    """Name an artifact of a service: lower-case letters, digits and dashes, as `release-guestbook`.

    Args:
        kind: What it is, as `release`.
        service: The service, or whatever its name is.
    """
    return f"{kind}-" + (re.sub(r"[^a-z0-9]+", "-", service.lower()).strip("-") or "unnamed")


async def publish_markdown(markdown: str, *, key: str, description: str) -> None:
    """Publish a page; the same one gives no second artifact."""
    newest = await Artifact.aget(key=key)
    if newest is None or newest.data != markdown:
        await acreate_markdown_artifact(markdown, key=key, description=description)
