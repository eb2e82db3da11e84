"""Pod templates: which version one runs, and a copy for another version. Values in, values out."""

from __future__ import annotations

import copy
import re
from typing import Any

from blocks.errors import BadInput
from blocks.platform import source_version

Json = dict[str, Any]
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+-]{0,127}")
TAG = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}")
LABEL = re.compile(r"([0-9A-Za-z]([0-9A-Za-z_.-]{0,61}[0-9A-Za-z])?)?")
VERSION_LABEL = "app.kubernetes.io/version"
VERSION_ANNOTATION = "shipway.dev/version"
HASH_LABEL = "pod-template-hash"


def container_of(template: Json, *, name: str, image: str) -> Json:
    """Find the container that carries the version.

    Args:
        template: The pod template.
        name: The container's name; empty takes the only one, or the only one whose repository `image` names, or the first.
        image: The block's template of an image, or empty.

    Raises:
        BadInput: The workload does not have this container.
    """
    containers: list[Json] = template["spec"]["containers"]
    if name:
        for container in containers:
            if container["name"] == name:
                return container
        there = ", ".join(container["name"] for container in containers)
        raise BadInput(f"the workload has no container {name}", field="container", fix=f"Name one of {there}")
    repository = repository_of(image.replace("{version}", "v"))
    same = [container for container in containers if repository_of(container["image"]) == repository]
    return same[0] if len(same) == 1 else containers[0]


def repository_of(image: str) -> str:
    """Cut tag and digest off an image's name; a port of the registry stays."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def image_for(version: str, *, pattern: str, present: str) -> str:
    """Name the image of a version.

    Args:
        version: The version.
        pattern: The block's image with `{version}`; empty replaces the present image's tag with the version.
        present: The image that runs.

    Raises:
        BadInput: The version is not valid, or cannot be an image's tag.
    """
    if not VERSION.fullmatch(version):
        fix = "Use up to 128 letters, digits, dots, dashes, underscores and plus signs, beginning with a letter or digit"
        raise BadInput(f"{version[:40]!r} is not a version", field="version", fix=fix)
    image = (pattern or f"{repository_of(present)}:{{version}}").replace("{version}", version)
    if not TAG.fullmatch(image.removeprefix(f"{repository_of(image)}:").partition("@")[0]):
        fix = "Name the image by another version; a tag has letters, digits, dots, dashes and underscores only"
        raise BadInput(f"{version} makes {image}, which is not an image's name", field="version", fix=fix)
    return image


def version_of(template: Json, *, name: str, pattern: str) -> str:
    """Return which version a pod template runs, also one that Shipway never changed.

    Our own annotation counts if the image still belongs to it; then the image itself by the block's pattern; then the
    recommended label; then the image's tag or digest.
    """
    image = str(container_of(template, name=name, image=pattern)["image"])
    metadata = template.get("metadata") or {}
    noted = (metadata.get("annotations") or {}).get(VERSION_ANNOTATION, "")
    if noted and _is_image_of(noted, image, pattern=pattern):
        return str(noted)
    before, _, after = pattern.partition("{version}")
    if pattern and image.startswith(before) and image.endswith(after) and len(image) > len(before) + len(after):
        return image[len(before) : len(image) - len(after)]
    labelled = (metadata.get("labels") or {}).get(VERSION_LABEL, "")
    tag = image.partition("@")[0].removeprefix(repository_of(image)).removeprefix(":")
    digest = image.partition("@")[2].removeprefix("sha256:")[:12]
    return (tag if noted else str(labelled) or tag) or digest or "latest"


def _is_image_of(version: str, image: str, *, pattern: str) -> bool:
    try:
        return image_for(version, pattern=pattern, present=image) == image
    except BadInput:
        return False


def with_version(template: Json, version: str, *, name: str, pattern: str, fixed_labels: Json) -> Json:
    """Copy a pod template for another version: image, our annotation, and the recommended label.

    Args:
        template: The template to copy; it stays as it is.
        version: The version.
        name: The container, as in `container_of`.
        pattern: The image, as in `image_for`.
        fixed_labels: Labels that a selector needs as they are.
    """
    new = copy.deepcopy(template)
    version = source_version(version)
    container = container_of(new, name=name, image=pattern)
    container["image"] = image_for(version, pattern=pattern, present=container["image"])
    metadata = new.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    metadata.setdefault("annotations", {})[VERSION_ANNOTATION] = version
    if VERSION_LABEL not in fixed_labels:
        metadata.setdefault("labels", {})[VERSION_LABEL] = label_of(version)
    return new


def label_of(version: str) -> str:
    """Make a label's value of a version: plus signs are not allowed there, nor more than 63 characters."""
    value = version.replace("+", "_")[:63].rstrip("._-")
    return value if LABEL.fullmatch(value) else ""


def without_hash(template: Json) -> Json:
    """Copy a ReplicaSet's template as the Deployment had it."""
    new = copy.deepcopy(template)
    metadata = new.setdefault("metadata", {})
    metadata.pop("creationTimestamp", None)
    (metadata.get("labels") or {}).pop(HASH_LABEL, None)
    return new
