"""podinfo in a namespace and in a repository, and the platform that releases it through Git."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from blocks.git.git import Git
from blocks.gitops.engine import Engine
from blocks.gitops.gitops import FileEdit, GitOps
from blocks.kubernetes.platform import KubernetesPlatform
from tasks.gitops.parts import Parts
from tasks.gitops.platform import GitOpsPlatform
from tests.cluster.cluster_world import IMAGE, World, deployment, service
from tests.cluster.scene import FIRST, platform_of
from tests.git_remotes import Repository

FILE = "app/podinfo.yaml"
PATH = "spec.template.spec.containers[name=podinfo].image"


@dataclass
class GitOpsScene:
    """One service in Git.

    Fields:
        world: Its namespace.
        repository: Its repository.
        engine: What deploys it.
        settings: Fields of the block besides.
        git: The block of its branch.
        file: The file that says which version runs.
        kubernetes: Fields of the block of its workload besides.
    """

    world: World
    repository: Repository
    engine: Engine
    settings: dict[str, Any]
    git: Git
    file: str = FILE
    kubernetes: dict[str, Any] = field(default_factory=dict)

    def platform(self, **settings: Any) -> GitOpsPlatform:
        """Give a new instance, as another process would make it."""
        edits = [FileEdit(file=self.file, path=PATH, resource="Deployment/podinfo", value=IMAGE + ":{version}")]
        named = {"git": "git/podinfo", "engine": "argocd-application/podinfo", "platform": "kubernetes/podinfo", "edits": edits}
        workload = {"drain_seconds": 0.5, "force_conflicts": False, **self.kubernetes}
        kubernetes: KubernetesPlatform = platform_of(self.world, "rolling", **workload)
        return GitOpsPlatform(Parts(GitOps(**{**named, **self.settings, **settings}), self.git, self.engine, kubernetes))

    def image(self) -> str:
        """Read the workload's image that Git says."""
        return image_in(self.repository.read(self.file))

    def write_image(self, version: str, *, message: str = "A colleague's change") -> str:
        """Let a colleague commit another version."""
        content = self.repository.read(self.file).replace(self.image().encode(), f"{IMAGE}:{version}".encode())
        return self.repository.write({self.file: content}, message)

    def subjects(self) -> list[str]:
        """List the subjects of the commits since the first, newest first."""
        return self.repository.subjects()[:-2]


def manifests(version: str = FIRST, *, level: str = "warn") -> bytes:
    """Write podinfo's manifests as its owner keeps them in Git; at the level `debug` it logs every request."""
    found = deployment("podinfo", version)
    found["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "PODINFO_LEVEL", "value": level}]
    return yaml.safe_dump_all([found, service("podinfo")], sort_keys=False).encode()


def image_in(content: bytes) -> str:
    """Read the image of podinfo's Deployment in a file of manifests."""
    (found,) = [one for one in yaml.safe_load_all(content) if (one["kind"], one["metadata"]["name"]) == ("Deployment", "podinfo")]
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])
