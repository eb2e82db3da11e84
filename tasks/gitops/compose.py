"""Compose a GitOps platform from the blocks that its settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prefect.blocks.core import Block

from blocks.errors import BadInput
from blocks.git.git import Git
from blocks.gitops.engine import Engine
from blocks.gitops.gitops import GitOps
from blocks.kubernetes.platform import KubernetesPlatform
from tasks.gitops.parts import Parts
from tasks.gitops.platform import GitOpsPlatform
from tasks.rules.gitops.settings import ANY, edits_of
from tasks.rules.gitops.weights import weight_edits

Load = Callable[[str, str], Awaitable[Block]]


async def compose(settings: GitOps, *, name: str, load: Load) -> GitOpsPlatform:
    """Load the blocks that a GitOps block names.

    Args:
        settings: The block.
        name: Its name, for messages.
        load: Loads a block by `type/name`, for the field that names it.

    Raises:
        BadInput: One of them is missing or of another type, or an edit cannot be made; names the field and the fix.
    """
    git, engine, kubernetes = await asyncio.gather(
        load(settings.git, f"{name}.git"), load(settings.engine, f"{name}.engine"), load(settings.platform, f"{name}.platform")
    )
    if not isinstance(git, Git):
        raise BadInput(f"the block {settings.git} is not a Git block", field=f"{name}.git", fix="Name a block of the type `git`.")
    if not isinstance(engine, Engine):
        fix = "Name a block of the type `argocd-application`."
        raise BadInput(f"the block {settings.engine} deploys nothing from Git", field=f"{name}.engine", fix=fix)
    if not isinstance(kubernetes, KubernetesPlatform):
        fix = "Name a block of the type `kubernetes`."
        raise BadInput(f"the block {settings.platform} is not a Kubernetes block", field=f"{name}.platform", fix=fix)
    edits_of(settings.edits, ANY)
    if settings.mode == "weights":
        _expect_weights(settings, git, kubernetes, name=name)
    return GitOpsPlatform(Parts(settings, git, engine, kubernetes))


def _expect_weights(settings: GitOps, git: Git, kubernetes: KubernetesPlatform, *, name: str) -> None:
    """Refuse what a canary by weights in Git cannot be made of."""
    edits_of(settings.canary_edits, ANY)
    weight_edits(settings.weights, before=0, after=0)
    if git.pull_requests is not None:
        fix = f"Name a branch that takes pushes, or leave `pull_requests` out of {settings.git}."
        raise BadInput("each share is a commit of its own, which does not wait for a pull request", field=f"{name}.git", fix=fix)
    if kubernetes.kind != "Deployment" or not kubernetes.route:
        fix = f"Give {settings.platform} the field `route`, and a workload that is a Deployment."
        raise BadInput("`mode: weights` needs an HTTPRoute and a Deployment", field=f"{name}.platform", fix=fix)
