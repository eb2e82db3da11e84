"""GitLab's merge requests, also of a self-managed GitLab.

https://docs.gitlab.com/api/merge_requests/
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from blocks.errors import BadInput, Refused, Temporary
from blocks.forge.client import ForgeClient, gitlab_headers
from blocks.forge.forge import Draft, PullRequest, State, address_in, chosen, hash_in, object_in, words_in
from blocks.forge.settings import PullRequests

RIGHTS = "a project's token of the role Developer, or Maintainer where only those may merge, with the scopes `api` and `write_repository`"
DEVELOPER = 30
STATES: dict[str, State] = {"opened": "open", "locked": "open", "merged": "merged", "closed": "closed"}  # locked: a merge is under way
STALE = {"conflict", "broken_status", "cannot_be_merged"}
NOT_NOW = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
METHODS = {"merge": {"merge", "rebase_merge"}, "rebase": {"ff"}}


class GitLab:
    """One project of GitLab.

    Args:
        settings: The block's.
        token: Of the API.
        target: The branch that merge requests go into.
    """

    def __init__(self, settings: PullRequests, token: str, target: str) -> None:
        """Keep them."""
        self._settings, self._target = settings, target
        self._client = ForgeClient(settings.url, gitlab_headers(token), rights=RIGHTS)
        self._path = f"/projects/{quote(settings.repository, safe='')}"

    async def check(self) -> None:
        """Look whether the project is there, the token may use it, and merge requests can be merged as the settings say."""
        found = object_in((await self._client.ask("GET", self._path)).body)
        if found.get("archived"):
            raise Refused(f"{self._settings.repository} is archived, so no merge request can be opened there")
        access = [object_in(one).get("access_level") for one in object_in(found.get("permissions")).values()]
        levels = [level for level in access if isinstance(level, int)]
        if levels and max(levels) < DEVELOPER:
            raise Refused(f"the token may not push to {self._settings.repository}. Give it the rights: {RIGHTS}")
        if not self._settings.merge:
            return
        name = self._settings.repository
        if found.get("merge_trains_enabled"):
            fix = "Leave `merge` out: the release waits for the train, onto which a person puts the merge request."
            raise BadInput(f"{name} has merge trains, which a merge would go past", field="pull_requests.merge", fix=fix)
        method, squash, how = self._settings.method, found.get("squash_option"), found.get("merge_method")
        if squash == "never" if method == "squash" else squash == "always" or (how is not None and how not in METHODS[method]):
            fix = "Write another one, or allow it in the project's settings."
            wrong = f"{name} does not merge by {method}: it merges by {words_in(how)}, and squashes {words_in(squash)}"
            raise BadInput(wrong, field="pull_requests.method", fix=fix)

    async def find(self, branch: str) -> PullRequest | None:
        """Find the merge request of a branch of this project: an open one, else one that was merged, else one that was closed."""
        query = {"source_branch": branch, "state": "all", "order_by": "created_at", "sort": "desc", "per_page": "100"}
        found = (await self._client.ask("GET", f"{self._path}/merge_requests", query=query)).body
        ours = [_read(one) for one in found if _is_of(one, branch)] if isinstance(found, list) else []
        return chosen(ours)

    async def open(self, draft: Draft) -> PullRequest:
        """Open one, or adopt the one that is open for this branch."""
        body = {
            "source_branch": draft.branch,
            "target_branch": self._target,
            "title": draft.title,
            "description": draft.body,
            "remove_source_branch": True,
        }
        answer = await self._client.ask("POST", f"{self._path}/merge_requests", body=body, accept=NOT_NOW)
        if answer.status not in NOT_NOW:
            return _read(answer.body)
        found = await self.find(draft.branch)
        if found is None or found.state != "open":
            raise Temporary(f"GitLab does not open a merge request of {draft.branch} into {self._target}: {answer.said}", delay_seconds=2)
        return found

    async def read(self, number: int) -> PullRequest:
        """Read one again."""
        return _read((await self._client.ask("GET", f"{self._path}/merge_requests/{number}")).body)

    async def merge(self, pull_request: PullRequest, draft: Draft) -> str:
        """Merge it, if its head still is the one that was read."""
        squash = self._settings.method == "squash"
        body: dict[str, Any] = {"sha": pull_request.head, "squash": squash, "should_remove_source_branch": True}
        if squash:
            body["squash_commit_message"] = f"{draft.title}\n\n{draft.message}"
        path = f"{self._path}/merge_requests/{pull_request.number}/merge"
        answer = await self._client.ask("PUT", path, body=body, accept={*NOT_NOW, HTTPStatus.UNAUTHORIZED})
        if answer.status == HTTPStatus.UNAUTHORIZED:  # GitLab's answer to an account that is known and may not merge there
            return "the token's account may not merge into this branch: people must merge it, or give the account that right"
        return (answer.said or f"it answered {answer.status}") if answer.status in NOT_NOW else ""

    async def close(self, number: int) -> None:
        """Close it without merging; one that is merged or closed stays as it is."""
        path = f"{self._path}/merge_requests/{number}"
        await self._client.ask("PUT", path, body={"state_event": "close"}, accept=NOT_NOW)


def _is_of(found: Any, branch: str) -> bool:
    one = object_in(found)
    return one.get("source_branch") == branch and one.get("source_project_id") == one.get("target_project_id")


def _read(found: Any) -> PullRequest:
    one = object_in(found)
    number, state = one.get("iid"), STATES.get(str(one.get("state")))
    if not isinstance(number, int) or state is None:
        raise Temporary("GitLab's answer is not a merge request")
    standing = str(one.get("detailed_merge_status") or one.get("merge_status") or "unknown")
    is_stale = standing in STALE or one.get("has_conflicts") is True
    is_ready = standing in {"mergeable", "can_be_merged"} and one.get("state") == "opened"
    merged_as = hash_in(one.get("merge_commit_sha")) or hash_in(one.get("squash_commit_sha")) or hash_in(one.get("sha"))
    return PullRequest(
        number=number,
        address=address_in(one.get("web_url")),
        state=state,
        into=str(one.get("target_branch", "")),
        head=hash_in(one.get("sha")),
        merged_as=merged_as if state == "merged" else "",
        standing="stale" if is_stale else "behind" if standing == "need_rebase" else "ready" if is_ready else "waits",
        why="" if is_ready else words_in(one.get("merge_error") or f"GitLab says: {standing.replace('_', ' ')}"),
    )
