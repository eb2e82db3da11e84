"""GitLab's deployments, also of a self-managed GitLab.

https://docs.gitlab.com/api/deployments/
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from blocks.errors import Refused, Temporary
from blocks.forge.client import ForgeClient, gitlab_headers
from blocks.forge.deployments import Deployment, Seen, State
from blocks.forge.forge import object_in

RIGHTS = "a project's token of the role Developer, or one that may deploy to a protected environment, with the scope `api`"
STATES: dict[str, State] = {"running": "in_progress", "success": "success", "failed": "failure", "canceled": "error"}
WORDS = {state: word for word, state in STATES.items()}


class GitLabDeployments:
    """The deployments of one project of GitLab.

    Args:
        url: Base address of the API.
        repository: The project's path with its groups, or its number.
        token: Of the API.
    """

    def __init__(self, url: str, repository: str, token: str) -> None:
        """Keep them."""
        self._client = ForgeClient(url, gitlab_headers(token), rights=RIGHTS, part="forge")
        self._repository, self._path = repository, f"/projects/{quote(repository, safe='')}"

    async def check(self) -> None:
        """Look whether the project is there, and the token may read its deployments."""
        found = object_in((await self._client.ask("GET", self._path)).body)
        if found.get("archived"):
            raise Refused(f"{self._repository} is archived, so no deployment can be recorded there")
        await self._client.ask("GET", f"{self._path}/deployments", query={"per_page": "1"})

    async def newest(self, environment: str) -> int:
        """Give the number of an environment's newest deployment, of whomever; 0 if there is none."""
        return max(map(_number_in, await self._listed(environment)), default=0)

    async def find(self, deployment: Deployment, *, after: int | None) -> Seen | None:
        """Find the deployment of a release: it is the first of its commit since then that no job made, as GitLab keeps no id of ours."""
        if after is None:
            return None
        listed = await self._listed(deployment.environment)
        fields = {"sha": deployment.commit, "ref": deployment.tag, "deployable": None}
        later = [object_in(one) for one in listed if _number_in(one) > after]
        ours = [one for one in later if all(one.get(name) == value for name, value in fields.items())]
        return _seen(min(ours, key=_number_in)) if ours else None

    async def read(self, number: int) -> Seen | None:
        """Read one again; None if it was removed."""
        answer = await self._client.ask("GET", f"{self._path}/deployments/{number}", accept={HTTPStatus.NOT_FOUND})
        return None if answer.status == HTTPStatus.NOT_FOUND else _seen(answer.body)

    async def make(self, deployment: Deployment) -> int:
        """Make it as running: one that were made as a success would be taken for the last one, if that is of the same commit."""
        body = {
            "environment": deployment.environment,
            "sha": deployment.commit,
            "ref": deployment.tag,
            "tag": True,
            "status": WORDS["in_progress"],
        }
        return _number_in((await self._client.ask("POST", f"{self._path}/deployments", body=body)).body)

    async def tell(self, number: int, deployment: Deployment, state: State) -> None:  # noqa: ARG002 - GitLab takes no words
        """Give it a state."""
        await self._client.ask("PUT", f"{self._path}/deployments/{number}", body={"status": WORDS[state]})

    async def retire(self, deployment: Deployment, *, before: int) -> None:
        """Do nothing: GitLab takes the last success for what an environment runs."""

    async def _listed(self, environment: str) -> list[Any]:
        query = {"environment": environment, "order_by": "id", "sort": "desc", "per_page": "100"}
        found = (await self._client.ask("GET", f"{self._path}/deployments", query=query)).body
        if not isinstance(found, list):
            raise Temporary("GitLab's answer is not a list of deployments")
        return [one for one in found if object_in(object_in(one).get("environment")).get("name") == environment]


def _seen(found: Any) -> Seen:
    return Seen(_number_in(found), STATES.get(str(object_in(found).get("status")), ""))


def _number_in(found: Any) -> int:
    number = object_in(found).get("id")
    if not isinstance(number, int):
        raise Temporary("GitLab's answer is not a deployment")
    return number
