"""GitHub's pull requests, also of a self-hosted GitHub Enterprise Server.

https://docs.github.com/en/rest/pulls/pulls
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from blocks.errors import BadInput, Refused, Temporary
from blocks.forge.client import ForgeClient, github_headers
from blocks.forge.forge import Draft, PullRequest, Standing, State, address_in, chosen, hash_in, object_in, words_in
from blocks.forge.settings import PullRequests

RIGHTS = "a fine-grained token or app with `Pull requests: write`, `Contents: write` and `Metadata: read` of this repository"
READY = {"clean", "has_hooks", "unstable"}  # unstable: a check fails that is not required
OUTDATED: dict[str, Standing] = {"dirty": "stale", "behind": "behind"}
WAITS = {
    "blocked": "a review or a check is missing",
    "behind": "its branch is behind",
    "draft": "it is a draft",
    "dirty": "it has conflicts",
}
NOT_NOW = {HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}


class GitHub:
    """One repository of GitHub.

    Args:
        settings: The block's.
        token: Of the API.
        target: The branch that pull requests go into.
    """

    def __init__(self, settings: PullRequests, token: str, target: str) -> None:
        """Keep them."""
        self._settings, self._target = settings, target
        self._of_an_app = token.startswith("ghs_")  # to the token of an installation GitHub says false of every right, whatever it has
        self._client = ForgeClient(settings.url, github_headers(token), rights=RIGHTS)
        self._path = f"/repos/{quote(settings.repository)}"

    async def check(self) -> None:
        """Look whether the repository is there, the token may use it, and pull requests can be merged as the settings say."""
        found = object_in((await self._client.ask("GET", self._path)).body)
        if found.get("archived"):
            raise Refused(f"{self._settings.repository} is archived, so no pull request can be opened there")
        if not self._of_an_app and object_in(found.get("permissions")).get("push") is False:
            raise Refused(f"the token may not push to {self._settings.repository}. Give it the rights: {RIGHTS}")
        if not self._settings.merge:
            return
        method = self._settings.method
        if found.get({"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}[method]) is False:
            fix = "Write another one, or allow it in the repository's settings."
            raise BadInput(f"{self._settings.repository} does not merge by {method}", field="pull_requests.method", fix=fix)
        if await self._has_queue():
            fix = "Leave `merge` out: the release waits for the queue, into which a person puts the pull request."
            raise BadInput(f"{self._target} has a merge queue, which a merge would go past", field="pull_requests.merge", fix=fix)

    async def find(self, branch: str) -> PullRequest | None:
        """Find the pull request of a branch of this repository: an open one, else one that was merged, else one that was closed."""
        owner = self._settings.repository.partition("/")[0]
        query = {"head": f"{owner}:{branch}", "state": "all", "sort": "created", "direction": "desc", "per_page": "100"}
        found = (await self._client.ask("GET", f"{self._path}/pulls", query=query)).body
        ours = [_read(one) for one in found if self._is_of(one, branch)] if isinstance(found, list) else []
        best = chosen(ours)
        return await self.read(best.number) if best is not None and best.state == "open" else best  # a list does not say `mergeable`

    async def open(self, draft: Draft) -> PullRequest:
        """Open one, or adopt the one that is open for this branch."""
        body = {"title": draft.title, "body": draft.body, "head": draft.branch, "base": self._target, "maintainer_can_modify": False}
        answer = await self._client.ask("POST", f"{self._path}/pulls", body=body, accept={HTTPStatus.UNPROCESSABLE_ENTITY})
        if answer.status != HTTPStatus.UNPROCESSABLE_ENTITY:
            return _read(answer.body)
        found = await self.find(draft.branch)
        if found is None or found.state != "open":
            raise Temporary(f"GitHub does not open a pull request of {draft.branch} into {self._target}: {answer.said}", delay_seconds=2)
        return found

    async def read(self, number: int) -> PullRequest:
        """Read one again."""
        return _read((await self._client.ask("GET", f"{self._path}/pulls/{number}")).body)

    async def merge(self, pull_request: PullRequest, draft: Draft) -> str:
        """Merge it, if its head still is the one that was read; a merge queue is never gone past."""
        if await self._has_queue():
            return f"{self._target} has a merge queue; put it in there"
        body = {"sha": pull_request.head, "merge_method": self._settings.method}
        if self._settings.method == "squash":
            body |= {"commit_title": f"{draft.title} (#{pull_request.number})", "commit_message": draft.message}
        answer = await self._client.ask("PUT", f"{self._path}/pulls/{pull_request.number}/merge", body=body, accept=NOT_NOW)
        return (answer.said or f"it answered {answer.status}") if answer.status in NOT_NOW else ""

    async def close(self, number: int) -> None:
        """Close it without merging; one that is merged or closed stays as it is."""
        await self._client.ask("PATCH", f"{self._path}/pulls/{number}", body={"state": "closed"}, accept=NOT_NOW)

    def _is_of(self, one: Any, branch: str) -> bool:
        """Look again whose branch it is: GitHub leaves a filter out that it does not understand, and forks have branches of any name."""
        head = object_in(object_in(one).get("head"))
        name = str(object_in(head.get("repo")).get("full_name", ""))
        return head.get("ref") == branch and name.lower() == self._settings.repository.lower()

    async def _has_queue(self) -> bool:
        """Say whether a rule of the branch asks for a merge queue; a server that is too old for rules has none."""
        path = f"{self._path}/rules/branches/{quote(self._target)}"
        rules = (await self._client.ask("GET", path, query={"per_page": "100"}, accept={HTTPStatus.NOT_FOUND})).body
        return isinstance(rules, list) and any(object_in(one).get("type") == "merge_queue" for one in rules)


def _read(found: Any) -> PullRequest:
    one = object_in(found)
    number = one.get("number")
    if not isinstance(number, int) or one.get("state") not in {"open", "closed"}:
        raise Temporary("GitHub's answer is not a pull request")
    state: State = "merged" if one.get("merged_at") else one["state"]
    standing = str(one.get("mergeable_state") or "unknown")
    head = object_in(one.get("head"))
    return PullRequest(
        number=number,
        address=address_in(one.get("html_url")),
        state=state,
        into=str(object_in(one.get("base")).get("ref", "")),
        head=hash_in(head.get("sha")),
        merged_as=hash_in(one.get("merge_commit_sha")) if state == "merged" else "",  # before, it is a test of GitHub's own
        standing="ready" if standing in READY else OUTDATED.get(standing, "waits"),
        why="" if standing in READY else WAITS.get(standing, words_in(f"GitHub says: {standing}")),
    )
