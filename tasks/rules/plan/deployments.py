"""Plan section for where a forge shows what is deployed: as deployments of GitHub or GitLab."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.rules.plan.types import URL, Section

FORGE = r"^forge/[a-z0-9-]+$"
ENVIRONMENT = r"^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9_.-])?$"


class Deployments(Section):
    """Deployments: each release to production, and each rollback on demand, as a deployment of a forge with its status."""

    to: Annotated[str, Field(pattern=FORGE, max_length=200)]
    """A forge block, `forge/NAME`."""
    environment: Annotated[str, Field(pattern=ENVIRONMENT, max_length=200)] = "production"
    """The environment as the forge names it, which makes it if it is not there; a repository of several services needs one for each."""
    url: Annotated[str, Field(pattern=URL, max_length=2_000)] | None = None
    """The service's address, which GitHub shows beside it. Default: none."""
