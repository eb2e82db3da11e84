"""GitHub's deployments and their statuses, also of a self-hosted GitHub Enterprise Server.

https://docs.github.com/en/rest/deployments/deployments
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from blocks.errors import Refused, Temporary
from blocks.forge.client import ForgeClient, github_headers
from blocks.forge.deployments import Deployment, Seen, State
from blocks.forge.forge import object_in

RIGHTS = "a fine-grained token or app with `Deployments: write`, `Contents: read` and `Metadata: read` of this repository"
STATES: dict[str, State] = {"in_progress": "in_progress", "success": "success", "failure": "failure", "error": "error"}
MOST_TEXT = 140  # of a description
MOST_RETIRED = 5  # of one success; each costs a request, and there is one unless some were lost
OURS = "shipway"


class GitHubDeployments:
    """The deployments of one repository of GitHub.

    Args:
        url: Base address of the API.
        repository: `owner/name`.
        token: Of the API.
    """

    def __init__(self, url: str, repository: str, token: str) -> None:
        """Keep them."""
        self._client = ForgeClient(url, github_headers(token), rights=RIGHTS, part="forge")
        self._repository, self._path = repository, f"/repos/{quote(repository)}"

    async def check(self) -> None:
        """Look whether the repository is there, and the token may read its deployments."""
        found = object_in((await self._client.ask("GET", self._path)).body)
        if found.get("archived"):
            raise Refused(f"{self._repository} is archived, so no deployment can be recorded there")
        await self._client.ask("GET", f"{self._path}/deployments", query={"per_page": "1"})

    async def newest(self, environment: str) -> int:  # noqa: ARG002 - as the protocol says
        """Give 0: a deployment is found by the release's id in its payload."""
        return 0

    async def find(self, deployment: Deployment, *, after: int | None) -> Seen | None:  # noqa: ARG002 - as the protocol says
        """Find the deployment of a release by its id, or None if there is none yet."""
        query = {"sha": deployment.commit, "environment": deployment.environment, "task": deployment.task, "per_page": "100"}
        found = [one for one in await self._listed(query) if self._run_in(one) == deployment.run]
        return await self.read(min(_number_in(one) for one in found)) if found else None

    async def read(self, number: int) -> Seen | None:
        """Read one again; None if it was removed."""
        path = f"{self._path}/deployments/{number}/statuses"
        answer = await self._client.ask("GET", path, query={"per_page": "100"}, accept={HTTPStatus.NOT_FOUND})
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not isinstance(answer.body, list):
            raise Temporary("GitHub's answer is not a list of statuses")
        last = object_in(max(answer.body, key=_number_in, default=None))
        return Seen(number, STATES.get(str(last.get("state")), ""), is_past=last.get("state") == "inactive")

    async def make(self, deployment: Deployment) -> int:
        """Make it; no check of the commit and no merge decides whether, as the release decided already."""
        body = {
            "ref": deployment.commit,
            "task": deployment.task,
            "auto_merge": False,
            "required_contexts": [],
            "payload": {OURS: {"run": deployment.run, "service": deployment.service, "version": deployment.version}},
            "environment": deployment.environment,
            "description": deployment.title[:MOST_TEXT],
            "transient_environment": False,
            "production_environment": True,
        }
        return _number_in((await self._client.ask("POST", f"{self._path}/deployments", body=body)).body)

    async def tell(self, number: int, deployment: Deployment, state: State) -> None:
        """Give it a state."""
        await self._tell(number, {"state": state, "log_url": deployment.log_url, "environment_url": deployment.url}, deployment.title)

    async def retire(self, deployment: Deployment, *, before: int) -> None:
        """Say of our earlier successes in this environment that they are inactive: GitHub says it by itself of no production."""
        listed = await self._listed({"environment": deployment.environment, "per_page": "30"})
        earlier = sorted((_number_in(one) for one in listed if self._run_in(one) and _number_in(one) < before), reverse=True)
        for number in earlier[:MOST_RETIRED]:
            seen = await self.read(number)
            if seen is not None and seen.state == "success":
                await self._tell(number, {"state": "inactive"}, f"{deployment.title} took its place")

    async def _tell(self, number: int, fields: Mapping[str, str], words: str) -> None:
        body = {name: value for name, value in fields.items() if value} | {"description": words[:MOST_TEXT]}
        await self._client.ask("POST", f"{self._path}/deployments/{number}/statuses", body=body)

    async def _listed(self, query: Mapping[str, str]) -> list[Any]:
        """List deployments, the newest first; GitHub leaves a filter out that it does not understand, so all is looked at again."""
        found = (await self._client.ask("GET", f"{self._path}/deployments", query=query)).body
        if not isinstance(found, list):
            raise Temporary("GitHub's answer is not a list of deployments")
        wanted = {name: value for name, value in query.items() if name != "per_page"}
        return [one for one in found if all(object_in(one).get(name) == value for name, value in wanted.items())]

    @staticmethod
    def _run_in(one: Any) -> str:
        """Give the release's id in a deployment's payload, which some servers give as text; "" if it is not ours."""
        payload = object_in(one).get("payload")
        if isinstance(payload, str):
            try:
                payload = json.loads(payload)
            except (ValueError, RecursionError):
                return ""
        return str(object_in(object_in(payload).get(OURS)).get("run", ""))


def _number_in(found: Any) -> int:
    number = object_in(found).get("id")
    if not isinstance(number, int):
        raise Temporary("GitHub's answer is not a deployment, nor a status of one")
    return number
