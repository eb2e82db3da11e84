"""Prepare a version, and record why one does not come up: its last lines, its events, its exit status."""

from __future__ import annotations

from blocks.errors import RolloutFailed
from blocks.platform import Lease, Platform, Position
from flows.lifecycle.context import Phase
from tasks.lifecycle.retries import named
from tasks.rollout.rollout import prepare_revision


async def prepare(
    phase: Phase, platform: Platform, version: str, *, environment: str, lease: Lease, timeout_seconds: float, title: str, key: str
) -> Position:
    """Start a version as the canary without traffic, see `prepare_revision`.

    Args:
        phase: Whose record it is.
        platform: The environment.
        version: What to start.
        environment: The environment's name.
        lease: The lease under which it is started.
        timeout_seconds: It must be ready by then.
        title: The task's name.
        key: The step's key within the phase.

    Raises:
        RolloutFailed: It does not come up; what the platform collected is in the record.
    """
    try:
        return await named(prepare_revision, title)(
            platform, version=version, lease=lease, timeout_seconds=timeout_seconds, key=phase.key(key)
        )
    except RolloutFailed as error:
        what = f"{version} does not come up in {environment}"
        evidence = {"outcome": "failed", "log": list(error.evidence)}
        await phase.append(what, kind="note", environment=environment, name=f"{key} failed", why=str(error), evidence=evidence)
        raise
