"""A service that a real Argo CD deploys from a Git repository of the test: podinfo's manifests, served over HTTP behind a password.

Argo CD reads the repository over HTTP, as a person's would be; a test commits as a colleague through the clone, and Shipway through its
block over the same HTTP.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml
from pydantic import SecretStr

from blocks.git.git import Git
from blocks.gitops.argocd import ArgoCDApplication
from blocks.kubernetes.api.client import Cluster
from blocks.kubernetes.api.errors import Missing
from tests.cluster.cluster_world import IMAGE, PATH, World, deployment, service
from tests.git_blocks import over_http
from tests.git_remotes import TOKEN, HttpRemote, Repository
from tests.waiting import until

Json = dict[str, Any]
FOLDER = "app"
WORKLOAD = f"{FOLDER}/deployment.yaml"
BROKEN = b"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: [podinfo\n"
READY_SECONDS, UNCHANGED_SECONDS = 90.0, 12.0
WAYS = ("cluster", "api")
RETRY = {"limit": 1, "backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}}  # without it Argo CD retries five times


@dataclass(frozen=True)
class ArgoCD:
    """An Argo CD for tests.

    Fields:
        cluster: Its namespace, as the cluster's administrator.
        url: Where its API answers.
        token: Of an account that may get, sync and update Applications; "" if there is none.
        destination: The `destination` of Applications that deploy to this cluster, without a namespace.
    """

    cluster: Cluster
    url: str
    token: str
    destination: Json


@dataclass
class GitOps:
    """One service of a test: its namespace, repository and Application, which has the namespace's name.

    Fields:
        world: The namespace that the service runs in.
        argocd: Argo CD.
        repository: The bare repository, and a colleague's clone.
        remote: The same over HTTP; it can be made to hang, or to answer with an error.
        made: What was made in Argo CD's namespace, for its removal.
    """

    world: World
    argocd: ArgoCD
    repository: Repository
    remote: HttpRemote
    made: list[Json] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The Application's name."""
        return self.world.namespace

    @property
    def home(self) -> World:
        """Argo CD's namespace."""
        return World(self.argocd.cluster, self.argocd.cluster.namespace)

    @property
    def git(self) -> Git:
        """The Git block of the repository, over HTTP."""
        return over_http(self.remote)

    def engine(self, **fields: Any) -> ArgoCDApplication:
        """Return the block of the Application, by the Kubernetes API."""
        return ArgoCDApplication(**{"application": self.name, "namespace": self.argocd.cluster.namespace, **fields})

    def by(self, way: str, **fields: Any) -> ArgoCDApplication:
        """Return the block of the Application by one of `WAYS`."""
        return self.engine(**fields) if way == "cluster" else self.engine_by_api(**fields)

    def engine_by_api(self, **fields: Any) -> ArgoCDApplication:
        """Return the block of the Application, by Argo CD's own API."""
        return self.engine(server=self.argocd.url, token=SecretStr(self.argocd.token), **fields)

    def commit(self, version: str = "6.9.0", files: Mapping[str, Any] | None = None, *, folder: str = FOLDER, **podinfo: Any) -> str:
        """Commit podinfo's manifests as a colleague would.

        Args:
            version: The image's tag.
            files: Further files of the folder by name: an object, a list of objects, or text.
            folder: Where they go.
            podinfo: As in `cluster_world.deployment`.

        Returns:
            The commit.
        """
        manifests = {"deployment.yaml": deployment("podinfo", version, **podinfo), "service.yaml": service("podinfo"), **(files or {})}
        return self.repository.write({f"{folder}/{name}": _text(content) for name, content in manifests.items()}, f"Deploy {version}")

    def source(self, **fields: Any) -> Json:
        """Write a source of the repository."""
        return {"repoURL": self.remote.url, "path": FOLDER, "targetRevision": "main", **fields}

    def manifest(self, *, automatic: bool = True, policy: Mapping[str, Any] | None = None, **spec: Any) -> Json:
        """Write the Application.

        Args:
            automatic: Whether it syncs by itself; a failed sync is retried once, after a second.
            policy: Further fields of `syncPolicy`.
            spec: Further fields of the spec.
        """
        sync_policy = {**({"automated": {"prune": True, "selfHeal": True}} if automatic else {}), "retry": RETRY, **(policy or {})}
        destination = {**self.argocd.destination, "namespace": self.world.namespace}
        body = {"project": "default", "destination": destination, "syncPolicy": sync_policy, **spec}
        if "sources" not in body:
            body.setdefault("source", self.source())
        return _object("Application", self.name, body)

    async def apply(self, *manifests: Json) -> None:
        """Apply manifests in Argo CD's namespace, which are removed after the test."""
        await self.home.apply(*manifests)
        self.made += manifests

    async def credentials(self) -> None:
        """Give Argo CD the password of the repository."""
        labels = {"argocd.argoproj.io/secret-type": "repository"}
        data = {"type": "git", "url": self.remote.url, "username": "git", "password": TOKEN}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"repo-{self.name}", "labels": labels}, "stringData": data}
        await self.apply(secret)

    async def deployed(self, version: str = "6.9.0", **application: Any) -> str:
        """Commit podinfo, make the Application, and wait until it is deployed.

        Returns:
            The commit.
        """
        commit = self.commit(version)
        await self.apply(self.manifest(**application))
        if application.get("automatic", True):
            await self.synced(commit)
            await self.world.rolled_out()
        return commit

    async def synced(self, commit: str) -> None:
        """Wait until Argo CD says that a commit is deployed."""

        async def holds() -> bool:
            seen = await self.engine().look()
            return seen.revision == commit and seen.synced and seen.operation is None

        await until(holds, timeout_seconds=READY_SECONDS)

    async def read(self) -> Json:
        """Read the Application."""
        return await self.argocd.cluster.call("GET", self.argocd.cluster.path("Application", self.name))

    async def change(self, patch: Json) -> None:
        """Change the Application as a person with `kubectl edit` would."""
        await self.home.merge("Application", self.name, patch)

    async def image(self) -> str:
        """Return the tag that the workload runs."""
        found = await self.world.cluster.call("GET", self.world.cluster.path("Deployment", "podinfo"))
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"]).rpartition(":")[2]

    async def runs(self, version: str) -> None:
        """Wait until the workload has a version."""

        async def holds() -> bool:
            return await self.image() == version

        await until(holds, timeout_seconds=READY_SECONDS)

    async def stays(self, version: str, *, seconds: float = UNCHANGED_SECONDS) -> None:
        """Look for a while that the workload keeps a version though Git says another one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert await self.image() == version
            await asyncio.sleep(0.5)

    async def remove(self) -> None:
        """Remove what was made in Argo CD's namespace, the newest first; what it deployed goes with its namespace."""
        for manifest in reversed(self.made):
            if manifest["kind"] == "Application":
                with contextlib.suppress(Missing):
                    await self.home.merge("Application", manifest["metadata"]["name"], {"metadata": {"finalizers": None}})
            await self.home.remove(manifest)


