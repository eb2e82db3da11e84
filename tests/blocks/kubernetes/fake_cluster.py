"""An API server in memory, written by hand: it keeps objects, counts their versions, and knows JSON Patch and a plain apply."""

from __future__ import annotations

import copy
import itertools
from typing import Any

from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.errors import Changed, Missing
from blocks.kubernetes.objects.selectors import matches

Json = dict[str, Any]


class FakeCluster(Cluster):
    """Holds objects by kind and name.

    Fields:
        objects: What is there.
        writes: Each write as `verb Kind/name`, in their order.
    """

    def __init__(self, *objects: Json) -> None:
        """Hold these objects."""
        super().__init__(None, "shop")
        self.numbers = itertools.count(1)
        self.objects: dict[tuple[str, str], Json] = {}
        self.writes: list[str] = []
        for one in objects:
            self.put(one)

    def put(self, found: Json) -> Json:
        """Store an object under a new resourceVersion."""
        new = copy.deepcopy(found)
        new["metadata"]["resourceVersion"] = str(next(self.numbers))
        new["metadata"].setdefault("uid", f"uid-{new['metadata']['name']}")
        self.objects[new["kind"], new["metadata"]["name"]] = new
        return copy.deepcopy(new)

    async def read(self, kind: str, name: str) -> Json | None:
        """Read an object."""
        return copy.deepcopy(self.objects.get((kind, name)))

    async def list(self, kind: str, *, labels: str = "", fields: str = "") -> list[Json]:
        """List a kind by equal labels."""
        del fields
        selector = {"matchLabels": dict(part.split("=", 1) for part in labels.split(",") if "=" in part)}
        return [
            copy.deepcopy(one)
            for (found, _), one in self.objects.items()
            if found == kind and matches(selector, one["metadata"].get("labels") or {})
        ]

    async def patch(
        self, kind: str, name: str, body: Any, *, content_type: str, dry_run: bool = False, force: bool | None = None, status: str = ""
    ) -> Json:
        """Patch by the operations that Shipway uses, or apply by merging."""
        del content_type, force, status
        found = copy.deepcopy(self.objects.get((kind, name)))
        new = _patched(found, body, f"{kind}/{name}") if isinstance(body, list) else _merged(found or {}, body)
        if dry_run:
            return new
        self.writes.append(f"{'patch' if found else 'make'} {kind}/{name}")
        return self.put(new)

    async def delete(self, kind: str, found: Json) -> None:
        """Delete exactly what was read."""
        key = (kind, found["metadata"]["name"])
        if key in self.objects and self.objects[key]["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise Changed(f"{key} was changed")
        self.writes.append(f"delete {kind}/{key[1]}")
        self.objects.pop(key, None)


def _patched(found: Json | None, steps: list[Json], what: str) -> Json:
    if found is None:
        raise Missing(f"{what} is not there")
    for step in steps:
        *parents, last = step["path"].strip("/").split("/")
        holder = found
        for part in parents:
            holder = holder[part]
        if step["path"] == "/metadata/resourceVersion" and holder.get(last) != step["value"]:
            raise Changed(f"{what} was changed")
        holder[last] = copy.deepcopy(step["value"])
    return found


def _merged(old: Json, new: Json) -> Json:
    version = (new.get("metadata") or {}).get("resourceVersion")
    if version and version != old.get("metadata", {}).get("resourceVersion"):
        raise Changed("it was changed")
    found = copy.deepcopy(old)
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged(found[key], {name: part for name, part in value.items() if name != "resourceVersion"})
        elif key == "containers" and isinstance(found.get(key), list):
            ours = {one["name"]: one for one in value}
            found[key] = [{**one, **ours.get(one["name"], {})} for one in found[key]]
        else:
            found[key] = copy.deepcopy(value)
    return found


def template(version: str, *, config: str = "", **container: Any) -> Json:
    """Write the pod template of a version that Shipway brought."""
    annotations = {"shipway.dev/version": version} | ({"shipway.dev/config": config} if config else {})
    labels = {"app": "web", "app.kubernetes.io/version": version}
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {"containers": [{"name": "web", "image": f"shop/web:{version}", **container}]},
    }


def workload(now: Json, *, replicas: int = 2, annotations: Json | None = None, **status: Any) -> Json:
    """Write the Deployment `web` with a pod template."""
    return {
        "kind": "Deployment",
        "metadata": {"name": "web", "uid": "u", "annotations": annotations or {}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": now},
        "status": {"availableReplicas": replicas, **status},
    }


def replica_set(number: int, of: Json) -> Json:
    """Write what the cluster remembers of a pod template: the ReplicaSet `web-NUMBER`."""
    annotations = {"deployment.kubernetes.io/revision": str(number)}
    metadata = {"name": f"web-{number}", "annotations": annotations, "ownerReferences": [{"uid": "u"}], "labels": {"app": "web"}}
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {"template": of}}


def service(**annotations: str) -> Json:
    """Write the Service `web`."""
    ports = [{"name": "http", "port": 80}]
    return {
        "kind": "Service",
        "metadata": {"name": "web", "annotations": annotations},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }


def named(found: Json, name: str, **labels: str) -> Json:
    """Give an object another name, and its pods or its selector other labels."""
    new = copy.deepcopy(found)
    new["metadata"] |= {"name": name, "uid": f"uid-{name}"}
    if new["kind"] == "Service":
        new["spec"]["selector"] = labels
    else:
        new["spec"]["template"]["metadata"]["labels"] = new["spec"]["selector"]["matchLabels"] = labels
    return new
