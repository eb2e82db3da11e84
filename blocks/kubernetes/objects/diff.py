"""Diff of two states of an object, as lines for people without secrets. Values in, lines out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from blocks.kubernetes.objects.annotations import PREFIX
from blocks.kubernetes.objects.secrets import CREDENTIALS, SECRET_NAME

Json = dict[str, Any]
NOTHING = "(nothing)"
LONGEST_VALUE = 120
# Fields of `metadata` that the cluster writes itself; everything else there is configuration.
CLUSTERS_OWN = {"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink", "namespace", "name"}
NOTES = (PREFIX, "deployment.kubernetes.io/", "kubectl.kubernetes.io/last-applied-configuration", "kubectl.kubernetes.io/restartedAt")
SECRET_DATA = {"data", "stringData"}
MASK = "********"
# Below these the keys are chosen by people, and may name a secret.
PEOPLES_KEYS = ("annotations", "labels", "data")


class Leaf(NamedTuple):
    """Leaf: one value of an object, and whether people may see it."""

    text: str
    secret: bool = False

    def __str__(self) -> str:
        """Show it in one line of bounded length."""
        if self.secret:
            return MASK
        flat = CREDENTIALS.sub(rf"\1{MASK}@", " ".join(self.text.split())) or json.dumps(self.text)
        return flat if len(flat) <= LONGEST_VALUE else f"{flat[:LONGEST_VALUE]} …"


def diff(before: Json | None, after: Json | None, *, kind: str, name: str) -> list[str]:
    """Compare two states of one object.

    Args:
        before: As it is, or None if it does not exist.
        after: As it would be, or None if it would be removed.
        kind: Its kind.
        name: Its name.

    Returns:
        A line a field, `Deployment shop: spec.replicas: 2 → 3`; an object that is added or removed is one line. What the cluster
        and Shipway write for themselves is left out; for secrets only the fact that they differ is shown.
    """
    title = f"{kind} {name}"
    if before is None or after is None:
        return [] if before is after else [f"{title}: would be created"] if before is None else [f"{title}: would be removed"]
    return [f"{title}: {line}" for line in compare(leaves(before, kind=kind), leaves(after, kind=kind))]


def compare(old: Mapping[str, Leaf], new: Mapping[str, Leaf]) -> list[str]:
    """Compare two states leaf by leaf, in the order of the old one, what is new last."""
    paths = [*old, *(path for path in new if path not in old)]
    return [f"{path}: {_said(old.get(path))} → {_said(new.get(path))}" for path in paths if old.get(path) != new.get(path)]


def _said(leaf: Leaf | None) -> str:
    return NOTHING if leaf is None else str(leaf)


def leaves(found: Json, *, kind: str) -> dict[str, Leaf]:
    """Flatten an object into its values by path; entries of a list go by their names if they have them."""
    wanted = {key: value for key, value in found.items() if key not in {"apiVersion", "kind", "status", "metadata"}}
    metadata = {key: value for key, value in (found.get("metadata") or {}).items() if key not in CLUSTERS_OWN}
    flat = {**dict(_walk(metadata, "metadata")), **dict(_walk(wanted, ""))}
    if kind == "Secret":
        flat = {path: leaf._replace(secret=leaf.secret or path.partition(".")[0] in SECRET_DATA) for path, leaf in flat.items()}
    return flat


def _walk(value: Any, path: str, *, secret: bool = False) -> Iterator[tuple[str, Leaf]]:
    if isinstance(value, dict) and value:
        theirs = path.endswith(PEOPLES_KEYS)
        for key, member in value.items():
            if not (path.endswith("annotations") and key.startswith(NOTES)):
                yield from _walk(member, f"{path}.{key}".removeprefix("."), secret=secret or (theirs and _names_secret(key)))
    elif isinstance(value, list) and value:
        yield from _walk_list(value, path, secret=secret)
    elif value not in ({}, [], None):
        yield path, Leaf(value if isinstance(value, str) else json.dumps(value), secret)


def _walk_list(members: list[Any], path: str, *, secret: bool) -> Iterator[tuple[str, Leaf]]:
    names = [one.get("name") if isinstance(one, dict) else None for one in members]
    by_name = all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names)
    hides = secret
    for number, (name, member) in enumerate(zip(names, members, strict=True)):
        place = f"{path}[{name if by_name else number}]"
        if isinstance(member, str):
            option, equals, _ = member.partition("=")
            yield from _walk(member, place, secret=hides or bool(equals and _names_secret(option)))
            # The word behind an option that names a secret is one: `--password`, `hush`.
            hides = secret or (member.startswith("-") and not equals and _names_secret(option))
        elif isinstance(member, dict):
            rest = {key: inner for key, inner in member.items() if not (by_name and key == "name")}
            if not rest:
                yield place, Leaf("there")
            for key, inner in rest.items():
                yield from _walk(inner, f"{place}.{key}", secret=secret or (key == "value" and _names_secret(str(name))))
        else:
            yield from _walk(member, place, secret=secret)


def _names_secret(word: str) -> bool:
    """Return whether a name is that of a secret."""
    return bool(SECRET_NAME.search(word.replace("-", "_")))
