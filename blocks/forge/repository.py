"""Forge block: a repository of GitHub or GitLab in which releases are recorded as deployments."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from blocks.forge.deployments import DeploymentForge
from blocks.forge.github_deployments import GitHubDeployments
from blocks.forge.gitlab_deployments import GitLabDeployments
from blocks.forge.settings import PUBLIC, REPOSITORY, checked_address, checked_token, expect_repository

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class ForgeRepository(Block):
    """A repository of a forge in which the plans that name it have their releases recorded.

    Example:
        ```python
        await ForgeRepository(forge="github", repository="shop/app", token="…", services=["shop"]).save("shop")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Forge"
    _block_type_slug: ClassVar[str | None] = "forge"
    _description: ClassVar[str | None] = "A repository of GitHub or GitLab in which releases are recorded as deployments."
    model_config = ConfigDict(hide_input_in_errors=True)

    forge: Literal["github", "gitlab"] = Field(description="Whose API it is; both also as self-hosted.")
    repository: Annotated[str, Field(pattern=REPOSITORY, max_length=500)] = Field(
        description="`owner/name` on GitHub; on GitLab the project's path with its groups, or its number."
    )
    api: Annotated[str, Field(max_length=2_000)] = Field(
        default="", description="Address of the API of a self-hosted forge, as `https://github.example.com/api/v3`; empty: the public one."
    )
    token: SecretStr = Field(description="Token for the API.")
    services: list[Annotated[str, Field(pattern=NAME)]] = Field(
        default_factory=list, description="Services whose plans may have their releases recorded here."
    )

    @field_validator("api")
    @classmethod
    def _is_an_address(cls, api: str) -> str:
        """Refuse what is not an address of an API, and one to which the token would go unencrypted."""
        return checked_address(api)

    @model_validator(mode="after")
    def _fits_the_forge(self) -> Self:
        """Refuse a repository that the forge cannot have."""
        expect_repository(self.forge, self.repository)
        return self

    def deployments(self) -> DeploymentForge:
        """Give its deployments.

        Raises:
            BadInput: The token cannot be sent.
        """
        kind = GitHubDeployments if self.forge == "github" else GitLabDeployments
        token = checked_token(self.token, field="forge.token", need="deployments need a token")
        return kind(self.api or PUBLIC[self.forge], self.repository, token)
