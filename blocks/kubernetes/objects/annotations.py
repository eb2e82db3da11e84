"""What Shipway remembers on a workload, as annotations that `kubectl describe` shows, and who may change it. Values in, values out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from blocks.errors import Refused, Superseded
from blocks.platform import Lease, source_version

Json = dict[str, Any]
PREFIX = "shipway.dev/"
GENERATION = f"{PREFIX}generation"


@dataclass(frozen=True, slots=True)
class State:
    """The annotations of one workload, each `shipway.dev/<field>` with dashes; an empty one is left out.

    Fields:
        owner: Who claimed it.
        generation: The newest generation given out.
        back: "yes" where the owner took it over to go back: then a version is brought up as its revision was, not as the present one is.
        baseline: The version that serves while another is being brought in.
        baseline_revision: The ReplicaSet or ControllerRevision that holds its pod template.
        canary: The version being brought in.
        percent: The share of traffic asked for it.
        config: The hash of the configuration that it is brought in with, which counts as the present one meanwhile.
        config_parts: The digests of its parts.
        phase: "promoting" while the workload itself is brought to the canary's version.
        previous: The version that served before the last promotion.
    """

    owner: str = ""
    generation: int = 0
    back: str = ""
    baseline: str = ""
    baseline_revision: str = ""
    canary: str = ""
    percent: int = 0
    config: str = ""
    config_parts: str = ""
    phase: str = ""
    previous: str = ""


NOBODY = State()


def state_of(workload: Json) -> State:
    """Read the annotations; what somebody edited into nonsense counts as not there."""
    annotations = workload["metadata"].get("annotations") or {}
    found: dict[str, Any] = {field.name: str(annotations.get(key_of(field.name), "")) for field in fields(State)}
    for name in ("generation", "percent"):
        found[name] = int(found[name]) if found[name].isdecimal() else 0
    return State(**found)


def key_of(field: str) -> str:
    """Name the annotation of a field."""
    return PREFIX + field.replace("_", "-")


def is_brought(state: State, version: str) -> bool:
    """Say whether this version is the one being brought in; a way back is called by the configuration that its revision has, too."""
    return bool(state.canary) and (state.canary == version or bool(state.back and source_version(state.canary) == version))


def annotations_of(state: State) -> dict[str, str | None]:
    """Write a state as a merge patch of annotations: None takes one away. The generation stays also when it is all there is."""
    return {key_of(field.name): str(value) if (value := getattr(state, field.name)) else None for field in fields(State)}


def check_lease(state: State, lease: Lease, *, workload: str) -> None:
    """Let only the newest owner act.

    Raises:
        Superseded: A newer claim was made.
        Refused: Nobody, or somebody else, owns the workload under this generation.
    """
    if lease["generation"] < state.generation:
        raise Superseded(
            f"{workload} was claimed by {state.owner or 'nobody'} under generation {state.generation}; "
            f"generation {lease['generation']} of {lease['owner']} may not act any more. Stop, and start a new release where one is wanted"
        )
    if state.owner != lease["owner"] or lease["generation"] != state.generation:
        holder = state.owner or "nobody"
        raise Refused(
            f"{workload} is owned by {holder}, not by {lease['owner']} (generation {lease['generation']}). Claim it before acting"
        )


def claimed(state: State, owner: str, *, takeover: bool, workload: str) -> State:
    """Make `owner` the owner under the next generation.

    Raises:
        Refused: Another owner holds it and `takeover` is not set.
    """
    if state.owner not in {"", owner} and not takeover:
        raise Refused(
            f"{workload} is owned by {state.owner} (generation {state.generation}). "
            "Wait until that run ends, cancel it, or roll back, which takes it over"
        )
    return replace(state, owner=owner, generation=state.generation + 1, back="yes" if takeover else "")
