"""Followed rollout: others write the pod template (a GitOps engine, from Git); this notes what is under way and waits for the pods.

Nothing here writes the template, so no field of the manifest changes hands. A note on the workload, written under the lease, holds what
must be known to undo the change that the others apply.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from blocks.errors import WorldMoved
from blocks.kubernetes.objects.annotations import CLEARED, State
from blocks.kubernetes.objects.diff import diff
from blocks.kubernetes.revision import revision_of
from blocks.kubernetes.routing.select import traffic_of
from blocks.kubernetes.strategies.beside import abort as abort_beside
from blocks.kubernetes.strategies.beside import await_stable
from blocks.kubernetes.workload import Target, expect_history, expect_movable, orphan_of, owned, until_unchanged, write
from blocks.kubernetes.write import applied_body, apply, fields_of, new_template
from blocks.platform import Lease

Json = dict[str, Any]


async def expect_startable(target: Target, version: str) -> list[str]:
    """Let the cluster try the version's image without running it.

    Returns:
        A line for each field that would change.

    Raises:
        ShipwayError: The cluster would refuse it, or the workload could not be rolled back.
    """
    workload = await target.read()
    expect_history(target, workload)
    expect_movable(target, workload, beside=False)
    body = applied_body(target, workload, new_template(target, workload, version))
    del body["spec"]["template"]["metadata"]  # the labels and annotations of a version are written in Git, if anywhere
    trying = replace(target, force_conflicts=True)  # the image is the engine's field, and only a dry run takes it
    return diff(workload, await apply(trying, target.kind, body, dry_run=True), kind=target.kind, name=target.workload)


async def begin(target: Target, version: str, lease: Lease, *, note: str) -> None:
    """Note what serves, which version is to come, and what undoes it; what another strategy left beside the workload goes first."""
    if target.kind == "Deployment" and await orphan_of(target) is not None:
        await abort_beside(target, traffic_of(target, "canary"), lease)
    workload, _ = await owned(target, lease)
    before = {"baseline": target.version(workload), "baseline_revision": await revision_of(target, workload)}
    await keep(target, lease, note=note, **before, canary=version, percent=0)


async def keep(target: Target, lease: Lease, *, note: str | None, **fields: Any) -> None:
    """Write the note (None removes it) and a change of the state in one request, for the newest owner only."""

    async def once() -> None:
        workload, state = await owned(target, lease)
        wanted = State(**{**fields_of(state), **fields, "gitops": note or ""})
        if wanted != state:
            await write(target, workload, wanted)

    await until_unchanged(once)


async def await_version(target: Target, version: str, lease: Lease, *, patient: bool = False) -> None:
    """Wait until the workload runs a version everywhere, which others have written to it.

    Raises:
        WorldMoved: It is not set to this version.
        RolloutFailed: The version does not come up.
    """
    workload, _ = await owned(target, lease)
    runs = target.version(workload)
    if runs != version:
        raise WorldMoved(f"{target.title} is set to {runs}, not to {version}")
    await await_stable(target, workload, version, lease, patient=patient)


async def forget(target: Target, lease: Lease) -> None:
    """Forget the canary and the note: the workload is as it was before, and a rollback stays one."""
    await keep(target, lease, note=None, **{name: value for name, value in CLEARED.items() if name != "rollback"})
