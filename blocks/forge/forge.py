"""Forge: a server of Git repositories that has pull requests, as GitHub, or merge requests, as GitLab."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from blocks.outside_text import outside

HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
ADDRESS = re.compile(r"https?://[^\s<>\"'`\\@]{1,500}")
WHY_LIMIT = 300
State = Literal["open", "merged", "closed"]
Standing = Literal["ready", "stale", "behind", "waits"]


@dataclass(frozen=True)
class PullRequest:
    """A pull request, or a merge request.

    Fields:
        number: Its number in the repository.
        address: Its page, for people; "" if the forge gives none.
        state: What became of it.
        into: The branch that it goes into.
        head: The newest commit of its own branch, as the forge knows it; "" if it does not say.
        merged_as: The commit of the target branch that has it, if it is merged; "" if the forge does not say.
        standing: ready: it could be merged. stale: it has conflicts. behind: only once it is made anew on the newest commit. waits: for
            people, checks or the forge.
        why: What it waits for, in the forge's words; "".
    """

    number: int
    address: str
    state: State
    into: str
    head: str
    merged_as: str
    standing: Standing
    why: str

    @property
    def name(self) -> str:
        """Name it for people: its page, or its number."""
        return self.address or f"#{self.number}"


@dataclass(frozen=True)
class Draft:
    """What is written into a pull request, and into its commit if it is squashed."""

    branch: str
    title: str
    body: str
    message: str


class Forge(Protocol):
    """One repository and its target branch. An error says what to do: `Temporary` with its delay, else what a person has to change."""

    async def check(self) -> None:
        """Look whether the repository is there, the token may use it, and pull requests can be merged as the settings say.

        Raises:
            BadInput: The settings do not fit the repository.
            Refused: The token has not the rights.
        """
        ...

    async def find(self, branch: str) -> PullRequest | None:
        """Find the pull request of a branch of this repository: an open one, else one that was merged, else one that was closed."""
        ...

    async def open(self, draft: Draft) -> PullRequest:
        """Open one, or adopt the one that is open for this branch.

        Raises:
            Temporary: The forge does not take it, in its words; it may not know the branch yet.
        """
        ...

    async def read(self, number: int) -> PullRequest:
        """Read one again."""
        ...

    async def merge(self, pull_request: PullRequest, draft: Draft) -> str:
        """Merge it, if its head still is the one that was read.

        Returns:
            "" if the forge took that, else why not, in its words.
        """
        ...

    async def close(self, number: int) -> None:
        """Close it without merging; one that is merged or closed stays as it is."""
        ...


def chosen(found: Sequence[PullRequest]) -> PullRequest | None:
    """Choose the pull request of a branch: the newest open one, else the newest that was merged, else the newest."""
    states = ("open", "merged", "closed")
    return min(found, key=lambda one: (states.index(one.state), -one.number), default=None)


def object_in(value: Any) -> Mapping[str, Any]:
    """Give a JSON object, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def hash_in(value: Any) -> str:
    """Give a commit's full hash, or "" for anything else."""
    return value if isinstance(value, str) and HASH.fullmatch(value) else ""


def address_in(value: Any) -> str:
    """Give the address of a page, or "" for anything that is not plainly one."""
    return value if isinstance(value, str) and ADDRESS.fullmatch(value) else ""


def words_in(value: Any) -> str:
    """Clean a forge's words."""
    return outside("" if value is None else value, limit=WHY_LIMIT)
