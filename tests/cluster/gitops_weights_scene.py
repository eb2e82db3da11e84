"""podinfo and its canary in a repository, with the route whose weights split the requests between them."""

from __future__ import annotations

from typing import Any

import yaml

from blocks.gitops.gitops import FileEdit, Weight
from tests.cluster.cluster_world import IMAGE, Gateway, deployment, http_route, service
from tests.cluster.gitops_scene import FILE, PATH
from tests.cluster.scene import FIRST
from tests.git_remotes import Repository, git

Json = dict[str, Any]
CANARY = "podinfo-canary"
NOWHERE = Gateway("none", "none", "", "")


def manifests(gateway: Gateway = NOWHERE, *, path: str = "/", bad: bool = False, level: str = "warn") -> bytes:
    """Write what its owner keeps in Git: both Deployments and Services, and the route.

    Args:
        gateway: What the route hangs on.
        path: Its prefix.
        bad: Whether the canary answers a third of the requests with an error.
        level: Of podinfo's log; at `debug` it logs every request.
    """
    both = [deployment("podinfo", FIRST), deployment(CANARY, FIRST, args=["--random-error"] if bad else [])]
    for one in both:
        one["spec"]["template"]["spec"]["containers"][0]["env"][0] = {"name": "PODINFO_LEVEL", "value": level}
    route = http_route(gateway, "podinfo", path=path, backends={"podinfo": 100, CANARY: 0})
    return yaml.safe_dump_all([*both, service("podinfo"), service(CANARY), route], sort_keys=False).encode()


def settings(file: str = FILE) -> Json:
    """Write the fields of the block."""
    place = "spec.rules[0].backendRefs[name={}].weight"
    weights: list[Weight] = [
        Weight(file=file, path=place.format("podinfo"), resource="HTTPRoute/podinfo", of="baseline"),
        Weight(file=file, path=place.format(CANARY), resource="HTTPRoute/podinfo", of="canary"),
    ]
    edit = FileEdit(file=file, path=PATH, resource=f"Deployment/{CANARY}", value=IMAGE + ":{version}")
    return {"mode": "weights", "canary_edits": [edit], "weights": weights}


def says(content: bytes) -> tuple[str, str, int, int]:
    """Read what a file of manifests says: the versions of workload and canary, and their weights."""
    found = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in yaml.safe_load_all(content)}
    images = [found["Deployment", name]["template"]["spec"]["containers"][0]["image"] for name in ("podinfo", CANARY)]
    first, second = (one["weight"] for one in found["HTTPRoute", "podinfo"]["rules"][0]["backendRefs"])
    return images[0].rpartition(":")[2], images[1].rpartition(":")[2], first, second


def history(repository: Repository, *, file: str = FILE, since: str) -> list[tuple[str, str, int, int]]:
    """Read what each commit since one said, oldest first."""
    commits = git(repository.bare, "rev-list", "--reverse", f"{since}..main").split()
    return [says(git(repository.bare, "show", f"{commit}:{file}").encode()) for commit in commits]
