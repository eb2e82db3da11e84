"""Canary and blue-green: a second Deployment beside the workload, which gets traffic step by step, or all at once.

At the end the workload itself is updated to the version while the second one serves, and then gets the traffic; so the manifests stay
their owner's, and no object of ours is left. Each function converges: it may be called again at any point.
"""

from __future__ import annotations

from typing import Any

from blocks.errors import BadInput, RolloutFailed, WorldMoved
from blocks.kubernetes.objects.annotations import CLEARED, aborted, is_canary, promoted
from blocks.kubernetes.objects.selectors import matches
from blocks.kubernetes.revision import expect_untouched, revision_of
from blocks.kubernetes.rollout import await_rollout
from blocks.kubernetes.routing.select import remove_canary, shift_back, undo_other_strategies
from blocks.kubernetes.routing.traffic import ALL, Traffic, drain, service_of
from blocks.kubernetes.snapshot import version_in
from blocks.kubernetes.strategies.canary import apply_beside, await_beside, beside_body, scale, stable_before
from blocks.kubernetes.strategies.prescale import prescale
from blocks.kubernetes.workload import Target, canary_of, expect_history, expect_movable, owned
from blocks.kubernetes.write import restore, set_state, template_for, try_version, write_version
from blocks.platform import Lease

Json = dict[str, Any]


async def prepare(target: Target, traffic: Traffic, version: str, lease: Lease, *, timeout_seconds: float) -> None:
    """Bring a version up beside the workload, without requests; one that is there already and has some loses them."""
    workload, state = await owned(target, lease)
    same = is_canary(state, version)
    if state.phase and same:
        return
    if target.version(workload) == version or (state.canary and not same):
        await abort(target, traffic, lease)
        workload, state = await owned(target, lease)
    if target.version(workload) == version:
        return
    expect_history(target, workload)
    expect_movable(target, workload, beside=True)
    await traffic.read()  # raises what is wrong with it before anything is deployed
    service = await service_of(target)
    template = await template_for(target, workload, state.canary or version, rollback=bool(state.rollback))
    version = target.version_in(template) if state.rollback else version
    if not state.rollback:
        await try_version(target, workload, template)
    if not state.canary:
        await remember(target, workload, version, lease)
    stable = int(workload["spec"].get("replicas", 1))
    body = beside_body(
        target, workload, template, traffic.labels(workload, service), pods=traffic.pods(0, stable), generation=lease["generation"]
    )
    await apply_beside(target, body, lease)
    await await_beside(target, version, lease, timeout_seconds=timeout_seconds)
    await traffic.attach(lease, service)
    if state.percent or await traffic.read():
        await shift(target, traffic, 0, lease)


async def shift(target: Target, traffic: Traffic, percent: int, lease: Lease) -> None:
    """Scale the canary to the pods that the share needs, then shift it; requests return to the baseline whatever state the canary is in."""
    workload, state = await owned(target, lease)
    if not state.canary:
        raise WorldMoved(f"{target.title} has no canary to send requests to; something else changed the environment")
    if percent == 0:
        await prescale(target, lease, percent=state.percent)
        await traffic.set(0, lease)
        await set_state(target, lease, percent=0)
    replicas = int(workload["spec"].get("replicas", 1))
    noted = stable_before(await canary_of(target), workload, percent=state.percent)
    await scale(target, traffic.pods(percent, max(noted, replicas)), percent, lease)
    if percent == 0:
        return
    await await_beside(target, state.canary, lease, timeout_seconds=target.rollout_seconds)
    await traffic.set(percent, lease)
    await set_state(target, lease, percent=percent)


