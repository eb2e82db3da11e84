"""Deployments of a forge: what it shows of which commit is in which environment, as GitHub's and GitLab's own records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

State = Literal["in_progress", "success", "failure", "error"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is recorded of one release, or of one rollback on demand.

    Fields:
        run: Its flow run id, by which it is found again.
        task: `deploy` or `rollback`.
        service: The service.
        version: The version that is deployed.
        environment: The forge's environment, which it makes if it is not there.
        commit: The version's commit.
        tag: Its tag.
        log_url: The page of the run.
        url: Where the service is reached; "" if that is not said.
    """

    run: str
    task: str
    service: str
    version: str
    environment: str
    commit: str
    tag: str
    log_url: str
    url: str = ""

    @property
    def title(self) -> str:
        """What is shown of it: the service and the version."""
        return f"{self.service} {self.version}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A deployment as the forge has it.

    Fields:
        number: Its number.
        state: Its newest state; "" if it has none of ours yet.
        is_past: Whether it succeeded, and the forge says that a later one took its place.
    """

    number: int
    state: State | Literal[""]
    is_past: bool = False

    def has_reached(self, state: State) -> bool:
        """Say if nothing is left to be told: a state that came later stays, so `in_progress` never follows the end."""
        return (
            self.state == state or (state == "success" and self.is_past) or (state == "in_progress" and (self.is_past or self.state != ""))
        )


class DeploymentForge(Protocol):
    """One repository. An error says what to do: `Temporary` with its delay, else what a person has to change."""

    async def check(self) -> None:
        """Look whether the repository is there, and the token may read its deployments.

        Raises:
            BadInput: The settings do not fit the repository.
            Refused: The token has not the rights.
        """
        ...

    async def newest(self, environment: str) -> int:
        """Give the number of an environment's newest deployment, of whomever; 0 if there is none."""
        ...

    async def find(self, deployment: Deployment, *, after: int | None) -> Seen | None:
        """Find the deployment of a release, or None if there is none yet.

        Args:
            deployment: What was to be recorded.
            after: The environment's newest before it was first made: it has a higher number. None if it was not made as far as is known.
        """
        ...

    async def read(self, number: int) -> Seen | None:
        """Read one again; None if it was removed."""
        ...

    async def make(self, deployment: Deployment) -> int:
        """Make it; gives its number. It may be without a state yet.

        Raises:
            Refused: The forge does not take it, as it does not know the commit.
        """
        ...

    async def tell(self, number: int, deployment: Deployment, state: State) -> None:
        """Give it a state."""
        ...

    async def retire(self, deployment: Deployment, *, before: int) -> None:
        """Say of our earlier deployments in this environment that they serve no more, if the forge does not say that by itself."""
        ...
