"""Plan section for the page that documents a deployment, made when a release or a rollback ends."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tasks.rules.plan.types import FOLDER, RepositoryPath, Section

GIT = r"^git/[a-z0-9-]+$"


class Documentation(Section):
    """Documentation: the page that says how a deployment went, from its record."""

    template: RepositoryPath | None = None
    """A Markdown file with `{{ name }}` for what is filled in; docs/documentation.md has the names. Default: a page of Shipway's."""
    git: Annotated[str, Field(pattern=GIT, max_length=200)] | None = None
    """A Git block, to whose branch the page is committed when the run ends. Default: it is not committed."""
    folder: Annotated[str, Field(pattern=FOLDER, max_length=200)] = "docs/deployments"
    """Where in that repository, from its root with slashes; each page is a new file."""
