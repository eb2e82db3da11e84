"""Configuration by hash: which ConfigMaps and Secrets a pod template reads, and whether they changed since its pods started.

A change of configuration alone is a release, too: the baseline is then called `VERSION+config.HASH`, by the content it was started with,
and `VERSION` deploys the present content.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from blocks.errors import BadInput
from blocks.kubernetes.api.client import Cluster
from blocks.platform import CONFIGURATION

Json = dict[str, Any]
CONFIG_ANNOTATION = "shipway.dev/config"
PARTS_ANNOTATION = "shipway.dev/config-parts"
DATA = ("data", "binaryData")
LENGTH, PART_LENGTH = 10, 8
LONGEST_PARTS = 16_000
MOST_KEYS = 10


class Configuration(NamedTuple):
    """Configuration that pods read besides their template.

    Fields:
        hash: Ten hexadecimal digits over all content; empty if there is none.
        parts: As JSON, a digest of each key of each object, to report later which of them changed; empty with the hash.
    """

    hash: str = ""
    parts: str = ""


async def read_configuration(cluster: Cluster, template: Json, *, ignored: Collection[str] = ()) -> Configuration:
    """Hash the content of all that a pod template reads; only hashes are kept.

    Args:
        cluster: The cluster.
        template: The pod template.
        ignored: Objects that do not count, for example `Secret/shop-tls`.

    Raises:
        BadInput: The account may not read one of them.
    """
    wanted = sorted(one for one in set(references(template)) if "/".join(one) not in ignored)
    if not wanted:
        return Configuration()
    try:
        found = await asyncio.gather(*(cluster.read(kind, name) for kind, name in wanted))
    except BadInput as error:
        raise BadInput(
            f"the configuration cannot be read to be hashed ({error})",
            field="config_by_hash",
            fix="Allow it in the Role, name it in config_ignore, or switch config_by_hash off, so that such changes are not released",
        ) from None
    content = [
        [kind, name, {part: one.get(part) or {} for part in DATA} if one else None] for (kind, name), one in zip(wanted, found, strict=True)
    ]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:LENGTH]
    return Configuration(digest, _parts({f"{kind}/{name}": one for (kind, name), one in zip(wanted, found, strict=True)}))


def _parts(objects: Mapping[str, Json | None]) -> str:
    """Write a digest of each key, or of each object if these are too many; a missing one has none."""
    by_key = {
        name: one and {key: _digest(one, value) for part in DATA for key, value in (one.get(part) or {}).items()}
        for name, one in objects.items()
    }
    text = json.dumps(by_key, sort_keys=True)
    if len(text) <= LONGEST_PARTS:
        return text
    return json.dumps({name: one and _digest(one, [one.get(part) for part in DATA]) for name, one in objects.items()}, sort_keys=True)


def _digest(found: Json, value: Any) -> str:
    """Digest a value with its object's uid as salt: without the right to read the object, passwords cannot be tried against it."""
    key = str((found.get("metadata") or {}).get("uid", "")).encode()
    return hmac.new(key, json.dumps(value, sort_keys=True).encode(), "sha256").hexdigest()[:PART_LENGTH]


def started_with(template: Json) -> Configuration:
    """Return the configuration that was noted when the pods of a template started."""
    noted = (template.get("metadata") or {}).get("annotations") or {}
    return Configuration(noted.get(CONFIG_ANNOTATION, ""), noted.get(PARTS_ANNOTATION, ""))


def noted_on(template: Json, now: Configuration) -> dict[str, str]:
    """Return the annotations that record the configuration with which pods start; parts of unchanged content stay."""
    if not now.hash:
        return {}
    noted = (template.get("metadata") or {}).get("annotations") or {}
    same = noted.get(CONFIG_ANNOTATION) == now.hash and PARTS_ANNOTATION in noted
    parts = noted[PARTS_ANNOTATION] if same else now.parts
    return {CONFIG_ANNOTATION: now.hash} | ({PARTS_ANNOTATION: parts} if parts else {})


def changed_configuration(template: Json, now: Configuration) -> list[str]:
    """Return how the configuration differs from the one that pods were started with: objects and keys, without content.

    Args:
        template: The pod template as it is.
        now: The present configuration.

    Returns:
        A line for each object; empty if it is the same, or if it was never recorded.
    """
    noted = (template.get("metadata") or {}).get("annotations") or {}
    before = noted.get(CONFIG_ANNOTATION, "")
    if not before or before == now.hash:
        return []
    try:
        old, new = json.loads(noted[PARTS_ANNOTATION]), json.loads(now.parts or "{}")
        lines = [
            f"{name.replace('/', ' ')}: {_changed(old, new, name)}"
            for name in sorted({*old, *new})
            if old.get(name, "") != new.get(name, "")
        ]
    except (KeyError, ValueError, TypeError, AttributeError):
        lines = []
    return lines or [f"configuration: its content changed ({before} → {now.hash or 'none'}); in which object is not known"]


def _changed(old: Json, new: Json, name: str) -> str:
    if name not in old or name not in new:
        return "is read from now on" if name in new else "no longer counts"
    before, after = old[name], new[name]
    if before is None or after is None:
        return "exists now" if before is None else "does not exist any more"
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return "its content changed"
    said = [
        f"{key} {'is new' if key not in before else 'was removed' if key not in after else 'changed'}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]
    return ", ".join(said[:MOST_KEYS]) + (f" and {len(said) - MOST_KEYS} more" if len(said) > MOST_KEYS else "")


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
    """Return the suffix of a version that was started with another configuration than the present one; else "".

    Args:
        template: The pod template, or a pod.
        now: The present hash; empty if it is not known or there is none.
    """
    noted = ((template.get("metadata") or {}).get("annotations") or {}).get(CONFIG_ANNOTATION, "")
    return f"{CONFIGURATION}{noted}" if noted and now and noted != now else ""


def may_be(one: str, other: str) -> bool:
    """Return whether two versions can be the same one: a name without a hash is any of its configurations."""
    (source, _, config), (other_source, _, other_config) = (name.partition(CONFIGURATION) for name in (one, other))
    return source == other_source and (not config or not other_config or config == other_config)
