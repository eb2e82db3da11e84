"""Logs of a revision's pods, bounded; what looks like a secret in the manifest is masked already here."""

from __future__ import annotations

import asyncio
import calendar
import heapq
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from blocks.errors import ShipwayError
from blocks.kubernetes.api.errors import Missing
from blocks.kubernetes.objects.config import references
from blocks.kubernetes.objects.secrets import mask, secrets_of, values_of
from blocks.kubernetes.objects.template import container_of
from blocks.kubernetes.workload import Target
from blocks.late import Late
from blocks.platform import LogLine
from blocks.secret_text import CUT

Json = dict[str, Any]
LAST_LINES = 20
MOST_BYTES = 256 * 1024
LINE_LIMIT = 64 * 1024
MOST_SECRETS = 20
MOST_SEARCHED_BYTES = 32_000_000  # of a pod, and of those whose lines are put in order together
LINES_AT_ONCE, CHARACTERS_AT_ONCE = 1_000, 192 * 1024
MOST_HANDING_SECONDS = 60.0  # for the lines of a version: secrets are looked for in all that they hold
STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d) ?")


class PodLog(NamedTuple):
    """The log of a pod as it was read, and the secrets to mask in it."""

    content: bytes
    secrets: list[str]


async def last_words(target: Target, pod: str, container: str) -> list[str]:
    """Read the last lines of a crashed container, of its previous instance if there is one; empty if they cannot be read."""
    for query in ({"previous": "true"}, {}):
        try:
            content = await tail_of(target, pod, container, lines=LAST_LINES, **query)
            found = await target.cluster.read("Pod", pod)
        except ShipwayError:
            continue
        lines = [line for line in content.decode("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return mask(lines, await known_secrets(target, found) if found else [])
    return []


async def tail_of(target: Target, pod: str, container: str, *, lines: int, **query: str) -> bytes:
    """Read the last lines of a container, 256 KiB at most, the newest ones.

    The API cuts at `limitBytes` from the first requested line, which would lose the newest; so a log that is cut is requested again, with
    half the lines.
    """
    while True:
        asked = {"container": container, "tailLines": str(lines), "limitBytes": str(MOST_BYTES), **query}
        content = await target.cluster.content("GET", target.cluster.path("Pod", pod, below="log"), query=asked)
        if len(content) < MOST_BYTES or lines <= 1:
            return content
        lines //= 2


async def read(target: Target, pods: dict[str, list[Json]], since: float, take: Callable[[LogLine], bool | None]) -> dict[str, str]:
    """Hand over the log lines of pods since a moment (seconds since the epoch, UTC), a version after the other, each oldest first.

    Of a version whose pods logged more than fits into memory at once, the order holds for some pods after the others.

    Args:
        target: Whose pods.
        pods: Pods by version.
        since: From when.
        take: Called for each line, of which it gets the first 64 kB. Once it returns True, no more lines of that version are read.

    Returns:
        Which lines could not be read, by version. What a kubelet has turned over (by default 10 MiB of a container) it does not give.
    """
    missing: dict[str, str] = {}
    for version, some in pods.items():
        handing, waiting = _Handing(version, since, take), list[PodLog]()
        for pod in some:
            found = None if handing.is_enough or handing.is_late else await _read_pod(target, pod, version, since, missing)
            if found is None:
                continue
            if waiting and sum(len(one.content) for one in (*waiting, found)) > MOST_SEARCHED_BYTES:
                await asyncio.to_thread(handing.over, waiting)
                waiting = []
            waiting.append(found)
        await asyncio.to_thread(handing.over, waiting)
        if handing.is_late:
            missing[version] = Late(f"the lines of {version} take longer than {MOST_HANDING_SECONDS:g} s to read; the rest was not read")
    return missing


async def _read_pod(target: Target, pod: Json, version: str, since: float, missing: dict[str, str]) -> PodLog | None:
    """Read the log of a pod; None if it has none. What could not be read is added to `missing`."""
    name, container = pod["metadata"]["name"], container_of(pod, name=target.container, image=target.image)["name"]
    if not _has_log(pod, container):
        return None
    query = {"container": container, "timestamps": "true", "sinceTime": _stamp(since), "limitBytes": str(MOST_SEARCHED_BYTES)}
    try:
        content = await target.cluster.content("GET", target.cluster.path("Pod", name, below="log"), query=query)
    except Missing:  # it was deleted; the others still have logs
        return None
    except ShipwayError as error:
        missing[version] = f"the log of the pod {name} could not be read: {error}"
        return None
    if len(content) >= MOST_SEARCHED_BYTES:
        missing[version] = f"the pod {name} logged more than {MOST_SEARCHED_BYTES // 1_000_000} MB since then; the rest was not read"
    return PodLog(content, await known_secrets(target, pod))


def _has_log(pod: Json, container: str) -> bool:
    """Say whether a container has run, so that it has a log; the API refuses to read that of another."""
    states = [one for one in (pod.get("status") or {}).get("containerStatuses") or [] if one.get("name") == container]
    return any({"running", "terminated"} & (one.get("state") or {}).keys() or one.get("lastState") for one in states)


class _Handing:
    """Hands over the lines of a version, until they take too long or no more are wanted."""

    def __init__(self, version: str, since: float, take: Callable[[LogLine], bool | None]) -> None:
        """Begin without a line."""
        self._version, self._since, self._take = version, since, take
        self._began, self._spent = 0.0, 0.0
        self.is_enough, self.is_late = False, False

    def over(self, logs: Sequence[PodLog]) -> None:
        """Hand over the lines of some pods, in the order of time."""
        self._began = time.monotonic() - self._spent
        for line in heapq.merge(*(self._lines(log) for log in logs), key=lambda one: one["at"]):
            self.is_enough = bool(self._take(line))
            if self._has_ended():
                return
        self._spent = time.monotonic() - self._began

    def _lines(self, log: PodLog) -> Iterator[LogLine]:
        lines = log.content.decode("utf-8", "replace").split("\n")  # what else ends a line within one is part of it, and has its moment
        for some in _some_at_once(lines):
            if self._has_ended():
                return
            found = [moment_of(line) for line in some]
            masked = mask([text for _, text in found], log.secrets, limit=LINE_LIMIT)
            for (at, _), text in zip(found, masked, strict=True):
                for part in text.splitlines() if at >= self._since else ():
                    yield LogLine(at=at, version=self._version, text=part)

    def _has_ended(self) -> bool:
        self.is_late = self.is_late or time.monotonic() - self._began > MOST_HANDING_SECONDS
        return self.is_late or self.is_enough


def _some_at_once(lines: Sequence[str]) -> Iterator[list[str]]:
    """Give lines in lots in which secrets are looked for at once. A line that is cut ends its lot, so that half a secret is found there."""
    some, size = list[str](), 0
    for line in lines:
        some.append(line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - 1] + CUT)
        size += len(some[-1])
        if len(some) == LINES_AT_ONCE or size >= CHARACTERS_AT_ONCE or some[-1] is not line:
            yield some
            some, size = [], 0
    yield some


def _stamp(since: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(max(0.0, since)))


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


async def known_secrets(target: Target, pod: Json) -> list[str]:
    """List the secrets to mask in a pod's lines: those in its manifest, and in the Secrets that it names.

    Those that this account may not read are left out, as are all but the first twenty.
    """
    names = sorted({name for kind, name in references(pod) if kind == "Secret"})[:MOST_SECRETS]
    found = await asyncio.gather(*(target.cluster.read("Secret", name) for name in names), return_exceptions=True)
    values = {value for one in found if isinstance(one, dict) for value in values_of(one)}
    return sorted({*secrets_of(pod), *values}, key=len, reverse=True)
