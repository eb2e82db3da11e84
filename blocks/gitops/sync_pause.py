"""SyncPause: the automatic sync of an Argo CD Application switched off for a while, with what it was kept on the Application. Pure.

Others may be allowed to annotate the Application, so the annotation has a seal: HMAC-SHA256 (RFC 2104) over the Application's UID and the
fields. One without a right seal holds nothing: a rollback holds the Application anew. A right one may be an old one that was put back, so
what holds is also kept beside the key, and that counts. A hold of another release counts only while the automatic sync is as it left it.

`spec.syncPolicy.automated.enabled: false` switches it off (Argo CD 3.1 and newer; an older API server drops the field). There the whole
`automated` is removed. An annotation names the owner of the hold and has what `automated` was, so that it is restored exactly.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from blocks.errors import Refused
from blocks.gitops.application import HOLD, is_automatic, title_of

Json = Mapping[str, Any]
MOST_OWNER = 200
ANNOTATION = f"/metadata/annotations/{HOLD.replace('/', '~1')}"


@dataclass(frozen=True)
class SyncPause:
    """A hold that stands on an Application.

    Fields:
        owner: The release that set it.
        automated: What `spec.syncPolicy.automated` was; None if it was not there.
        left: What the hold left there; anything else was set by others since.
    """

    owner: str
    automated: Any
    left: Any


UNKNOWN = SyncPause("", None, None)  # what is kept beside the key cannot be read: the annotation counts


def hold_on(application: Json, key: bytes) -> SyncPause | None:
    """Read the hold of an Application, or None.

    Args:
        application: As it was read.
        key: What seals are made with; empty checks none.

    Raises:
        Refused: The annotation is not as this installation wrote it, so that what the automatic sync was is not known.
    """
    text = (application["metadata"].get("annotations") or {}).get(HOLD)
    if not text:
        return None
    try:
        found = json.loads(text)
        hold = SyncPause(str(found["owner"]), found["automated"], found["left"])
        if not key or hmac.compare_digest(str(found["seal"]).encode(), _seal(application, hold, key).encode()):
            return hold
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    fix = f"Find out who may annotate it, set syncPolicy.automated as it should be, then remove the annotation {HOLD}"
    raise Refused(f"the hold on the Application {title_of(application)} is not as this installation wrote it. {fix}")


def hold_steps(application: Json, owner: str, *, whole: bool, key: bytes, kept: SyncPause | None = UNKNOWN) -> list[dict[str, Any]]:
    """Write the JSON Patch (RFC 6902) that holds an Application.

    Args:
        application: As it was read.
        owner: The release's id.
        whole: Whether `automated` is removed as a whole, for an API server that does not know `enabled`.
        key: What seals are made with; empty makes none.
        kept: What is kept beside the key.

    Returns:
        The steps; none if this owner holds it, and it is off. A hold that others wrote or changed is replaced; if the automatic sync is off
        by then, it stays off afterwards, as what it was is not known.

    Raises:
        Refused: Another owner holds it.
    """
    made = hold_to_make(application, owner, whole=whole, key=key, kept=kept)
    if made is None:
        return []
    seal = {"seal": _seal(application, made, key)} if key else {}
    return [*_annotation(application, json.dumps({**asdict(made), **seal}, sort_keys=True)), *_set(application, made.left)]


def hold_to_make(application: Json, owner: str, *, whole: bool, key: bytes, kept: SyncPause | None = UNKNOWN) -> SyncPause | None:
    """Give the hold that `hold_steps` writes; None if it stands.

    Raises:
        Refused: Another owner holds the Application.
    """
    hold = _standing(application, owner, key, kept)
    if hold is not None and hold.owner != owner:
        raise Refused(f"the Application {title_of(application)} is held by {hold.owner}. Release that hold first")
    if hold is not None and not is_automatic(application) and _marked(application, key) == hold:
        return None
    automated = _automated(application)
    was = hold.automated if hold is not None and automated == hold.left else automated
    return SyncPause(owner[:MOST_OWNER], was, None if automated is None or whole else {**automated, "enabled": False})


def release_steps(application: Json, owner: str, *, key: bytes, kept: SyncPause | None = UNKNOWN) -> list[dict[str, Any]]:
    """Write the JSON Patch that ends a hold; none if this owner holds nothing.

    What others have set since stays as they set it. An annotation that is not that of the hold goes with it.

    Raises:
        Refused: The annotation is not as this installation wrote it, and the automatic sync is off: people must say how it was.
    """
    if kept is not None and kept != UNKNOWN:
        if kept.owner != owner[:MOST_OWNER]:
            return []
        restored = _set(application, kept.automated) if _automated(application) == kept.left else []
        marked = HOLD in (application["metadata"].get("annotations") or {})
        return [*restored, *([{"op": "remove", "path": ANNOTATION}] if marked else [])]
    try:
        hold = hold_on(application, key)
    except Refused:
        if not is_automatic(application):
            raise
        return [{"op": "remove", "path": ANNOTATION}]
    if hold is None or hold.owner != owner:
        return []
    restored = _set(application, hold.automated) if _automated(application) == hold.left else []
    return [*restored, {"op": "remove", "path": ANNOTATION}]


def _standing(application: Json, owner: str, key: bytes, kept: SyncPause | None) -> SyncPause | None:
    """Read the hold that counts."""
    hold = _marked(application, key) if kept == UNKNOWN else kept
    if hold is not None and hold.owner != owner and HOLD not in (application["metadata"].get("annotations") or {}):
        return None  # people removed the annotation, which is how they end a hold
    if hold is not None and hold.owner != owner and (is_automatic(application) or _automated(application) != hold.left):
        return None
    return hold


def _marked(application: Json, key: bytes) -> SyncPause | None:
    try:
        return hold_on(application, key)
    except Refused:
        return None


def _seal(application: Json, hold: SyncPause, key: bytes) -> str:
    body = json.dumps(["argo cd hold", application["metadata"].get("uid", ""), asdict(hold)], sort_keys=True, separators=(",", ":"))
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def _automated(application: Json) -> Any:
    return (application["spec"].get("syncPolicy") or {}).get("automated")


def _annotation(application: Json, text: str) -> list[dict[str, Any]]:
    if application["metadata"].get("annotations"):
        return [{"op": "add", "path": ANNOTATION, "value": text}]
    return [{"op": "add", "path": "/metadata/annotations", "value": {HOLD: text}}]


def _set(application: Json, automated: Any) -> list[dict[str, Any]]:
    if automated == _automated(application):
        return []
    path = "/spec/syncPolicy/automated"
    if automated is None:
        return [{"op": "remove", "path": path}]
    if application["spec"].get("syncPolicy") is None:
        return [{"op": "add", "path": "/spec/syncPolicy", "value": {"automated": automated}}]
    return [{"op": "add", "path": path, "value": automated}]
