"""A change as a pull request: its branch, its words, and what to do next about it. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

from blocks.outside_text import outside
from tasks.rules.gitops.message import SUBJECT_LIMIT, Change

Can = Literal["ready", "stale", "behind", "waits"]
Move = Literal["landed", "refused", "push", "open", "merge", "wait"]
MOST_DIFF = 20_000
FENCE = re.compile(r"`{3,}")


@dataclass(frozen=True)
class Standing:
    """How a change stands, as it was read just now.

    Fields:
        landed: Whether the target branch has it.
        branch: Its own branch: absent, ours as it must be, or with commits of others.
        request: Its pull request.
        can: ready: it could be merged. stale: it has conflicts with the newest commit. behind: it must stand on the newest commit first.
            waits: for people, checks or the forge.
        merges: Whether we merge.
    """

    landed: bool
    branch: Literal["absent", "ours", "others"]
    request: Literal["none", "open", "merged", "closed"]
    can: Can
    merges: bool


def next_move(now: Standing) -> Move:
    """Decide what to do about a change that goes in by a pull request.

    Returns:
        `landed`; `refused`: it was closed, or its branch is not ours; `push` the branch, also anew; `open` the pull request; `merge` it; or
        `wait`.
    """
    if now.landed:
        return "landed"
    if now.request == "closed" or (now.branch == "others" and now.request == "none"):
        return "refused"
    if now.request == "merged":
        return "wait"  # until the branch shows it
    is_outdated = now.can == "stale" or (now.can == "behind" and now.merges)  # people may want what was reviewed to stay as it is
    if now.branch == "absent" or (now.branch == "ours" and now.request == "open" and is_outdated):
        return "push"
    if now.request == "none":
        return "open"
    return "merge" if now.merges and now.branch == "ours" and now.can == "ready" else "wait"


def branch_of(change: Change, *, reverts: bool = False) -> str:
    """Name the branch of a change, or of its revert: the same each time, so that it is found again, and of this change alone."""
    key = change.revert_key if reverts else change.key
    service, release = (re.sub(r"[^A-Za-z0-9]+", "-", one).strip("-")[:40] or "x" for one in (change.service, change.release))
    return f"shipway/{service}/{'revert-' if reverts else ''}{release}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def title_of(change: Change, *, reverts: bool = False) -> str:
    """Write the title of its pull request: the subject of its commit."""
    return outside(f"{'Revert' if reverts else 'Deploy'} {change.service} {change.version}", limit=SUBJECT_LIMIT)


def body_of(change: Change, *, diff: str, trailers: str, reverts: bool = False) -> str:
    """Write the text of its pull request, for people; the commit's trailers come last, where a squash keeps them as trailers.

    Args:
        change: The change.
        diff: What it changes, as a unified diff.
        trailers: Those of its commit.
        reverts: Whether it is undone.
    """
    what = "This undoes what the release committed, and nothing else." if reverts else "A release waits for the merge of this change."
    end = (
        "Close it to keep what Git says now."
        if reverts
        else "Close it, and the release is rolled back. The branch is the release's own: commit nothing to it."
    )
    about = (("Service", change.service), ("Version", change.version), ("Release", change.release), ("Reason", change.reason))
    rows = "\n".join(f"- {name}: `{_quoted(value)}`" for name, value in about if value)
    shown = outside(FENCE.sub("``", diff), limit=MOST_DIFF, lines=True)
    return f"{what} {end}\n\n{rows}\n\n```diff\n{shown}\n```\n\n{trailers}\n"


def _quoted(text: str) -> str:
    return outside(text.replace("`", "'"), limit=300)
