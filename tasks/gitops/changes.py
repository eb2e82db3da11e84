"""The commits of a release: written, brought into the branch and followed, and what is wrong if they did not set what they should."""

from __future__ import annotations

import secrets
from dataclasses import replace

from blocks.errors import RolloutFailed, ShipwayError, WorldMoved
from blocks.platform import About, Lease
from tasks.gitops.parts import Parts
from tasks.gitops.review import review_change
from tasks.lifecycle.retries import retried
from tasks.rules.gitops.edit import Edit
from tasks.rules.gitops.message import Change
from tasks.rules.gitops.note import Note, key_of
from tasks.rules.gitops.reviewed import differing
from tasks.rules.gitops.weights import changes_something


def change_for(parts: Parts, version: str, lease: Lease, edits: tuple[Edit, ...], *, step: str = "") -> Change:
    """Write a change of a release, under a key that no other one has."""
    about = parts.about or About(release=lease["owner"], service=parts.kubernetes.workload, digest="", approvers=[], reason="")
    return Change(
        key=key_of(about["release"], parts.title, version, nonce=secrets.token_hex(6)),
        edits=edits,
        service=about["service"],
        version=version,
        release=about["release"],
        digest=about["digest"],
        approvers=tuple(about["approvers"]),
        reason=about["reason"],
        token=lease["generation"],
        step=step,
    )


async def commit(parts: Parts, note: Note, change: Change, lease: Lease) -> str:
    """Commit a change and see it deployed; gives the commit, or the head of a branch that said so when it was reviewed."""
    change = replace(change, token=lease["generation"])
    made = await parts.way(note, lease).bring_in(change, known_head=note.head, at_once=note.rolls_back)
    if made.commit is None and changes_something(change):
        raise WorldMoved(f"Git says {change.version} already, by a commit that is not this release's. Look at it, then release again")
    head = made.commit or made.head
    await parts.deployed(head, note=change.release, timeout_seconds=parts.settings.sync_timeout_seconds)
    return head


async def not_set(parts: Parts, change: Change, head: str, runs: str, *, field: str = "edits", what: str = "") -> ShipwayError:
    """Say why a deployed commit did not set its object: another commit set our values since, or our edits are not of this object.

    Args:
        parts: The environment.
        change: What was committed.
        head: The commit.
        runs: The version that the object is set to.
        field: The block's field that names the edits.
        what: The object; empty is the workload.
    """
    said = f"{head[:12]} is deployed, but {what or parts.title} is set to {runs}, not to {change.version}"
    try:
        found = await retried(review_change)(parts.git, change.edits)
    except ShipwayError as error:
        return RolloutFailed(f"{said}. Whether another commit set that is not known: {error}")
    if others := differing(found.places, change.edits):
        return WorldMoved(f"{said}: another commit changed it. In {found.head[:12]} {'; '.join(others)}. Look at it, then release again")
    return RolloutFailed(f"{said}. Fix `{field}` of the block: they must set the image of this {'canary' if what else 'workload'}")