ENDINGS = {"well": ["--version"], "badly": ["--no-such-option"], "never": ["--port=9898"]}


def hook(name: str, phase: str, *, ends: Literal["well", "badly", "never"] = "well") -> Json:
    """Write a Job as a hook of a sync.

    Args:
        name: Its name.
        phase: `PreSync`, `Sync` or `PostSync`.
        ends: How it ends.
    """
    annotations = {"argocd.argoproj.io/hook": phase, "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation"}
    command = ["podinfo", *ENDINGS[ends]]
    container = {"name": "hook", "image": f"{IMAGE}:6.9.0", "imagePullPolicy": "IfNotPresent", "command": command, "env": [PATH]}
    template = {"spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container]}}
    spec = {"backoffLimit": 0, "template": template}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": annotations}, "spec": spec}


def window(kind: str = "deny", *, schedule: str = "* * * * *", duration: str = "1h", manual: bool = False, **scope: Any) -> Json:
    """Write a sync window of a project for all of its Applications, or those of `scope`."""
    return {"kind": kind, "schedule": schedule, "duration": duration, "manualSync": manual, **(scope or {"applications": ["*"]})}


def project(name: str, *windows: Json) -> Json:
    """Write a project that permits all, with sync windows."""
    everywhere = {"destinations": [{"server": "*", "namespace": "*"}], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}
    return _object("AppProject", name, {"sourceRepos": ["*"], **everywhere, "syncWindows": list(windows)})


def _object(kind: str, name: str, spec: Json) -> Json:
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _text(content: Any) -> bytes:
    if isinstance(content, str):
        return content.encode()
    many = content if isinstance(content, list) else [content]
    return yaml.safe_dump_all(many, sort_keys=False).encode()


def account_of(token: str) -> str:
    """Read the id of a token (a JWT) of an Argo CD account, by which it is withdrawn."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
