"""Annotations: the state that Shipway keeps on a workload, and the lease that fences its writes. Values in, values out.

Others may be allowed to annotate the workload, so the state has a seal: HMAC-SHA256 (RFC 2104) over the workload's UID and the fields,
under a key that the cluster does not have.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from blocks.errors import Refused, Superseded, Tampered
from blocks.platform import CONFIGURATION, Lease, source_version

Json = dict[str, Any]
PREFIX = "shipway.dev/"
GENERATION = f"{PREFIX}generation"
SEAL = f"{PREFIX}seal"
MOST_DIGITS = 4_000  # Python reads no number of more than 4,300
MOST_GENERATIONS = 10**24  # only others write a higher one; it is followed by the first, and the owner alone fences then


@dataclass(frozen=True, slots=True)
class State:
    """State of one workload in annotations, each `shipway.dev/<field>` with dashes; an empty one is left out.

    Fields:
        owner: Flow run id of the lease's owner.
        generation: The newest generation (fencing token).
        rollback: "yes" if the owner took it over to roll back: then a version is deployed with its own old pod template.
        baseline: The version that serves during a rollout.
        baseline_revision: The ReplicaSet or ControllerRevision that holds its pod template.
        canary: The version being rolled out.
        percent: The requested share of traffic.
        config: The hash of the configuration that counts as the present one: the canary's, or what it was at a takeover. It stays until
            the lease is released, so that no version gets another name under its owner.
        config_parts: The digests of its parts.
        phase: "promoting" while the workload itself is updated to the canary's version.
        previous: The version that served before the last promotion; never one that a rollback took away.
        stood: The version that served when Shipway promoted it, or found it there, with the hash of its configuration if one is noted: if
            another one serves, others put that there, and `previous` ran before the one that stood there.
        rolled_back: The version that a rollback took away, with the hash of its configuration if one counts: once a ConfigMap or Secret is
            put back, its plain name is that of the version which stood. Empty again once a release is promoted.
        gitops: What undoes the change that a GitOps engine deploys from Git, in the words of who wrote it.
    """

    owner: str = ""
    generation: int = 0
    rollback: str = ""
    baseline: str = ""
    baseline_revision: str = ""
    canary: str = ""
    percent: int = 0
    config: str = ""
    config_parts: str = ""
    phase: str = ""
    previous: str = ""
    stood: str = ""
    rolled_back: str = ""
    gitops: str = ""


NO_STATE = State()
CLEARED: Json = {"baseline": "", "baseline_revision": "", "canary": "", "percent": 0, "phase": "", "rollback": ""}
PRESENT: Json = {"config": "", "config_parts": ""}  # names go by the configuration as it is


def state_of(workload: Json) -> State:
    """Read the annotations; a value that cannot be parsed counts as missing."""
    annotations = workload["metadata"].get("annotations") or {}
    found: dict[str, Any] = {field.name: str(annotations.get(key_of(field.name), "")) for field in fields(State)}
    for name in ("generation", "percent"):
        digits = found[name] if found[name].isdecimal() and found[name].isascii() else "0"
        found[name] = int(digits) if len(digits) <= MOST_DIGITS else 0
    return State(**found)


def is_genuine(workload: Json, key: bytes) -> bool:
    """Return whether a workload's state is as Shipway wrote it; without a key, or without any state, there is nothing to check."""
    state = state_of(workload)
    if not key or state == NO_STATE:
        return True
    found = str((workload["metadata"].get("annotations") or {}).get(SEAL, ""))
    return hmac.compare_digest(found.encode(), seal_of(state, uid=workload["metadata"]["uid"], key=key).encode())


