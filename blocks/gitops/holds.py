"""Hold: the automatic sync of an Argo CD Application switched off for a while, with what it was kept on the Application. Pure.

`spec.syncPolicy.automated.enabled: false` switches it off (Argo CD 3.1 and newer; an older API server drops the field). There the whole
`automated` is removed. An annotation names the owner of the hold and has what `automated` was, so that it is restored exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blocks.errors import Refused
from blocks.gitops.application import HOLD, is_automatic, title_of

Json = Mapping[str, Any]
MOST_OWNER = 200
ANNOTATION = f"/metadata/annotations/{HOLD.replace('/', '~1')}"


@dataclass(frozen=True)
class Hold:
    """A hold that stands on an Application.

    Fields:
        owner: The release that set it.
        automated: What `spec.syncPolicy.automated` was; None if it was not there.
        left: What the hold left there; anything else was set by others since.
    """

    owner: str
    automated: Any
    left: Any


def hold_on(application: Json) -> Hold | None:
    """Read the hold of an Application, or None.

    Raises:
        Refused: The annotation was changed, so that what it was is not known.
    """
    text = (application["metadata"].get("annotations") or {}).get(HOLD)
    if not text:
        return None
    try:
        found = json.loads(text)
        return Hold(str(found["owner"]), found["automated"], found["left"])
    except (ValueError, KeyError, TypeError):
        fix = f"Set syncPolicy.automated as it should be, then remove the annotation {HOLD}"
        raise Refused(f"the hold on the Application {title_of(application)} cannot be read. {fix}") from None


def hold_steps(application: Json, owner: str, *, whole: bool) -> list[dict[str, Any]]:
    """Write the JSON Patch (RFC 6902) that holds an Application.

    Args:
        application: As it was read.
        owner: The release's id.
        whole: Whether `automated` is removed as a whole, for an API server that does not know `enabled`.

    Returns:
        The steps; none if this owner holds it, and it is off.

    Raises:
        Refused: Another owner holds it.
    """
    hold = hold_on(application)
    if hold is not None and hold.owner != owner:
        raise Refused(f"the Application {title_of(application)} is held by {hold.owner}. Release that hold first")
    if hold is not None and not is_automatic(application):
        return []
    automated = _automated(application)
    was = hold.automated if hold is not None and automated == hold.left else automated
    left = None if automated is None or whole else {**automated, "enabled": False}
    text = json.dumps({"owner": owner[:MOST_OWNER], "automated": was, "left": left}, sort_keys=True)
    return [*_annotation(application, text), *_set(application, left)]


def release_steps(application: Json, owner: str) -> list[dict[str, Any]]:
    """Write the JSON Patch that ends a hold; none if this owner holds nothing.

    What others have set since stays as they set it.
    """
    hold = hold_on(application)
    if hold is None or hold.owner != owner:
        return []
    restored = _set(application, hold.automated) if _automated(application) == hold.left else []
    return [*restored, {"op": "remove", "path": ANNOTATION}]


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
