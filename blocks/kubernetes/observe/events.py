"""Kubernetes Events: what Shipway does to a workload, shown by `kubectl describe`.

Events are optional: one that the cluster rejects is logged, and the release continues.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from datetime import UTC, datetime
from typing import Any

from blocks.errors import ShipwayError
from blocks.kubernetes.api.client import MERGE_PATCH
from blocks.kubernetes.api.errors import Changed
from blocks.kubernetes.workload import Target

Json = dict[str, Any]
LOG = logging.getLogger("shipway.kubernetes")
COMPONENT = "shipway"
MOST_WORDS = 1_000
LONGEST_NAME = 200
PATIENCE_SECONDS = 2.0


async def record_event(target: Target, *, reason: str, note: str, warning: bool = False) -> None:
    """Write an Event about the workload, or count up the same one; waits no longer than two seconds and raises nothing.

    Args:
        target: Whose workload.
        reason: A word in CamelCase, as `ShipwayShift`.
        note: A sentence for a person, without secrets.
        warning: Whether it is worth a warning.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _record(target, reason, note[:MOST_WORDS], kind="Warning" if warning else "Normal")
    except TimeoutError:
        LOG.info("The event %s about %s was not written: the API server took too long", reason, target.title)
    except ShipwayError as error:
        LOG.info("The event %s about %s was not written: %s", reason, target.title, error)


async def _record(target: Target, reason: str, note: str, *, kind: str) -> None:
    metadata = (await target.read())["metadata"]
    name = name_of(target.workload, metadata["uid"], kind, reason, note)
    now = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"apiVersion": "apps/v1", "kind": target.kind, "namespace": target.cluster.namespace}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": {**about, "name": target.workload, "uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "type": kind,
        "reason": reason,
        "message": note,
        "count": 1,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
    }
    try:
        await target.cluster.call("POST", target.cluster.path("Event"), body=event)
    except Changed:  # it exists already
        for found in await target.cluster.list("Event", fields=f"metadata.name={name}"):
            again = {"count": int(found.get("count") or 1) + 1, "lastTimestamp": now}
            await target.cluster.patch("Event", name, again, content_type=MERGE_PATCH)


def name_of(workload: str, *facts: str) -> str:
    """Name an Event by its content, so that the same one is counted and not written again."""
    return f"{workload[:LONGEST_NAME]}.{hashlib.sha256(chr(0).join(facts).encode()).hexdigest()[:16]}"
