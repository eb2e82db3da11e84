"""Rollout wait: until a workload runs its template, or the reason why it cannot, as soon as the cluster knows it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from blocks.errors import RolloutFailed, ShipwayError, WorldMoved
from blocks.kubernetes.api.watch import Again, Seen, Source, watch_until
from blocks.kubernetes.objects.annotations import check_lease
from blocks.kubernetes.objects.diagnosis import (
    TELLING,
    Finding,
    available,
    evidence_of,
    find_reasons,
    is_rolled_out,
    ready_in_words,
    usual_warm_up,
)
from blocks.kubernetes.objects.selectors import in_words, matches
from blocks.kubernetes.observe.logs import last_words
from blocks.kubernetes.observe.usage import in_words as usage_in_words
from blocks.kubernetes.observe.usage import read_usage
from blocks.kubernetes.workload import Target
from blocks.outside_text import last_lines
from blocks.platform import Lease

Json = dict[str, Any]
MOST_PODS = 5


@dataclass
class _Watch:
    """Watch of one rollout; remembers since when something has been wrong."""

    target: Target
    kind: str
    name: str
    is_new: Callable[[Json], bool]
    lease: Lease
    usual_seconds: float
    patient: bool = False
    since: dict[str, float] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    seen: Seen = field(default_factory=dict)

    def decide(self, seen: Seen) -> str | Finding | Again | None:
        """Return "ready", what has been wrong for too long, or when to look again."""
        self.seen = seen
        self._expect_ours(seen)
        workload = seen["workload"].get(self.name)
        if workload is None:
            raise WorldMoved(f"the {self.kind} {self.name} was deleted during the wait; something else changes the environment")
        if is_rolled_out({**workload, "kind": self.kind}):  # objects in a list do not carry their kind
            return "ready"
        target, pods = self.target, self._pods(seen)
        self.findings = find_reasons(
            pods,
            seen["events"].values(),
            {**workload, "kind": self.kind},
            scheduling_seconds=target.scheduling_seconds,
            unready_seconds=target.unready_seconds,
            usual_seconds=self.usual_seconds,
        )
        if self.patient:
            return None
        now = time.monotonic()
        self.since = {one.key: self.since.get(one.key, now) for one in self.findings}
        left = {one: self.since[one.key] + one.patience_seconds - now for one in self.findings}
        over = next((one for one, seconds in left.items() if seconds <= 0), None)
        finite = [seconds for seconds in left.values() if seconds != float("inf")]
        return over or (Again(min(finite)) if finite else None)

    def _expect_ours(self, seen: Seen) -> None:
        """Stop as soon as a newer owner holds the workload, instead of at the end of the wait."""
        owner = seen["owner" if "owner" in seen else "workload"].get(self.target.workload)
        if owner is not None:
            check_lease(self.target.expect_genuine(owner), self.lease, workload=self.target.title)

    def _pods(self, seen: Seen) -> list[Json]:
        selector = (seen["workload"].get(self.name) or {"spec": {"selector": {}}})["spec"]["selector"]
        return [pod for pod in seen["pods"].values() if matches(selector, pod["metadata"].get("labels") or {}) and self.is_new(pod)]


async def await_rollout(
    target: Target,
    workload: Json,
    *,
    kind: str,
    version: str,
    lease: Lease,
    is_new: Callable[[Json], bool],
    timeout_seconds: float,
    patient: bool = False,
) -> None:
    """Wait until a workload runs its template everywhere, ready.

    Args:
        target: Whose workload.
        workload: The Deployment or StatefulSet to wait for, as it was last written.
        kind: Its kind.
        version: The version rolled out, for messages.
        lease: Our lease; a newer one ends the wait.
        is_new: Whether a pod belongs to the new revision; only those can fail the rollout.
        timeout_seconds: It must be rolled out by then.
        patient: True lets only the time-out end the wait, whatever is wrong meanwhile: for rollbacks, which have no alternative.

    Raises:
        RolloutFailed: It cannot come up; names the reason within seconds of the cluster knowing it, with log lines and events.
        Superseded: A newer owner acts.
    """
    name = workload["metadata"]["name"]
    watch = _Watch(target, kind, name, is_new, lease, await _usual_seconds(target, name, is_new), patient)
    sources = [
        Source("workload", kind, fields=f"metadata.name={name}"),
        Source("pods", "Pod", labels=in_words(workload["spec"]["selector"])),
        Source("events", "Event", fields=TELLING),
    ]
    if name != target.workload:
        sources.append(Source("owner", target.kind, fields=f"metadata.name={target.workload}"))
    try:
        found = await watch_until(target.cluster, sources, watch.decide, timeout_seconds=timeout_seconds)
    except TimeoutError:
        raise await _late(watch, version, timeout_seconds=timeout_seconds) from None
    if isinstance(found, Finding):
        raise await _failure(watch, version, found, found.reason)


async def await_available(target: Target, lease: Lease, *, pods: int, timeout_seconds: float) -> bool:
    """Wait until so many pods of the workload are available, of whatever version, and return whether they are.

    Raises:
        WorldMoved: The workload was deleted.
        Superseded: A newer owner acts.
    """

    def decide(seen: Seen) -> Literal[True] | None:
        workload = seen["workload"].get(target.workload)
        if workload is None:
            raise WorldMoved(f"the {target.kind} {target.workload} was deleted during the wait; something else changes the environment")
        check_lease(target.expect_genuine(workload), lease, workload=target.title)
        return True if available(workload) >= pods else None

    source = Source("workload", target.kind, fields=f"metadata.name={target.workload}")
    try:
        return await watch_until(target.cluster, [source], decide, timeout_seconds=timeout_seconds)
    except TimeoutError:
        return False


async def _usual_seconds(target: Target, name: str, is_new: Callable[[Json], bool]) -> float:
    """Read how long the baseline's pods took to become ready: the canary's may take as long, with a failing probe meanwhile."""
    serving = await target.cluster.list("Pod", labels=in_words((await target.read())["spec"]["selector"]))
    return usual_warm_up(pod for pod in serving if name != target.workload or not is_new(pod))


async def _late(watch: _Watch, version: str, *, timeout_seconds: float) -> RolloutFailed:
    """Build the error of a time-out: what was wrong when the time was up."""
    workload = watch.seen.get("workload", {}).get(watch.name)
    state = ready_in_words(workload) if workload else "the cluster did not report its progress"
    first = watch.findings[0] if watch.findings else None
    reason = f"not ready within {timeout_seconds:g} s: {state}" + (f"; {first.reason}" if first else "")
    return await _failure(watch, version, first, reason)


async def _used(target: Target, pods: list[Json]) -> list[str]:
    """Return what the pods used of their requests; empty if that cannot be read."""
    try:
        return [usage_in_words(one) for one in await read_usage(target.cluster, pods[:MOST_PODS], selector="")] if pods else []
    except ShipwayError:
        return []


async def _failure(watch: _Watch, version: str, found: Finding | None, reason: str) -> RolloutFailed:
    seen = watch.seen
    pods = watch._pods(seen) if seen else []  # noqa: SLF001 - of this module
    evidence = evidence_of(seen["events"].values() if seen else [], pods)
    told = ""
    if found is not None and found.pod:
        container = found.key.partition("/")[2]
        tail = await last_words(watch.target, found.pod, container)
        place = f"container {container} of pod {found.pod}" if container else f"pod {found.pod}"
        told = f"{last_lines(tail)} (log of {place})" if tail else ""
        evidence = [*tail, *evidence]
    evidence += await _used(watch.target, pods)
    message = f"{version} of {watch.target.title} does not become ready: {' '.join(reason.split())[:900]}{told}"
    return RolloutFailed(f"{message}. Fix the version or its manifest, then release again", evidence=tuple(evidence))
