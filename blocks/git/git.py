"""A branch of a Git repository, and who may write to it: addresses and credentials in a block."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from blocks.errors import BadInput
from blocks.forge.forge import Forge
from blocks.forge.github import GitHub
from blocks.forge.gitlab import GitLab
from blocks.forge.settings import PullRequests
from blocks.git.access import Secrets, environment_of, private_folder
from blocks.git.remote import Remote, check_branch, check_remote
from blocks.git.work_copy import WorkCopy

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
PERSON = r"^[^<>\x00-\x1f\x7f]*[^<>\x00-\x20\x7f.,:;\"'][^<>\x00-\x1f\x7f]*$"


class Git(Block):
    """A branch of a Git repository that releases are committed to.

    Example:
        ```python
        await Git(remote="https://git.example.com/shop/deploy.git", token="…").save("shop")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Git"
    _block_type_slug: ClassVar[str | None] = "git"
    _description: ClassVar[str | None] = "A branch of a Git repository that releases are committed to."

    remote: Annotated[str, Field(max_length=2_000)] = Field(description="https, ssh or file address, without a password.")
    branch: Annotated[str, Field(max_length=200)] = Field(default="main", description="The branch that is deployed.")
    author_name: Annotated[str, Field(pattern=PERSON, max_length=200)] = Field(default="Shipway", description="Who commits.")
    author_email: Annotated[str, Field(pattern=PERSON, max_length=200)] = Field(default="shipway@localhost", description="Who commits.")
    username: Annotated[str, Field(pattern=r"^[!-~]+$", max_length=200)] = Field(
        default="git", description="Sent with the token; GitLab and Gitea take any, GitHub Apps `x-access-token`."
    )
    token: SecretStr | None = Field(default=None, description="Password or token for https.")
    ssh_key: SecretStr | None = Field(default=None, description="Private key for ssh, without a passphrase.")
    known_hosts: str | None = Field(
        default=None, max_length=50_000, description="Lines of `known_hosts`: the keys that the ssh server may have."
    )
    signing_key: SecretStr | None = Field(default=None, description="Private SSH key that signs commits, without a passphrase.")
    pull_requests: PullRequests | None = Field(
        default=None, description="Let changes go in by pull requests of a forge; left out: they are pushed to the branch."
    )
    documents: list[Annotated[str, Field(pattern=NAME)]] = Field(
        default_factory=list, description="Services whose plans may have the pages that document their deployments committed here."
    )
    timeout_seconds: Annotated[float, Field(gt=0, le=3_600)] = Field(default=120, description="For each command of git; then it is killed.")

    @asynccontextmanager
    async def work_copy(self) -> AsyncIterator[WorkCopy]:
        """Fetch the branch into a private folder, which is removed afterwards.

        Raises:
            BadInput: Address, branch or credentials do not fit together.
            ShipwayError: As in `WorkCopy.clone`.
        """
        remote, branch, secrets = self._remote(), check_branch(self.branch), self._secrets()
        with private_folder() as folder:
            environment = environment_of(remote, secrets, folder, author=(self.author_name, self.author_email))
            copy = WorkCopy(folder, remote, branch, environment, secrets.hidden(), bool(secrets.signing_key), self.timeout_seconds)
            await copy.clone()
            yield copy

    def forge(self, settings: PullRequests) -> Forge:
        """Return the forge by whose pull requests changes go in.

        Args:
            settings: The block's own `pull_requests`.

        Raises:
            BadInput: There is no token for its API.
        """
        kind = GitHub if settings.forge == "github" else GitLab
        return kind(settings, settings.plain_token(self.token), check_branch(self.branch))

    def _remote(self) -> Remote:
        remote = check_remote(self.remote, has_token=self.token is not None)
        if self.token and remote.protocol not in {"http", "https"}:
            raise BadInput("a token is for https only", field="token", fix="Leave it out, or use an https address.")
        if (remote.protocol == "ssh") != (self.ssh_key is not None):
            raise BadInput("a key belongs to an ssh address, and an ssh address needs one", field="ssh_key", fix="Give both or neither.")
        if remote.protocol == "ssh" and not (self.known_hosts or "").strip():
            fix = "Take the lines from the server's operator; `ssh-keyscan HOST` shows what to compare."
            raise BadInput("the server's keys are not given, so it could be anybody's", field="known_hosts", fix=fix)
        return remote

    def _secrets(self) -> Secrets:
        token = _plain(self.token).strip()
        if self.token is not None and (not token or not token.isascii() or not token.isprintable()):
            raise BadInput("the token is empty or has unusual characters", field="token", fix="Store it alone, in one line.")
        return Secrets(self.username, token, _plain(self.ssh_key), self.known_hosts or "", _plain(self.signing_key))


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""
