"""The pull requests of a forge for tests, over a real bare repository: merges are made by git, as a merge commit, squashed or rebased."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.git_remotes import ENVIRONMENT, PERSON, Repository


@dataclass
class Opened:
    """One pull request.

    Fields:
        number: Its number.
        branch: Its own branch.
        into: The branch that it goes into.
        title: Its title.
        body: Its text.
        state: `open`, `closed` or `merged`.
        head: The newest commit of its branch, as last seen.
        base: The commit that it was merged onto.
        commits: What the merge made: `merge`, `squash`, `rebase`, and the commit of each.
        looked: The head that was looked at last: before, nothing is known of whether it could be merged.
        project: Whose branch it is: 1 is the repository itself, another one is a fork.
    """

    number: int
    branch: str
    into: str
    title: str
    body: str
    state: str = "open"
    head: str = ""
    commits: dict[str, str] = field(default_factory=dict)
    looked: str = ""
    project: int = 1


class Denied(Exception):
    """The forge refuses: a status and its words."""

    def __init__(self, status: int, words: Any) -> None:
        """Keep them."""
        super().__init__(status, words)
        self.status, self.words = status, words


@dataclass
class Requests:
    """All pull requests of one repository, and its rules.

    Fields:
        repository: The bare repository.
        of: Them.
        needs_review: Whether a person must approve first.
        approved: The numbers that were.
        linear: Whether a branch must stand on the newest commit.
        closes_without_branch: Whether one whose branch is deleted is closed, as on GitHub.
    """

    repository: Repository
    of: list[Opened] = field(default_factory=list)
    needs_review: bool = False
    approved: set[int] = field(default_factory=set)
    linear: bool = False
    closes_without_branch: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def bare(self) -> Path:
        """The bare repository's folder."""
        return self.repository.bare

    def head_of(self, branch: str) -> str:
        """Read a branch's head; "" if there is none."""
        return run(self.bare, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", fails=True)[1]

    def branches(self) -> list[str]:
        """List the branches besides main."""
        found = run(self.bare, "for-each-ref", "--format=%(refname:short)", "refs/heads")[1].splitlines()
        return [one for one in found if one != "main"]

    def listed(self, branch: str) -> list[Opened]:
        """List those of a branch, the newest first, as the branch is now."""
        return [self.read(one.number) for one in reversed(self.of) if one.branch == branch]

    def read(self, number: int) -> Opened:
        """Give one, as its branch is now."""
        found = next((one for one in self.of if one.number == number), None)
        if found is None:
            raise Denied(404, "Not Found")
        if found.state == "open":
            head = self.head_of(found.branch)
            if not head and self.closes_without_branch:
                found.state = "closed"
            found.head = head or found.head
        return found

    def open(self, branch: str, into: str, title: str, body: str) -> Opened:
        """Open one."""
        head = self.head_of(branch)
        if any(one.state == "open" for one in self.listed(branch)):
            raise Denied(422, f"A pull request already exists for shop:{branch}.")
        if not head:
            raise Denied(422, "head is invalid")
        if run(self.bare, "merge-base", "--is-ancestor", head, into, fails=True)[0] == 0:
            raise Denied(422, f"No commits between {into} and {branch}")
        found = Opened(len(self.of) + 1, branch, into, title, body, head=head)
        self.of.append(found)
        return found

    def close(self, number: int) -> Opened:
        """Close one."""
        found = self.read(number)
        if found.state == "open":
            found.state = "closed"
        return found

    def standing(self, found: Opened) -> str:
        """Say whether one could be merged; unknown at the first look at a head, as the forge works that out behind the answer."""
        if found.state != "open":
            return "unknown"
        if found.looked != found.head:
            found.looked = found.head
            return "unknown"
        if run(self.bare, "merge-tree", "--write-tree", found.into, found.head, fails=True)[0]:
            return "conflict"
        if self.needs_review and found.number not in self.approved:
            return "not approved"
        behind = run(self.bare, "merge-base", "--is-ancestor", found.into, found.head, fails=True)[0]
        return "behind" if self.linear and behind else "ready"

    def merge(self, number: int, method: str, *, message: str = "", sha: str = "") -> Opened:
        """Merge one by git."""
        with self.lock:
            return self._merge(number, method, message=message, sha=sha)

    def _merge(self, number: int, method: str, *, message: str, sha: str) -> Opened:
        found = self.read(number)
        if found.state != "open":
            raise Denied(405, "Pull Request is not mergeable")
        if sha and sha != found.head:
            raise Denied(409, "Head branch was modified. Review and try the merge again.")
        found.looked = found.head
        if (standing := self.standing(found)) != "ready":
            raise Denied(405, f"Pull Request is not mergeable: {standing}")
        base, tree = self.head_of(found.into), run(self.bare, "merge-tree", "--write-tree", found.into, found.head)[1].splitlines()[0]
        if method in {"merge", "squash and merge"}:
            second = found.head
            if method == "squash and merge":
                fork = run(self.bare, "merge-base", base, found.head)[1]
                second = found.commits["squash"] = self._commit(f"{found.head}^{{tree}}", message or found.title, fork)
            made = found.commits["merge"] = self._commit(tree, f"Merge pull request #{number} from {found.branch}", base, second)
        elif method == "squash":
            made = found.commits["squash"] = self._commit(tree, message or found.title, base)
        elif method == "fast-forward" or run(self.bare, "rev-parse", f"{found.head}^")[1] == base:
            made = found.head  # git finds nothing to rebase
        else:
            made = found.commits["rebase"] = self._commit(tree, run(self.bare, "log", "-1", "--format=%B", found.head)[1], base)
        run(self.bare, "update-ref", f"refs/heads/{found.into}", made, base)
        found.state, found.commits["last"] = "merged", made
        return found

    def _commit(self, tree: str, message: str, *parents: str) -> str:
        tree = run(self.bare, "rev-parse", tree)[1]
        return run(self.bare, "commit-tree", tree, *(part for one in parents for part in ("-p", one)), "-m", message)[1]


def run(folder: Path, *arguments: str, fails: bool = False) -> tuple[int, str]:
    """Run git; gives how it ended and what it wrote."""
    ended = subprocess.run(["git", *PERSON, *arguments], cwd=folder, env=ENVIRONMENT, capture_output=True, check=False, timeout=60)
    assert fails or ended.returncode == 0, ended.stderr.decode()
    return ended.returncode, ended.stdout.decode().strip()
