"""Rolling update: the workload's own rollout, watched to its end; a StatefulSet may go in steps, by its partition."""

from __future__ import annotations

from blocks.errors import BadInput, WorldMoved
from blocks.kubernetes.objects.annotations import CLEARED, aborted, is_canary, promoted
from blocks.kubernetes.revision import expect_untouched, expect_version
from blocks.kubernetes.routing.select import traffic_of
from blocks.kubernetes.stateful import free_stuck, restore_partition, set_partition
from blocks.kubernetes.strategies.beside import abort as abort_beside
from blocks.kubernetes.strategies.beside import await_stable, remember
from blocks.kubernetes.workload import Target, expect_history, expect_movable, orphan_of, owned
from blocks.kubernetes.write import restore, set_state, template_for, try_version, write_version
from blocks.platform import Lease

ALL = 100


async def prepare(target: Target, version: str, lease: Lease) -> None:
    """Let the cluster try the version without running it, and remember what serves; what another strategy left beside it goes first.

    A version that runs in some pods already is undone there, so that it begins at 0 %.
    """
    if target.kind == "Deployment" and await orphan_of(target) is not None:
        await abort_beside(target, traffic_of(target, "canary"), lease)
    workload, state = await owned(target, lease)
    if is_canary(state, version):
        if state.percent:
            await shift(target, 0, lease)
        return
    if state.canary:
        await abort(target, lease)
        workload, state = await owned(target, lease)
    if target.version(workload) == version:
        return
    expect_history(target, workload)
    expect_movable(target, workload, beside=False)
    template = await template_for(target, workload, version, rollback=bool(state.rollback))
    if not state.rollback:
        await try_version(target, workload, template)
    await remember(target, workload, target.version_in(template) if state.rollback else version, lease)


async def shift(target: Target, percent: int, lease: Lease) -> None:
    """Update a share of the pods to the version, and wait until they are ready."""
    workload, state = await owned(target, lease)
    if not state.canary:
        raise WorldMoved(f"{target.title} has no version to roll out; something else changed the environment")
    if percent == 0:
        expect_version(target, workload, state)
        await _undo(target, lease, state.baseline_revision, state.baseline)
        await set_state(target, lease, percent=0)
        return
    await expect_untouched(target, workload, state)
    if target.kind == "Deployment" and percent != ALL:
        fix = "Write one step of 100 in production.steps, or use the strategy canary"
        raise BadInput(f"a rolling update replaces all pods, not {percent} % of them", field="percent", fix=fix)
    if target.kind == "StatefulSet":
        await set_partition(target, percent, lease)
    workload = await write_version(target, lease, state.canary, {"percent": percent})
    await await_stable(target, workload, state.canary, lease)


async def promote(target: Target, lease: Lease) -> None:
    """Promote: forget the previous baseline of this release; the cluster keeps its pod template."""
    workload, state = await owned(target, lease)
    if not state.canary:
        return
    await expect_untouched(target, workload, state)
    if state.percent != ALL or target.version(workload) != state.canary:
        raise WorldMoved(f"{state.canary} does not run everywhere in {target.title}; it cannot be made the baseline")
    await await_stable(target, workload, state.canary, lease)
    await restore_partition(target, lease)
    await set_state(target, lease, **CLEARED, **promoted(state), stood=target.started(workload))


async def abort(target: Target, lease: Lease, *, waits: bool = True) -> None:
    """Abort: roll back to exactly the baseline's pod template, and wait for its pods unless another version is started next."""
    workload, state = await owned(target, lease)
    if not state.canary:
        return
    if state.percent or target.version(workload) != state.baseline:
        await _undo(target, lease, state.baseline_revision, state.baseline, waits=waits)
    await restore_partition(target, lease)
    await set_state(target, lease, **aborted(state))


async def _undo(target: Target, lease: Lease, revision: str, version: str, *, waits: bool = True) -> None:
    """Restore the previous template before the partition: else the pods that never ran the version would be updated to it."""
    workload = await restore(target, lease, revision, {})
    if target.kind == "StatefulSet":
        await set_partition(target, ALL, lease)
        await free_stuck(target, lease)
        workload = await target.read()
    if waits:
        await await_stable(target, workload, version, lease, patient=True)
