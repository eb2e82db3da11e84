"""The deployments of a forge for tests: made, listed and given states as GitHub and GitLab do it, and refused where they refuse."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.forge_repository import Denied, Requests, run

Json = dict[str, Any]
GITHUB_STATES = {"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}
GITLAB_STATES = {"running", "success", "failed", "canceled"}
MOST_TEXT = 140


@dataclass
class Deployments:
    """All deployments of one repository.

    Fields:
        requests: Its pull requests, which know the repository.
        of: Them, each as the forge shows it; the states of one are its `states`, the oldest first.
        contexts: Checks of commits that did not pass.
        may_write: Whether the token may make them.
    """

    requests: Requests
    of: list[Json] = field(default_factory=list)
    contexts: list[str] = field(default_factory=list)
    may_write: bool = True

    def states(self) -> list[list[str]]:
        """Give the states of each, in the order in which they were told."""
        return [list(one["states"]) for one in self.of]

    def github(self, method: str, parts: list[str], query: Mapping[str, str], given: Json) -> tuple[int, Any]:
        """Do what GitHub is asked."""
        self._expect_right(method)
        if len(parts) == 1 and method == "GET":
            wanted = {name: query[name] for name in ("sha", "ref", "task", "environment") if name in query}
            found = [one for one in reversed(self.of) if all(one[name] == value for name, value in wanted.items())]
            return 200, [_shown(one) for one in found[: int(query.get("per_page", "30"))]]
        if len(parts) == 1:
            return self._make_on_github(given)
        one = self._read(parts[1])
        if method == "POST":
            return self._tell_github(one, given)
        return 200, [{"id": one["id"] * 100 + number, "state": state} for number, state in reversed(list(enumerate(one["states"])))]

    def _make_on_github(self, given: Json) -> tuple[int, Any]:
        commit = self._commit(given["ref"])
        if not commit:
            raise Denied(422, f"No ref found for: {given['ref']}")
        if self.contexts and given.get("required_contexts") != []:
            raise Denied(409, f"Conflict: Commit status checks failed for {given['ref']}.")
        if given.get("auto_merge", True):
            raise Denied(409, f"Conflict merging main into {given['ref']}.")
        kept = {name: given[name] for name in ("ref", "task", "environment", "payload", "transient_environment", "production_environment")}
        made: Json = {"id": len(self.of) + 1, "sha": commit, "states": [], "told": [], **kept}
        self.of.append(made)
        return 201, _shown(made)

    def _tell_github(self, one: Json, given: Json) -> tuple[int, Any]:
        if given["state"] not in GITHUB_STATES:
            raise Denied(422, "state is not included in the list")
        if len(given.get("description", "")) > MOST_TEXT:
            raise Denied(422, f"description is too long (maximum is {MOST_TEXT} characters)")
        one["states"].append(given["state"])
        one["told"].append(given)
        if given["state"] == "success" and given.get("auto_inactive", True):
            for other in self.of:
                is_like = other["environment"] == one["environment"] and other is not one and not other["production_environment"]
                if is_like and not other["transient_environment"] and other["states"][-1:] == ["success"]:
                    other["states"].append("inactive")
        return 201, {"id": one["id"] * 100 + len(one["states"]) - 1, "state": given["state"]}

    def gitlab(self, method: str, parts: list[str], query: Mapping[str, str], given: Json) -> tuple[int, Any]:
        """Do what GitLab is asked."""
        self._expect_right(method)
        if len(parts) == 1 and method == "GET":
            found = [one for one in self.of if one["environment"]["name"] == query.get("environment", one["environment"]["name"])]
            ordered = sorted(found, key=lambda one: one["id"], reverse=query.get("sort") == "desc")
            return 200, [_shown(one) for one in ordered[: int(query.get("per_page", "20"))]]
        if len(parts) == 1:
            return self._make_on_gitlab(given)
        one = self._read(parts[1])
        if method == "PUT":
            self._expect_gitlab_state(given)
            if one["deployable"] is not None:
                raise Denied(403, "Deployments created using GitLab CI can not be updated using the API")
            if given["status"] == one["status"] or given["status"] == "running":
                raise Denied(400, {"status": [f'cannot transition via "{given["status"]}"']})
            one["status"] = given["status"]
            one["states"].append(given["status"])
        return 200, _shown(one)

    def _make_on_gitlab(self, given: Json) -> tuple[int, Any]:
        self._expect_gitlab_state(given)
        if not re.fullmatch(r"[a-zA-Z0-9_/\\$.{} -]+", given["environment"]) or given["environment"].strip("/") != given["environment"]:
            raise Denied(400, {"name": ["can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces"]})
        if not self._commit(given["ref"]):
            raise Denied(400, {"ref": ["The branch or tag does not exist"]})
        if self._commit(given["sha"]) != given["sha"]:
            raise Denied(400, {"sha": ["The commit does not exist"]})
        successes = [one for one in self.of if one["environment"]["name"] == given["environment"] and one["status"] == "success"]
        if successes and all(successes[-1][name] == given[name] for name in ("ref", "tag", "sha", "status")):
            return 201, _shown(successes[-1])
        made = {
            "id": len(self.of) + 1,
            "states": [given["status"]],
            "deployable": None,
            **given,
            "environment": {"name": given["environment"]},
        }
        self.of.append(made)
        return 201, _shown(made)

    def _expect_gitlab_state(self, given: Json) -> None:
        if given["status"] not in GITLAB_STATES:
            raise Denied(400, "status does not have a valid value")

    def _expect_right(self, method: str) -> None:
        if method != "GET" and not self.may_write:
            raise Denied(403, "Resource not accessible by personal access token")

    def _read(self, number: str) -> Json:
        found = next((one for one in self.of if str(one["id"]) == number), None)
        if found is None:
            raise Denied(404, "Not Found")
        return found

    def _commit(self, ref: str) -> str:
        return run(self.requests.bare, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", fails=True)[1]


def _shown(one: Json) -> Json:
    return {name: value for name, value in one.items() if name not in {"states", "told"}}
