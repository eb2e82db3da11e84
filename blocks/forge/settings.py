"""Settings of pull requests: by which forge, with which token, who merges them, and how a rollback goes in."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from blocks.errors import BadInput

REPOSITORY = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_.][A-Za-z0-9._-]*)*$"
API = re.compile(r"(https?)://([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\])(:\d{1,5})?(/[A-Za-z0-9._~/-]*)?")
LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|localhost|\[::1\]")
TOKEN = re.compile(r"[!-~]+")
PUBLIC = {"github": "https://api.github.com", "gitlab": "https://gitlab.com/api/v4"}
BY_PUSH, BY_REVIEW = "a rollback is pushed to the branch", "a rollback goes in by a pull request, and holds the Application until then"


class PullRequests(BaseModel):
    """How a change goes in by a pull request instead of a push to the branch."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    forge: Literal["github", "gitlab"] = Field(description="Whose API it is; both also as self-hosted.")
    repository: Annotated[str, Field(pattern=REPOSITORY, max_length=500)] = Field(
        description="`owner/name` on GitHub; on GitLab the project's path with its groups, or its number."
    )
    api: Annotated[str, Field(max_length=2_000)] = Field(
        default="", description="Address of the API of a self-hosted forge, as `https://github.example.com/api/v3`; empty: the public one."
    )
    token: SecretStr | None = Field(default=None, description="Token for the API; left out: that of the block, which pushes.")
    merge: bool = Field(default=False, description="Whether Shipway merges; else it waits for people, a queue or a train to do it.")
    method: Literal["merge", "squash", "rebase"] = Field(default="merge", description="How Shipway merges.")
    revert: Literal["push", "pull_request"] = Field(
        default="push",
        description="push: a rollback is pushed to the branch; if that is refused, and with pull_request, the cluster is rolled back at "
        "once, the Application held, and a pull request opened.",
    )
    merge_timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=3_600, description="How long a release waits for the merge; then it is rolled back."
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

    @property
    def url(self) -> str:
        """The API's base address, without a slash at its end."""
        return self.api or PUBLIC[self.forge]

    def plain_token(self, token: SecretStr | None) -> str:
        """Give the token that is sent.

        Args:
            token: The block's own, for want of another.

        Raises:
            BadInput: There is none, or it cannot be sent. Never quotes it.
        """
        return checked_token(
            self.token if self.token is not None else token, field="pull_requests.token", need="pull requests need a token"
        )

    def words(self, branch: str) -> str:
        """Say how a change goes in, for people who approve it."""
        merged = f"Shipway merges it ({self.method})" if self.merge else "people merge it"
        by = f"the change goes in by a pull request of {self.repository} into {branch}, at {self.url}"
        back = BY_PUSH if self.revert == "push" else BY_REVIEW
        return f"{by}: {merged}, within {self.merge_timeout_seconds:g} s; {back}"


def checked_address(api: str) -> str:
    """Give the address of an API without a slash at its end; "" stays so.

    Raises:
        PydanticCustomError: It is not one, or the token would go to it unencrypted.
    """
    found = API.fullmatch(api)
    if api and not found:
        raise _fault("this is not the address of an API", fix="Write it without a user or a query, as `https://git.example.com/api/v4`.")
    if found and found[1] == "http" and not LOOPBACK.fullmatch(found[2]):
        raise _fault("the token would be sent unencrypted", fix="Use https.")
    return api.rstrip("/")


def expect_repository(forge: str, repository: str) -> None:
    """Refuse a repository that a forge cannot have.

    Raises:
        PydanticCustomError: It has no such form.
    """
    if {".", ".."} & set(repository.split("/")) or (forge == "github" and repository.count("/") != 1):
        form = "owner/name" if forge == "github" else "group/name"
        raise _fault(f"`{repository}` is not a repository of {forge}", fix=f"Write `{form}` in `repository`.")


def checked_token(given: SecretStr | None, *, field: str, need: str) -> str:
    """Give a token as it is sent.

    Args:
        given: The token, or None.
        field: Where it is written, for messages.
        need: What is said if there is none.

    Raises:
        BadInput: There is none, or it cannot be sent. Never quotes it.
    """
    found = given.get_secret_value().strip() if given is not None else ""
    if not TOKEN.fullmatch(found):
        wrong = "the token is empty or has unusual characters" if given is not None else need
        raise BadInput(wrong, field=field, fix="Store one of the API alone, in one line.")
    return found


def _fault(wrong: str, *, fix: str) -> PydanticCustomError:
    """Build an error that separates what is wrong from what to write instead, as the reader of a blocks file shows it."""
    return PydanticCustomError("plan_fault", "{wrong}. {fix}", {"wrong": wrong, "fix": fix})
