"""Reads what a revision's pods wrote, bounded; what looks like a secret in the manifest is masked already here."""

from __future__ import annotations

import asyncio
import calendar
import re
import time
from typing import Any

from blocks.kubernetes_template import container_of
from blocks.kubernetes_workload import Target
from blocks.platform import LogLine
from tasks.rules.errors import ShipwayError

Json = dict[str, Any]
LAST_LINES = 20
MOST_BYTES = 256 * 1024
LINE_LENGTH = 2_000
SHORTEST_SECRET = 4
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE|API_?KEY|DSN|DATABASE_URL", re.IGNORECASE)
STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ?")


async def last_words(target: Target, pod: str, container: str) -> list[str]:
    """Read the last lines of a container that crashed, of its former life where there is one; none where it cannot be."""
    for query in ({"previous": "true"}, {}):
        asked = {"container": container, "tailLines": str(LAST_LINES), "limitBytes": str(MOST_BYTES), **query}
        try:
            content = await target.cluster.content("GET", target.cluster.path("Pod", pod, below="log"), query=asked)
            found = await target.cluster.read("Pod", pod)
        except ShipwayError:
            continue
        lines = [line[:LINE_LENGTH] for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return mask(lines, secrets_of(found) if found else [])
    return []


async def read(target: Target, pods: dict[str, list[Json]], since: float, *, limit: int) -> list[LogLine]:
    """Read the log lines of pods since a moment (seconds since the epoch, UTC), the newest `limit` at most.

    Args:
        target: Whose pods.
        pods: Pods by version.
        since: From when.
        limit: How many lines.
    """
    every = [_of_pod(target, pod, version, since, limit=limit) for version, some in pods.items() for pod in some]
    lines = [line for found in await asyncio.gather(*every) for line in found if line["at"] >= since]
    return sorted(lines, key=lambda line: line["at"])[-limit:] if limit > 0 else []


async def _of_pod(target: Target, pod: Json, version: str, since: float, *, limit: int) -> list[LogLine]:
    container = container_of(pod, name=target.container, image=target.image)["name"]
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0.0, since)))
    asked = {"container": container, "timestamps": "true", "sinceTime": moment, "tailLines": str(limit), "limitBytes": str(MOST_BYTES)}
    try:
        content = await target.cluster.content("GET", target.cluster.path("Pod", pod["metadata"]["name"], below="log"), query=asked)
    except ShipwayError:  # it is being created, or is gone; the others still speak
        return []
    found = [moment_of(line) for line in content.decode("utf-8", "replace").splitlines()]
    texts = mask([text[:LINE_LENGTH] for _, text in found], secrets_of(pod))
    return [LogLine(at=at, version=version, text=text) for (at, _), text in zip(found, texts, strict=True)]


def moment_of(line: str) -> tuple[float, str]:
    """Split a line into its moment (seconds since the epoch, UTC) and its text; one without a stamp gets 0."""
    found = STAMP.match(line)
    if found is None:
        return 0.0, line
    at = calendar.timegm(time.strptime(found[1], "%Y-%m-%dT%H:%M:%S")) + float(found[2] or 0)
    if found[3] != "Z":
        hours, minutes = found[3][1:].split(":")
        at -= (1 if found[3][0] == "+" else -1) * (int(hours) * 3600 + int(minutes) * 60)
    return at, line[found.end() :]


def secrets_of(pod: Json) -> list[str]:
    """List the values that a pod's manifest writes out under a name that speaks of a secret."""
    spec = pod["spec"]
    variables = [
        one for part in ("initContainers", "containers") for container in spec.get(part) or [] for one in container.get("env") or []
    ]
    values = {str(one["value"]) for one in variables if one.get("value") and SECRET_NAME.search(one["name"])}
    return sorted((value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True)


def mask(lines: list[str], secrets: list[str]) -> list[str]:
    """Replace secrets in lines."""
    for secret in secrets:
        lines = [line.replace(secret, "********") for line in lines]
    return lines
