"""Where a release comes from, compared with what a policy asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tasks.rules.policy.policy import Policy


@dataclass(frozen=True)
class Found:
    """What Git says about a version in the plan's repository.

    Fields:
        commit: Its commit.
        remotes: The URLs of the repository's remotes.
        roots: The commits without parents that it is built on.
        branches: The branches that hold it, without the name of the remote.
        faults: By policy, why the signature that it asks for is missing or not valid, or that the plan is another one than the signed one.
    """

    commit: str
    remotes: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    branches: tuple[str, ...] = ()
    faults: dict[str, str] = field(default_factory=dict)


def source_conflicts(policy: Policy, found: Found) -> list[str]:
    """List where a release does not come from where a policy wants it from.

    Returns:
        A sentence each, which names the policy's field, and the fix.
    """
    source, by = policy.source, f"of the policy {policy.name}"
    if source is None:
        return []
    problems: list[str] = []
    known = {_plain(url) for url in source.repositories}
    if known and not known & {_plain(one) for one in (*found.remotes, *found.roots)}:
        remotes = ", ".join(_plain(url) for url in found.remotes) or "no remote"
        problems.append(
            f"repository: it has {remotes}, which `source.repositories` {by} does not list. Release from a clone of a listed one."
        )
    if source.branches and not any(_fits(branch, pattern) for branch in found.branches for pattern in source.branches):
        where = ", ".join(found.branches[:10]) or "no branch"
        problems.append(
            f"version: {found.commit[:10]} lies on {where}, and on none of `source.branches` {by} ({', '.join(source.branches)}). "
            f"Merge it, or fetch the branches."
        )
    if policy.name in found.faults:
        signed = f"`source.signed: {source.signed}` {by}"
        problems.append(f"version: {found.faults[policy.name]}, so {signed} is not met. Sign it with a key of `source.signers`.")
    return problems


def _plain(url: str) -> str:
    """Leave out of a URL what does not change where it leads: a user and password, and `.git` at the end."""
    return re.sub(r"(?<=://)[^/@]*@", "", url.strip()).rstrip("/").removesuffix(".git")


def _fits(branch: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), branch) is not None
