"""Why an Argo CD Application does not get where Git wants it, in Argo CD's words, and whether that may pass by itself. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blocks.outside_text import outside

Json = Mapping[str, Any]
MOST_NAMED = 5
MOST_MESSAGE = 600
FAILED = {"Failed", "Error"}
# Of all conditions these stop a sync; the others are warnings.
STOPPING = ("InvalidSpecError", "ComparisonError", "DeletionError", "UnknownError")
# What a network, a restarting repository server or a cluster that is away says; everything else needs a change in Git, Argo CD or rights.
PASSING = re.compile(
    r"code = (unavailable|deadlineexceeded)|connection (refused|reset|timed out|closed)|i/o timeout|timeout exceeded|deadline exceeded"
    r"|no such host|temporary failure in name resolution|no route to host|network is unreachable|tls handshake timeout|\beof\b"
    r"|unexpected http response|returned error: 5\d\d|status ?code: 5\d\d|failed to load live state|error getting cluster cache"
    r"|failed to sync cluster|operation cannot be fulfilled|try again",
    re.IGNORECASE,
)
NOISE = re.compile(r"rpc error: code = \w+ desc = ")


@dataclass(frozen=True)
class Fault:
    """A fault; without words there is none."""

    words: str = ""
    temporary: bool = False


def strangeness_of(application: Json, *, project: str) -> Fault | None:
    """Say why an Application cannot be followed at all, whatever it says of itself.

    Args:
        application: As it was read.
        project: The project that it must belong to; "" for any.
    """
    spec = application["spec"]
    if application["metadata"].get("deletionTimestamp"):
        return Fault("the Application is being deleted")
    if project and spec.get("project") != project:
        return Fault(f"the Application is in the project {spec.get('project')}, and the block names {project}")
    if spec.get("sourceHydrator"):
        return Fault("the Application has a source hydrator, which is not followed")
    return None


def fault_of(application: Json, *, attempted: bool, running: bool) -> Fault:
    """Name the first fault that keeps an Application from its revision.

    Args:
        application: As it was read.
        attempted: Whether the last operation was of the revision that was compared; one of an earlier revision says nothing of this one.
        running: Whether an operation runs.
    """
    return _conditions(application) or _operation(application, attempted=attempted, running=running) or _state(application, running=running)


def _conditions(application: Json) -> Fault | None:
    found = (application.get("status") or {}).get("conditions") or []
    stopping = [one for one in found if one.get("type") in STOPPING]
    if not stopping:
        return None
    words = "; ".join(f"{one['type']}: {NOISE.sub('', str(one.get('message') or ''))[:MOST_MESSAGE]}" for one in stopping)
    return Fault(words, temporary=all(one["type"] == "UnknownError" or PASSING.search(str(one.get("message"))) for one in stopping))


def _operation(application: Json, *, attempted: bool, running: bool) -> Fault | None:
    """Judge the last operation; one that Argo CD will retry by itself may still succeed."""
    status = application.get("status") or {}
    state = status.get("operationState") or {}
    retries = running and state.get("phase") == "Running" and bool(state.get("finishedAt") or state.get("retryCount"))
    if state and (retries or (attempted and state.get("phase") in FAILED and not running)):
        message = NOISE.sub("", str(state.get("message") or ""))[:MOST_MESSAGE]
        named = "; ".join([*_failed_resources(state, said=message)][:MOST_NAMED])
        return Fault(f"the sync failed: {message}{f' ({named})' if named else ''}", temporary=retries)
    refused = next((one for one in status.get("conditions") or [] if one.get("type") == "SyncError"), None)
    if refused is not None and not running and (attempted or "Failed last sync attempt" not in str(refused.get("message"))):
        return Fault(f"SyncError: {NOISE.sub('', str(refused.get('message') or ''))[:MOST_MESSAGE]}")
    return None


def _failed_resources(state: Json, *, said: str) -> Iterator[str]:
    """Name hooks and resources that failed, but for those whose message was said already."""
    for one in (state.get("syncResult") or {}).get("resources") or []:
        hook, message = one.get("hookType"), str(one.get("message") or one.get("hookPhase"))
        if (one.get("status") in {"SyncFailed", "PruneFailed"} or one.get("hookPhase") in FAILED) and message not in said:
            yield f"{one.get('kind')} {one.get('name')}{f', a {hook} hook' if hook else ''}: {message}"


def _state(application: Json, *, running: bool) -> Fault:
    status = application.get("status") or {}
    resources = [one for one in status.get("resources") or [] if one.get("status") == "OutOfSync"]
    automated = (application["spec"].get("syncPolicy") or {}).get("automated") or {}
    if resources and not running and all(one.get("requiresPruning") for one in resources) and not automated.get("prune"):
        named = ", ".join(f"{one.get('kind')} {one.get('name')}" for one in resources[:MOST_NAMED])
        return Fault(f"Git no longer has {named}, and the Application does not prune; delete it by hand, or switch pruning on")
    health = status.get("health") or {}
    if health.get("status") == "Degraded":
        return Fault(health_words(application), temporary=True)
    if (status.get("sync") or {}).get("status") == "Unknown":
        return Fault("Argo CD does not know whether the Application is in sync", temporary=True)
    return Fault()


def health_words(application: Json) -> str:
    """Say the health, with the resources that are not healthy if Argo CD names them; Suspended is not a fault."""
    status = application.get("status") or {}
    health = (status.get("health") or {}).get("status") or "health not known"
    unwell = [one for one in status.get("resources") or [] if (one.get("health") or {}).get("status") not in {None, "Healthy"}]
    named = "; ".join(
        f"{one.get('kind')} {one.get('name')} {one['health']['status']}: {one['health'].get('message', '')}".rstrip(": ") for one in unwell
    )
    return f"{health}{f' ({outside(named, limit=MOST_MESSAGE)})' if named else ''}"
