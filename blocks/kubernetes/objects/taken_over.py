"""What a rollback wrote on a workload that it took over, in this process: others may annotate the workload whenever they like.

They could write another owner each time they see the rollback's, and it would never come to its work. So it goes by what it wrote itself,
unless an installation with our key has acquired the workload since.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from blocks.kubernetes.objects.annotations import SEAL, State, is_genuine, key_of, state_of

Json = dict[str, Any]
STATE_KEYS = frozenset({SEAL, *(key_of(field.name) for field in fields(State))})
_written: dict[str, dict[str, str]] = {}  # the annotations of a state, by the workload's UID


def remember(uid: str, state: State, annotations: dict[str, str | None]) -> None:
    """Remember what was written by a rollback that took the workload over, until it releases it; else forget what was written before.

    Args:
        uid: The workload's UID.
        state: The state.
        annotations: The same as annotations, None for one that is left out.
    """
    before = _written.get(uid, {}).get(key_of("owner"))
    if state.owner and (state.rollback or state.owner == before):  # a promotion ends what is written of the rollback, not its lease
        _written[uid] = {name: value for name, value in annotations.items() if value is not None}
    else:
        _written.pop(uid, None)


def as_written(workload: Json, key: bytes) -> Json:
    """Return a workload with the state that a rollback of this process wrote, if others changed it since.

    Args:
        workload: As it was read.
        key: What states are sealed with; without a key it cannot be told who wrote a state, and it is returned as it is.
    """
    written = _written.get(workload["metadata"].get("uid", ""))
    if not key or written is None:
        return workload
    found = workload["metadata"].get("annotations") or {}
    if {name: value for name, value in found.items() if name in STATE_KEYS} == written:
        return workload
    others = {name: value for name, value in found.items() if name not in STATE_KEYS}
    ours = {**workload, "metadata": {**workload["metadata"], "annotations": {**others, **written}}}
    is_newer = is_genuine(workload, key) and state_of(workload).generation > state_of(ours).generation
    return workload if is_newer else ours
