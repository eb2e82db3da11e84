"""Sync operations of an Argo CD Application: what is requested, what runs, whether it is ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blocks.errors import Temporary
from blocks.gitops.application import BLOCKED, revision_in, sources_of, title_of

Json = Mapping[str, Any]
INFO = "Shipway release"
DONE = {"Succeeded", "Failed", "Error"}


def revisions_of(application: Json, index: int, commit: str) -> list[str]:
    """List a revision a source: the commit for one, what was compared last for the others.

    Raises:
        Temporary: The others were not compared yet.
    """
    compared = ((application.get("status") or {}).get("sync") or {}).get("revisions") or []
    sources = sources_of(application)
    if len(sources) > 1 and len(compared) != len(sources):
        raise Temporary(f"the Application {title_of(application)} was not compared yet with all of its sources")
    return [commit if position == index else str(compared[position]) for position in range(len(sources))]


def operation_for(application: Json, index: int, commit: str, *, note: str, prune: bool) -> dict[str, Any]:
    """Write the whole operation that syncs a commit, as Argo CD's own API writes it.

    Args:
        application: As it was read.
        index: The source that the commit is of.
        commit: The full hash.
        note: The release's id.
        prune: Whether what Git no longer has is deleted.
    """
    spec = application["spec"]
    policy = spec.get("syncPolicy") or {}
    revisions = revisions_of(application, index, commit)
    if spec.get("sources"):
        sync: dict[str, Any] = {"sources": spec["sources"], "revisions": revisions}
    else:
        sync = {"source": spec["source"], "revision": commit}
    sync |= {"prune": prune, "syncStrategy": {"hook": {}}, **({"syncOptions": policy["syncOptions"]} if policy.get("syncOptions") else {})}
    retry = {"retry": policy["retry"]} if policy.get("retry") else {}
    return {"sync": sync, "info": [{"name": INFO, "value": note}], "initiatedBy": {"username": "shipway"}, **retry}


def start_steps(application: Json, operation: Json) -> list[dict[str, Any]]:
    """Write the JSON Patch that requests an operation and clears the last one's state, whose fields Argo CD would keep else."""
    clear = [{"op": "remove", "path": "/status/operationState"}] if (application.get("status") or {}).get("operationState") else []
    return [*clear, {"op": "add", "path": "/operation", "value": dict(operation)}]


def is_taken_up(application: Json, index: int, commit: str, *, note: str) -> bool:
    """Say whether a commit is being synced, or was synced for this release to whatever end.

    Raises:
        Temporary: An operation of another revision runs.
    """
    requested = application.get("operation")
    if requested is not None:
        if _is_for(requested, index, commit):
            return True
        raise Temporary(f"an operation of another revision runs on the Application {title_of(application)}", delay_seconds=2)
    last = ((application.get("status") or {}).get("operationState") or {}).get("operation") or {}
    return _is_for(last, index, commit) and {"name": INFO, "value": note} in (last.get("info") or [])


def _is_for(operation: Json, index: int, commit: str) -> bool:
    return revision_in(operation.get("sync") or {}, index) == commit


def terminate_steps(application: Json) -> list[dict[str, Any]]:
    """Write the JSON Patch that ends an operation: one that Argo CD has begun is told to terminate, one that it has not is withdrawn."""
    if application.get("operation") is None:
        return []
    phase = ((application.get("status") or {}).get("operationState") or {}).get("phase")
    if phase is None or phase in DONE:
        return [{"op": "remove", "path": "/operation"}]
    return [] if phase == "Terminating" else [{"op": "replace", "path": "/status/operationState/phase", "value": "Terminating"}]


def withdraw_steps(application: Json, *, at: str) -> list[dict[str, Any]]:
    """Write the JSON Patch that withdraws an operation that a sync window blocks: Argo CD would not terminate it before the window ends.

    Args:
        application: As it was read.
        at: The moment, in ISO 8601.
    """
    if application.get("operation") is None:
        return []
    ended = {"phase": "Failed", "message": "withdrawn while a sync window blocked it", "finishedAt": at}
    state = {"op": "replace", "path": "/status/operationState", "value": {**application["status"]["operationState"], **ended}}
    return [{"op": "remove", "path": "/operation"}, state]


def is_blocked(application: Json) -> bool:
    """Say whether a sync window keeps an operation that was begun from going on."""
    state = (application.get("status") or {}).get("operationState") or {}
    return application.get("operation") is not None and str(state.get("message") or "").startswith(BLOCKED)
