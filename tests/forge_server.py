"""A forge for tests: an HTTP server that answers as GitHub's or GitLab's API does, and refuses what they refuse, over a real repository."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import SecretStr

from blocks.forge.repository import ForgeRepository
from blocks.forge.settings import PullRequests
from blocks.git.git import Git
from tests.faulty_http import FaultyHandler, FaultyHttp, running
from tests.forge_deployments import Deployments
from tests.forge_repository import Denied, Opened, Requests
from tests.git_remotes import Repository

API_TOKEN = "ap1-t0ken-0f-the-f0rge"
PROJECT = "shop/deploy"
KINDS = ("github", "gitlab")
Json = dict[str, Any]


class Handler(FaultyHandler):
    """Answers as the forge does, or as the fault says."""

    server: ForgeServer

    def take(self, body: bytes) -> None:
        """Note what was asked, and answer."""
        self.body = body
        self.server.asked.append(f"{self.command} {self.path}")
        self.answer(self.server.fault)

    def answer_good(self) -> None:
        """Answer as the forge does."""
        server, address = self.server, urlsplit(self.path)
        given = json.loads(self.body or b"{}")
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            with server.requests.lock:
                server.expect_token(self.headers)
                status, found = server.route(self.command, address.path, query, given)
        except Denied as denied:
            status, found = server.denied(denied)
        if server.hold and server.hold in f"{self.command} {self.path} ":  # it was done, and whoever asked is not told
            server.hold = ""
            server.reached.set()
            server.over.wait(60)
            return
        if self.command in server.drop:  # it was done, and the answer is lost
            server.drop.remove(self.command)
            self.close_connection = True
            return
        self._reply(status, json.dumps(found).encode(), **{"Content-Type": "application/json"})

    def answer_fault(self) -> None:
        """Answer with a status, words and headers of the test's."""
        status, words, headers = self.server.answered
        self._reply(status, json.dumps({"message": words}).encode(), **headers)

    def answer_page(self) -> None:
        """Give what a proxy before it would."""
        self._reply(200, b"<html>Sign in</html>")

    def answer_encoded(self) -> None:
        """Say that it is compressed."""
        self._reply(200, b"x", **{"Content-Encoding": "gzip"})


class ForgeServer(FaultyHttp):
    """A forge, its repository and its rules.

    Fields:
        kind: `github` or `gitlab`.
        requests: Its pull requests.
        project: What the repository's own object says besides.
        rules: The types of the branch's rules.
        fault: What it answers with: `good`, or one of `answer_…`.
        answered: For the fault `fault`: status, words and headers.
        drop: Methods whose next answer is lost, though the thing is done.
        hold: A part of the request whose answer is kept back, though the thing is done; then `reached` is set.
        asked: Method and path of each request.
    """

    def __init__(self, kind: str, repository: Repository) -> None:
        """Be good at first."""
        super().__init__(Handler)
        self.kind, self.requests = kind, Requests(repository, closes_without_branch=kind == "github")
        self.deployments = Deployments(self.requests)
        self.header = "Authorization" if kind == "github" else "PRIVATE-TOKEN"
        self.expected = f"Bearer {API_TOKEN}" if kind == "github" else API_TOKEN
        self.project: Json = {}
        self.rules: list[str] = []
        self.fault = "good"
        self.answered: tuple[int, str, dict[str, str]] = (500, "", {})
        self.drop: list[str] = []
        self.hold, self.reached = "", threading.Event()
        self.asked: list[str] = []

    def git(self, **fields: Any) -> Git:
        """Give the block of a Git repository whose changes go in by this forge."""
        settings = {"forge": self.kind, "repository": PROJECT, "api": self.url, "token": SecretStr(API_TOKEN), **fields}
        return Git(remote=self.requests.repository.url, pull_requests=PullRequests(**settings))

    def block(self, **fields: Any) -> ForgeRepository:
        """Give the block of the repository in which the releases of `shop` are recorded."""
        token = SecretStr(API_TOKEN)
        given = {"forge": self.kind, "repository": PROJECT, "api": self.url, "token": token, "services": ["shop"], **fields}
        return ForgeRepository(**given)

    def made(self, method: str) -> int:
        """Count the requests of a method."""
        return sum(one.startswith(f"{method} ") for one in self.asked)

    def expect_token(self, headers: Mapping[str, str]) -> None:
        """Refuse a request without the token."""
        if headers.get(self.header) != self.expected:
            raise Denied(401, "Bad credentials")

    def denied(self, denied: Denied) -> tuple[int, Any]:
        """Word a refusal as the forge does."""
        if self.kind == "github":
            return denied.status, {"message": "Validation Failed", "errors": [{"code": "custom", "message": denied.words}]}
        if "already exists" in str(denied.words):
            return 409, {"message": ["Another open merge request already exists for this source branch: !1"]}
        return denied.status, {"message": denied.words if isinstance(denied.words, dict) else f"{denied.status} {denied.words}"}

    def route(self, method: str, path: str, query: Mapping[str, str], given: Json) -> tuple[int, Any]:
        """Do what is asked; gives status and answer."""
        return (_github if self.kind == "github" else _gitlab)(self, method, path, query, given)