async def promote(target: Target, traffic: Traffic, lease: Lease) -> None:
    """Promote: update the workload to the version while the canary serves, shift the traffic to it, and remove the canary."""
    workload, state = await owned(target, lease)
    if not state.canary:
        return
    version = state.canary
    if not state.phase:
        await expect_untouched(target, workload, state)
        if await traffic.read() != ALL:
            raise WorldMoved(f"{version} does not get all requests of {target.title}; it cannot be made the baseline")
        await drain(target)
    workload = await write_version(target, lease, version, {"phase": "promoting"})
    await await_stable(target, workload, version, lease)
    await prescale(target, lease, percent=ALL)
    await _remove_canary(target, traffic, lease)
    await set_state(target, lease, **CLEARED, **promoted(state), stood=target.started(workload))


async def abort(target: Target, traffic: Traffic, lease: Lease, *, waits: bool = True) -> None:
    """Abort: shift all traffic to the baseline and remove the canary, also if the traffic split is missing or rejected.

    The traffic does not wait until the workload is as it was: pods of the canary's version there are not worse than those beside it. If
    another version is started next nothing waits for stable pods, as that may be what must replace a baseline that has none.

    Raises:
        WorldMoved: The canary is removed and the workload is as it was, but requests do not reach it as before; or the workload cannot be
            made as it was. A person must fix that.
        RolloutFailed: No stable pod is available, so the requests stay; or the workload does not become as it was, and the canary stays.
    """
    trouble, fault = "", None
    workload, state = await owned(target, lease)
    updated = state.phase or (state.canary and target.version(workload) == state.canary != state.baseline)
    if updated:
        try:
            workload = await restore(target, lease, state.baseline_revision, {})
        except (RolloutFailed, WorldMoved) as error:  # by admission, or its revision is gone; the requests leave all the same
            fault = error
    beside = bool(state.canary) or await canary_of(target) is not None
    if beside:
        await prescale(target, lease, percent=ALL if state.phase else state.percent, waits=waits)
        trouble = await shift_back(target, traffic, lease)
    if fault is not None:
        raise fault
    if updated and waits:
        await await_stable(target, workload, state.baseline, lease, patient=True)
    if beside:
        await remove_canary(target, lease)
    if state.canary:
        await set_state(target, lease, **aborted(state))
    if trouble:
        raise WorldMoved(f"the canary of {target.title} was removed and {state.baseline or 'the workload'} runs as before, but {trouble}")


async def remember(target: Target, workload: Json, version: str, lease: Lease) -> None:
    """Record the baseline, and which version is rolled out."""
    name = await revision_of(target, workload)
    before = {"baseline": target.version(workload), "baseline_revision": name}
    await set_state(target, lease, **before, canary=version, config=target.config, config_parts=target.config_parts, percent=0)


async def _remove_canary(target: Target, traffic: Traffic, lease: Lease) -> None:
    """Shift the traffic first, drain, then remove the canary's objects."""
    stands = await canary_of(target) is not None
    if stands:
        await traffic.set(0, lease)
    await traffic.detach(lease)
    await undo_other_strategies(target, traffic, lease, stands=stands)
    await remove_canary(target, lease)


async def await_stable(target: Target, workload: Json, version: str, lease: Lease, *, patient: bool = False) -> None:
    """Wait until the workload itself runs a version everywhere; patiently in a rollback, until the time is up."""

    def is_new(pod: Json) -> bool:
        beside = matches({"matchLabels": target.canary_selector}, pod["metadata"].get("labels") or {})
        return not beside and version_in(target, pod) == version

    await await_rollout(
        target,
        workload,
        kind=target.kind,
        version=version,
        lease=lease,
        is_new=is_new,
        timeout_seconds=target.rollout_seconds,
        patient=patient,
    )


def expect_deployment(target: Target, strategy: str) -> None:
    """Refuse a strategy that a StatefulSet cannot follow.

    Raises:
        BadInput: Only Deployments can run twice.
    """
    if target.kind != "Deployment" and strategy != "rolling":
        wrong = f"a {target.kind} cannot run twice, which {strategy} needs"
        raise BadInput(wrong, field="strategy", fix="Use rolling, whose steps move a StatefulSet's partition")