def seal_of(state: State, *, uid: str, key: bytes) -> str:
    """Make the seal of a state on one workload, in lower-case hexadecimal."""
    body = json.dumps([uid, asdict(state)], sort_keys=True, separators=(",", ":"))
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def expect_genuine(workload: Json, key: bytes, *, title: str) -> State:
    """Read the state of a workload, if others did not change it.

    Raises:
        Tampered: They did.
    """
    if is_genuine(workload, key):
        return state_of(workload)
    raise Tampered(
        f"the annotations {PREFIX}… of {title} are not as this installation wrote them: others changed them, or another installation "
        f"acts there. Find out who may annotate it. A rollback takes {title} over and goes by what runs there"
    )


def number_in(found: Json | None, key: str, *, most: int) -> int | None:
    """Read a whole number from an annotation; None if it is not there, or is not one from 0 to `most`: others may write what they like.

    Args:
        found: The object, or None.
        key: The annotation.
        most: The largest number that can be meant.
    """
    text = str(((found or {}).get("metadata", {}).get("annotations") or {}).get(key, ""))
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        return None
    return int(text) if int(text) <= most else None


def key_of(field: str) -> str:
    """Return the annotation key of a field."""
    return PREFIX + field.replace("_", "-")


def is_canary(state: State, version: str) -> bool:
    """Return whether this version is the canary; in a rollback also under a version with its revision's configuration hash."""
    return bool(state.canary) and (state.canary == version or bool(state.rollback and source_version(state.canary) == version))


def promoted(state: State) -> dict[str, str]:
    """Give `previous` and `rolled_back` as they are once the canary is the baseline."""
    if not state.rollback:
        return {"previous": state.baseline or state.previous, "rolled_back": ""}
    is_back = is_canary(state, state.previous) or _with_hash(state, state.previous) == _with_hash(state, state.canary)
    return {"previous": "" if is_back else state.previous, "rolled_back": _with_hash(state, state.baseline)}


def _with_hash(state: State, version: str) -> str:
    """Name a version with the hash of its configuration, which is the one that counts as present if its name is plain."""
    return f"{version}{CONFIGURATION}{state.config}" if version and state.config and CONFIGURATION not in version else version


def aborted(state: State) -> Json:
    """Give the fields that change once the canary is removed; a rollback stays one, and calls the versions as it did."""
    return {**CLEARED, "rollback": state.rollback} | ({} if state.rollback else PRESENT)


def annotations_of(state: State, *, uid: str, key: bytes) -> dict[str, str | None]:
    """Write a state as a merge patch of annotations, with its seal if there is a key: None removes one. The generation always stays."""
    found = {key_of(field.name): str(value) if (value := getattr(state, field.name)) else None for field in fields(State)}
    return {**found, SEAL: seal_of(state, uid=uid, key=key) if key else None}


def check_lease(state: State, lease: Lease, *, workload: str) -> None:
    """Fencing: let only the newest owner act.

    Raises:
        Superseded: The lease was acquired with a newer generation.
        Refused: The workload has no owner, or another one, under this generation.
    """
    if lease["generation"] < state.generation:
        raise Superseded(
            f"{workload} was taken over by {state.owner or 'a run that released it'} with generation {state.generation}; "
            f"generation {lease['generation']} of {lease['owner']} may not act any more. Start a new release if one is wanted"
        )
    if state.owner != lease["owner"] or lease["generation"] != state.generation:
        held = f"is owned by {state.owner}" if state.owner else "is owned by no run"
        raise Refused(f"{workload} {held}, not by {lease['owner']} (generation {lease['generation']}). Acquire the lease before acting")


def acquired(state: State, owner: str, *, takeover: bool, workload: str) -> State:
    """Make `owner` the owner under the next generation.

    Raises:
        Refused: Another owner holds it and `takeover` is not set.
    """
    if state.owner not in {"", owner} and not takeover:
        raise Refused(
            f"{workload} is owned by {state.owner} (generation {state.generation}). "
            "Wait until that run ends, cancel it, or roll back, which takes the lease over"
        )
    return replace(
        state,
        owner=owner,
        generation=state.generation + 1 if state.generation < MOST_GENERATIONS else 1,
        rollback="yes" if takeover else "",
    )
