"""Leases of a workload: acquired and released in its annotations; a state that others changed is made anew of what runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from blocks.kubernetes.objects.annotations import GENERATION, NO_STATE, PRESENT, State, acquired, is_genuine, state_of
from blocks.kubernetes.objects.config import may_be
from blocks.kubernetes.workload import Target, annotate, change, history, is_ours, orphan_of, revisions, template_of, until_unchanged, write
from blocks.platform import Lease, source_version

Json = dict[str, Any]


async def acquire_lease(target: Target, owner: str, *, takeover: bool) -> Lease:
    """Acquire the workload under the next generation, and stamp it on the other objects of a release, to fence out older writers."""

    async def once() -> Lease:
        workload = await target.read()
        found = await _to_acquire(target, workload, takeover=takeover)
        state = _naming(target, acquired(found, owner, takeover=takeover, workload=target.title), before=found)
        if not state.canary:
            state = replace(state, stood=target.started(workload))
        if takeover and target.key:  # above every earlier generation, also if others took that away
            state = replace(state, generation=max(state.generation, time.time_ns() // 1_000_000))
        await write(target, workload, state)
        return Lease(owner=owner, generation=state.generation)

    lease = await until_unchanged(once)
    for kind, name in (("HTTPRoute", target.route), ("Service", target.service), ("Deployment", target.canary)):
        if name and not (kind == "Service" and target.route):
            await until_unchanged(lambda kind=kind, name=name: _stamp(target, kind, name, lease))  # type: ignore[misc]
    return lease


async def _to_acquire(target: Target, workload: Json, *, takeover: bool) -> State:
    """Give the state that a new owner goes on from; one that others changed, or that a rollback does not find, is made of what runs.

    Forward, an owner that cannot be believed keeps the workload: only a rollback takes over.
    """
    state = state_of(workload)
    if not is_genuine(workload, target.key):
        return replace(await observed_state(target, workload), owner="" if takeover else state.owner)
    state = await _standing(target, workload, state)
    if takeover and not state.canary:
        observed = await observed_state(target, workload)
        if observed.canary or replace(state, generation=0) == NO_STATE:
            before = "" if _was_left(target, observed.previous, state) else observed.previous
            return replace(observed, previous=state.previous or before, stood=state.stood, rolled_back=state.rolled_back)
    return state


def _naming(target: Target, state: State, *, before: State) -> State:
    """Keep the names of versions: a rollback goes by those that it found, a new release by the configuration as it is."""
    if state.canary or (before.owner == state.owner and state.config):
        return state
    if not state.rollback:
        return replace(state, **PRESENT)
    return state if state.config else replace(state, config=target.config, config_parts=target.config_parts)


async def believed_state(target: Target, workload: Json) -> State:
    """Read the state of a workload; one that others changed is made of what runs."""
    if not is_genuine(workload, target.key):
        return await observed_state(target, workload)
    return await _standing(target, workload, state_of(workload))


def replaced(target: Target, workload: Json, state: State) -> str:
    """Return the version that stood here until others put another one in its place, as it is named here; "" if they did not."""
    if state.canary or not state.stood or may_be(target.started(workload), state.stood):
        return ""
    return target.named(state.stood)


async def _standing(target: Target, workload: Json, state: State) -> State:
    """Correct `previous`: what ran right before what others put here, which the cluster's history says, or what stood here.

    If they went back to an older version, it is not known: what they left is newer, and may be what they went back from. A version is as
    old as its first pod template: if they set it in the present one, that makes a new template of an old version.
    """
    if not (stood := replaced(target, workload, state)):
        return state
    runs, past = target.version(workload), [_made(target, one) for one in await history(target, workload)]
    names = [name for name in (*(name for name, _ in past), stood) if name != runs and not _was_left(target, name, state)]
    before = names[0] if names else ""
    if _is_that_before(runs, state.previous, stood=stood) or any(_is_older(runs, name, past) for name in (stood, before)):
        before = ""
    return replace(state, previous=before)


def _made(target: Target, revision: Json) -> tuple[str, str]:
    """Give the version of a revision, and when its pod template was there first (UTC)."""
    return target.version_in(template_of(revision)), str(revision["metadata"].get("creationTimestamp", ""))


def _was_left(target: Target, version: str, state: State) -> bool:
    """Say whether the last rollback took a version away, by its name here: another configuration of it may be the one that stood."""
    return version == target.named(state.rolled_back) or (may_be(version, state.rolled_back) and not may_be(version, state.stood))


def _is_that_before(runs: str, previous: str, *, stood: str) -> bool:
    """Say whether what runs is what ran before the version that stood here: in any configuration, unless that alone was changed."""
    is_another = source_version(runs) != source_version(stood)
    return may_be(runs, previous) or (is_another and source_version(runs) == source_version(previous))


def _is_older(one: str, other: str, past: Sequence[tuple[str, str]]) -> bool:
    """Say whether a version was there before another one, by the first pod template of each: others may have changed one since.

    A template that they wrote has the configuration's hash of the one that they changed.
    """
    key = str if source_version(one) == source_version(other) else source_version
    first: dict[str, str] = {}
    for name, at in past:
        first[key(name)] = min(at, first.get(key(name), at))
    return "" < first.get(key(one), "") < first.get(key(other), "")


async def observed_state(target: Target, workload: Json) -> State:
    """Make the state of what the cluster has, without our annotations: the canary's Deployment, and the revision history.

    Only the generation is taken from the annotations, so that older writers stay fenced out; the next one is higher in any case.
    """
    runs = target.version(workload)
    history = [(target.version_in(template), name) for name, template in await revisions(target, workload)]
    before, revision = next(((version, name) for version, name in history if version != runs), ("", ""))
    state = State(generation=state_of(workload).generation, previous=before)
    beside = await orphan_of(target) if target.kind == "Deployment" else None
    if beside is None:
        return state
    canary, state = target.version(beside), replace(state, config=target.config, config_parts=target.config_parts)
    if canary == runs and before:  # the workload itself was updated to it already
        return replace(state, canary=canary, baseline=before, baseline_revision=revision, percent=100, phase="promoting", previous="")
    return replace(state, canary=canary, baseline=runs, percent=100)


async def _stamp(target: Target, kind: str, name: str, lease: Lease) -> None:
    found = await target.cluster.read(kind, name)
    if found is not None and (name != target.canary or is_ours(found, target)):
        await change(target, kind, found, [annotate(found, {GENERATION: str(lease["generation"])})])


async def release_lease(target: Target, lease: Lease) -> None:
    """Release the workload if this lease still owns it."""

    async def once() -> None:
        workload = await target.read()
        state = state_of(workload)
        mine = (state.owner, state.generation) == (lease["owner"], lease["generation"])
        if mine and is_genuine(workload, target.key):
            await write(target, workload, replace(state, owner="", rollback="", **({} if state.canary else PRESENT)))

    await until_unchanged(once)
