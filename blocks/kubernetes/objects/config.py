"""Configuration by hash: which ConfigMaps and Secrets a pod template reads, and whether their content is the one that it was started with.

A change of configuration alone is a release, too: what serves is then called `VERSION+config.HASH`, by the content it was started with, and
`VERSION` brings in the present content.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from blocks.errors import BadInput
from blocks.kubernetes.api.client import Cluster
from blocks.platform import CONFIGURATION

Json = dict[str, Any]
CONFIG_ANNOTATION = "shipway.dev/config"
LENGTH = 10


async def config_hash(cluster: Cluster, template: Json) -> str:
    """Hash the content of all that a pod template reads; only the hash is kept.

    Args:
        cluster: Where it is.
        template: The pod template.

    Returns:
        Ten hexadecimal digits; empty where the template reads nothing.

    Raises:
        BadInput: The account may not read one of them.
    """
    wanted = sorted(set(references(template)))
    if not wanted:
        return ""
    try:
        found = await asyncio.gather(*(cluster.read(kind, name) for kind, name in wanted))
    except BadInput as error:
        raise BadInput(
            f"the configuration cannot be read to be hashed ({error})",
            field="config_by_hash",
            fix="Allow it in the Role, or switch config_by_hash off: changes of configuration alone are no releases then",
        ) from None
    content = [
        [kind, name, {part: one.get(part) or {} for part in ("data", "binaryData")} if one else None]
        for (kind, name), one in zip(wanted, found, strict=True)
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:LENGTH]


def references(template: Json) -> Iterator[tuple[str, str]]:
    """List the ConfigMaps and Secrets that a pod template names, as (kind, name)."""
    spec = template["spec"]
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for one in container.get("envFrom") or []:
            yield from _named(one, config="configMapRef", secret="secretRef")  # noqa: S106 - the names of fields
        for one in container.get("env") or []:
            yield from _named(one.get("valueFrom") or {}, config="configMapKeyRef", secret="secretKeyRef")  # noqa: S106
    for volume in spec.get("volumes") or []:
        for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
            yield from _named(source, config="configMap", secret="secret")  # noqa: S106


def _named(holder: Json, *, config: str, secret: str) -> Iterator[tuple[str, str]]:
    for kind, field in (("ConfigMap", config), ("Secret", secret)):
        found = holder.get(field) or {}
        name = found.get("name") or found.get("secretName")
        if name:
            yield kind, str(name)


def suffix_of(template: Json, now: str) -> str:
    """Say what to add to a version that was started with another configuration than the present one; empty where it was not.

    Args:
        template: The pod template, or a pod.
        now: The present hash; empty where it is not known or nothing is read.
    """
    noted = ((template.get("metadata") or {}).get("annotations") or {}).get(CONFIG_ANNOTATION, "")
    return f"{CONFIGURATION}{noted}" if noted and now and noted != now else ""
