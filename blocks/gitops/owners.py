"""Owners of an Argo CD Application: an ApplicationSet, or another Application (app of apps), and whether it would undo a hold. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.gitops.application import HOLD, is_automatic

Json = Mapping[str, Any]
GROUP = "argoproj.io"
TRACKING_ID, INSTANCE = "argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
POINTERS = {"/spec/syncPolicy", "/spec/syncPolicy/automated", "/spec/syncPolicy/automated/enabled"}
PATHS = {pointer.replace("/", ".") for pointer in POINTERS}


@dataclass(frozen=True)
class Owner:
    """An owner, as the Application names it.

    Fields:
        kind: ApplicationSet or Application.
        name: Its name.
        namespace: Its namespace.
    """

    kind: str
    name: str
    namespace: str

    def __str__(self) -> str:
        """Name it."""
        return f"{self.kind} {self.namespace}/{self.name}"


def owner_of(application: Json) -> Owner | None:
    """Find the owner: by ownerReferences, else by the mark with which Argo CD tracks what an Application deploys."""
    metadata = application["metadata"]
    namespace = str(metadata.get("namespace") or "")
    for one in metadata.get("ownerReferences") or []:
        if one.get("kind") == "ApplicationSet" and str(one.get("apiVersion")).startswith(f"{GROUP}/"):
            return Owner("ApplicationSet", str(one["name"]), namespace)
    parent, _, itself = str((metadata.get("annotations") or {}).get(TRACKING_ID) or "").partition(":")
    if parent and itself == f"{GROUP}/Application:{namespace}/{metadata['name']}":
        inside, _, name = parent.rpartition("_")  # an Application outside of Argo CD's own namespace is tracked as NAMESPACE_NAME
        return Owner("Application", name or parent, inside or namespace)
    label = str((metadata.get("labels") or {}).get(INSTANCE) or "")
    return Owner("Application", label, namespace) if label and label != metadata["name"] else None


def undoes(owner: Owner, found: Json | None, application: Json) -> str:
    """Say why an owner would undo a hold, or "".

    Args:
        owner: From `owner_of`.
        found: The owner as it was read; None if there is none of that name.
        application: What it owns.
    """
    if found is None:
        return f"{owner}, which owns it, is not there" if owner.kind == "ApplicationSet" else ""
    return _set_undoes(owner, found, application) if owner.kind == "ApplicationSet" else _parent_undoes(owner, found, application)


def _set_undoes(owner: Owner, found: Json, application: Json) -> str:
    spec = found["spec"]
    if (spec.get("syncPolicy") or {}).get("applicationsSync") in {"create-only", "create-delete"}:
        return ""
    ignored = [
        one for one in spec.get("ignoreApplicationDifferences") or [] if one.get("name") in {None, "", application["metadata"]["name"]}
    ]
    missing = [] if any(_ignores(one) for one in ignored) else ["/spec/syncPolicy in ignoreApplicationDifferences"]
    if HOLD not in ((spec.get("preservedFields") or {}).get("annotations") or []):
        missing.append(f"{HOLD} in preservedFields.annotations")
    return f"{owner} owns it and would undo a hold; it needs {' and '.join(missing)}" if missing else ""


def _parent_undoes(owner: Owner, found: Json, application: Json) -> str:
    """Argo CD applies by a three-way merge: a field that Git never set stays, unless the parent replaces what it deploys."""
    options = set((found["spec"].get("syncPolicy") or {}).get("syncOptions") or [])
    own = (application["metadata"].get("annotations") or {}).get("argocd.argoproj.io/sync-options") or ""
    options |= set(str(own).replace(" ", "").split(","))
    if not is_automatic(found) and "Replace=true" not in options:
        return ""
    ignored = [one for one in found["spec"].get("ignoreDifferences") or [] if _is_of(one, application)]
    if any(_ignores(one) for one in ignored) and "RespectIgnoreDifferences=true" in options:
        return ""
    if "Replace=true" not in options and not _git_sets_enabled(application):
        return ""
    fix = "/spec/syncPolicy of Applications in ignoreDifferences, and the sync option RespectIgnoreDifferences=true"
    return f"{owner} owns it and would undo a hold; it needs {fix}"


def _git_sets_enabled(application: Json) -> bool:
    """Say whether the manifest in Git has `enabled`; if that is not known, it may."""
    try:
        applied = json.loads(str((application["metadata"].get("annotations") or {})[LAST_APPLIED]))
        automated = (applied["spec"].get("syncPolicy") or {}).get("automated")
    except (KeyError, ValueError, TypeError, AttributeError):
        return True
    return automated is not None and "enabled" in automated


def _is_of(ignored: Json, application: Json) -> bool:
    wanted = {"group": GROUP, "kind": "Application", "name": application["metadata"]["name"]}
    return all(ignored.get(field) in {None, "", "*", value} for field, value in wanted.items())


def _ignores(ignored: Json) -> bool:
    return bool(POINTERS & set(ignored.get("jsonPointers") or []) or PATHS & set(ignored.get("jqPathExpressions") or []))