def _github(server: ForgeServer, method: str, path: str, query: Mapping[str, str], given: Json) -> tuple[int, Any]:
    base, requests = f"/repos/{PROJECT}", server.requests
    if not path.startswith(base):
        raise Denied(404, "Not Found")
    parts = path.removeprefix(base).strip("/").split("/")
    shown = partial(_as_github, server)
    if parts == [""]:
        return 200, {"full_name": PROJECT, "permissions": {"push": True}, "allow_squash_merge": True, **server.project}
    if parts[0] == "deployments":
        return server.deployments.github(method, parts, query, given)
    if parts[0] == "rules":
        return 200, [{"type": one} for one in server.rules]
    if parts == ["pulls"] and method == "GET":
        found = requests.listed(query["head"].partition(":")[2])
        return 200, [{name: value for name, value in shown(replace(one)).items() if name != "mergeable_state"} for one in found]
    if parts == ["pulls"]:
        return 201, shown(requests.open(given["head"], given["base"], given["title"], given["body"]))
    number = int(parts[1])
    if parts[2:] == ["merge"]:
        if "merge_queue" in server.rules:
            raise Denied(405, "Changes must be made through the merge queue")
        words = f"{given.get('commit_title', '')}\n\n{given.get('commit_message', '')}".strip()
        return 200, {"merged": True, "sha": requests.merge(number, given["merge_method"], message=words, sha=given["sha"]).commits["last"]}
    if method == "PATCH":
        return 200, shown(requests.close(number))
    return 200, shown(requests.read(number))


def _as_github(server: ForgeServer, one: Opened) -> Json:
    states = {"conflict": "dirty", "not approved": "blocked", "ready": "clean"}
    standing = server.requests.standing(one)
    return {
        "number": one.number,
        "html_url": f"{server.url}/{PROJECT}/pull/{one.number}",
        "state": "open" if one.state == "open" else "closed",
        "merged_at": "2026-11-29T12:00:00Z" if one.state == "merged" else None,
        "merge_commit_sha": one.commits.get("last", "f" * 40),  # of an open one it is a test of the forge's own
        "mergeable_state": states.get(standing, standing),
        "head": {"ref": one.branch, "sha": one.head, "repo": {"full_name": PROJECT if one.project == 1 else "fork/deploy"}},
        "base": {"ref": one.into},
        "title": one.title,
        "body": one.body,
    }


def _gitlab(server: ForgeServer, method: str, path: str, query: Mapping[str, str], given: Json) -> tuple[int, Any]:
    base, requests = f"/projects/{PROJECT.replace('/', '%2F')}", server.requests
    if not path.startswith(base):
        raise Denied(404, "Project Not Found")
    parts = [unquote(one) for one in path.removeprefix(base).strip("/").split("/")]
    shown = partial(_as_gitlab, server)
    how = str(server.project.get("merge_method", "merge"))
    requests.linear = how == "ff"
    if parts == [""]:
        return 200, {"id": 1, "permissions": {"project_access": {"access_level": 40}, "group_access": None}, **server.project}
    if parts[0] == "deployments":
        return server.deployments.gitlab(method, parts, query, given)
    if parts == ["merge_requests"] and method == "GET":
        return 200, [shown(one) for one in requests.listed(query["source_branch"])]
    if parts == ["merge_requests"]:
        return 201, shown(requests.open(given["source_branch"], given["target_branch"], given["title"], given["description"]))
    number = int(parts[1])
    if parts[2:] == ["merge"]:
        squash = bool(given.get("squash"))
        by = ("squash" if squash else "fast-forward") if how == "ff" else "squash and merge" if squash else "merge"
        return 200, shown(requests.merge(number, by, message=given.get("squash_commit_message", ""), sha=given["sha"]))
    if method == "PUT" and given.get("state_event") == "close":
        return 200, shown(requests.close(number))
    return 200, shown(requests.read(number))


def _as_gitlab(server: ForgeServer, one: Opened) -> Json:
    states = {"not approved": "not_approved", "ready": "mergeable", "behind": "need_rebase", "unknown": "checking"}
    standing = server.requests.standing(one)
    return {
        "iid": one.number,
        "web_url": f"{server.url}/{PROJECT}/-/merge_requests/{one.number}",
        "state": {"open": "opened"}.get(one.state, one.state),
        "detailed_merge_status": states.get(standing, standing) if one.state == "open" else "not_open",
        "has_conflicts": standing == "conflict",
        "merge_commit_sha": one.commits.get("merge"),
        "squash_commit_sha": one.commits.get("squash"),
        "sha": one.head,
        "source_branch": one.branch,
        "target_branch": one.into,
        "source_project_id": one.project,
        "target_project_id": 1,
        "title": one.title,
        "description": one.body,
    }


@contextmanager
def serving_forge(kind: str, repository: Repository) -> Iterator[ForgeServer]:
    """Serve a forge until the block ends."""
    with running(ForgeServer(kind, repository)) as server:
        yield server
