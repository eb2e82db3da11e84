"""Writes of a version to the workload: applied as our field manager, or restored exactly from the revision history."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from blocks.errors import Refused, Superseded
from blocks.kubernetes.api.client import APPLY, MANAGER
from blocks.kubernetes.api.errors import Changed, Owned
from blocks.kubernetes.objects.annotations import State
from blocks.kubernetes.objects.config import CONFIG_ANNOTATION, PARTS_ANNOTATION, Configuration, noted_on
from blocks.kubernetes.objects.template import VERSION_ANNOTATION, VERSION_LABEL, container_of, with_version, without_hash
from blocks.kubernetes.workload import Target, annotate, change, owned, previous_template, revisions, until_unchanged, write
from blocks.platform import Lease, source_version

Json = dict[str, Any]
OUR_ANNOTATIONS = (VERSION_ANNOTATION, CONFIG_ANNOTATION, PARTS_ANNOTATION)


def new_template(target: Target, workload: Json, version: str) -> Json:
    """Make the workload's pod template for another version."""
    fixed = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    new = with_version(workload["spec"]["template"], version, name=target.container, pattern=target.image, fixed_labels=fixed)
    new["metadata"]["annotations"] |= noted_on(workload["spec"]["template"], Configuration(target.config, target.config_parts))
    return new


def applied_body(target: Target, workload: Json, template: Json) -> Json:
    """Build the body with only what a version changes: image, annotation and label; the rest is its owner's."""
    container = container_of(template, name=target.container, image=target.image)
    metadata = template.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    ours: Json = {"annotations": {name: annotations[name] for name in OUR_ANNOTATIONS if name in annotations}}
    fixed = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    if VERSION_LABEL not in fixed and VERSION_LABEL in (metadata.get("labels") or {}):
        ours["labels"] = {VERSION_LABEL: metadata["labels"][VERSION_LABEL]}
    spec = {"containers": [{"name": container["name"], "image": container["image"]}]}
    name = {"name": workload["metadata"]["name"], "namespace": target.cluster.namespace}
    return {"apiVersion": "apps/v1", "kind": target.kind, "metadata": name, "spec": {"template": {"metadata": ours, "spec": spec}}}


async def apply(target: Target, kind: str, body: Json, *, dry_run: bool = False) -> Json:
    """Apply an object as the field manager `shipway`, without force but over what we wrote ourselves.

    Raises:
        Owned: Fields belong to other managers, and the block does not allow taking them over.
    """
    name = body["metadata"]["name"]
    try:
        return await target.cluster.patch(
            kind, name, body, content_type=APPLY, dry_run=dry_run, force=True if target.force_conflicts else None
        )
    except Owned as error:
        if set(error.managers) != {MANAGER}:
            raise
        return await target.cluster.patch(kind, name, body, content_type=APPLY, dry_run=dry_run, force=True)


async def make(target: Target, kind: str, body: Json, lease: Lease, *, found: Json | None) -> None:
    """Apply an object of ours; if it is new and a newer owner came meanwhile, delete it again.

    A new object has no resourceVersion that could fence the write; so the lease is checked once more after it.

    Args:
        target: The workload.
        kind: The object's kind.
        body: The object.
        lease: Our lease.
        found: The object as it was read, or None.

    Raises:
        Superseded, Refused: Another owner holds the workload.
    """
    if found is not None:
        body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
    made = await apply(target, kind, body)
    try:
        await owned(target, lease)
    except (Superseded, Refused):
        if found is None:
            with contextlib.suppress(Changed):  # the newer owner has taken it over already
                await target.cluster.delete(kind, made)
        raise


async def try_version(target: Target, workload: Json, template: Json) -> Json:
    """Dry-run a template on the API server; rejections and conflicts are raised."""
    return await apply(target, target.kind, applied_body(target, workload, template), dry_run=True)


async def write_version(target: Target, lease: Lease, version: str, state: Mapping[str, Any]) -> Json:
    """Write a state, then set the workload's template to a version; each only over the resourceVersion that was read.

    Args:
        target: The workload.
        lease: Our lease.
        version: The version.
        state: The fields of `State` that change.

    Returns:
        The workload as it is then.
    """

    async def once() -> Json:
        workload, before = await owned(target, lease)
        wanted = State(**{**fields_of(before), **state})
        if wanted != before:
            workload = await write(target, workload, wanted)
        if target.version(workload) == version and not wanted.rollback:
            return workload
        template = await template_for(target, workload, version, rollback=bool(wanted.rollback))
        if template == workload["spec"]["template"]:
            return workload
        if wanted.rollback:
            return await replace_template(target, workload, template)
        body = applied_body(target, workload, template)
        body["metadata"]["resourceVersion"] = workload["metadata"]["resourceVersion"]
        return await apply(target, target.kind, body)

    return await until_unchanged(once)


async def template_for(target: Target, workload: Json, version: str, *, rollback: bool) -> Json:
    """Build the template of a version; in a rollback from the revision history, if it has the version."""
    if rollback:
        known = [template for _, template in await revisions(target, workload)]
        exact = [template for template in known if target.version_in(template) == version]
        alike = [template for template in known if source_version(target.version_in(template)) == version]
        if exact or alike:
            return (exact or alike)[0]
    return new_template(target, workload, version)


async def restore(target: Target, lease: Lease, name: str, state: Mapping[str, Any]) -> Json:
    """Restore exactly the pod template of a revision in the history.

    Args:
        target: The workload.
        lease: Our lease.
        name: The ReplicaSet or ControllerRevision that holds it.
        state: The fields of `State` that change with it.

    Raises:
        WorldMoved: It is not in the cluster's history any more.
    """

    async def once() -> Json:
        workload, before = await owned(target, lease)
        template = await previous_template(target, workload, name)
        wanted = State(**{**fields_of(before), **state})
        if wanted != before:
            workload = await write(target, workload, wanted)
        if without_hash(workload["spec"]["template"]) == template:
            return workload
        return await replace_template(target, workload, template)

    return await until_unchanged(once)


async def replace_template(target: Target, workload: Json, template: Json) -> Json:
    """Replace the whole pod template, exactly as the workload was read."""
    return await change(target, target.kind, workload, [{"op": "replace", "path": "/spec/template", "value": template}])


async def set_state(target: Target, lease: Lease, **fields: Any) -> Json:
    """Write a change of the state, for the newest owner only."""

    async def once() -> Json:
        workload, before = await owned(target, lease)
        wanted = State(**{**fields_of(before), **fields})
        return workload if wanted == before else await write(target, workload, wanted)

    return await until_unchanged(once)


def fields_of(state: State) -> Json:
    """Return a state's fields by name."""
    return {name: getattr(state, name) for name in State.__dataclass_fields__}


async def note(target: Target, kind: str, found: Json, wanted: dict[str, str | None], steps: list[Json]) -> Json:
    """Change an object with annotations in one request, exactly as it was read."""
    return await change(target, kind, found, [annotate(found, wanted), *steps])
