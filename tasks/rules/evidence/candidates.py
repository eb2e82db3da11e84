"""Candidates: the versions of a service that wait for their release, from its Git tags; the newest by version, not by time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from blocks.errors import BadInput
from tasks.rules.plan.version import version_fault

REJECTED = "rejected"
BEGUN = {"deployed", "partly_deployed", "rolled_back", "failed", "cancelled", REJECTED}  # then people decide about a version
MOST_TRIED = 5


class Waiting(NamedTuple):
    """What waits.

    Fields:
        versions: The candidates, the newest first.
        unordered: Tags that match, but are not versions that can be ordered.
    """

    versions: list[str]
    unordered: list[str]


def waiting(tags: Iterable[str], *, pattern: str, template: str, running: Iterable[str | None], pre_releases: bool = False) -> Waiting:
    """List the versions that are newer than everything that runs in production.

    Args:
        tags: All tags of the repository.
        pattern: Which of them, as `v*` or `shop-v[0-9]*`.
        template: The plan's `change_log.tag`, as `v{version}`.
        running: The versions in production's environments; None for nothing.
        pre_releases: Whether pre-releases count, as `1.4.0rc1`.

    Raises:
        BadInput: A running version cannot be ordered, so what is newer is not known.
    """
    before, _, after = template.partition("{version}")
    found: dict[str, Version] = {}
    unordered: list[str] = []
    for tag in tags:
        fits = fnmatchcase(tag, pattern) and tag.startswith(before) and tag.endswith(after) and len(tag) > len(before) + len(after)
        version = tag[len(before) : len(tag) - len(after)] if fits else ""
        if not version or version_fault(version):
            continue
        try:
            found[version] = Version(version)
        except InvalidVersion:
            unordered.append(tag)
    newest = max((_ordered(one) for one in running if one), default=None)
    newer = [
        version
        for version, number in sorted(found.items(), key=lambda item: item[1], reverse=True)
        if (newest is None or number > newest) and (pre_releases or not number.is_prerelease)
    ]
    return Waiting(newer, sorted(unordered))


def pattern_fault(pattern: str) -> str | None:
    """Say why a text cannot be a pattern of tags; None if it can."""
    return None if re.fullmatch(r"[0-9A-Za-z._/*?\[\]!+-]{1,200}", pattern) else "it holds characters that no tag has"


def begun_before(outcomes: Iterable[str]) -> str:
    """Say how an earlier release of a version ended after which it is not tried again by itself; "" if there was none."""
    return next((outcome for outcome in outcomes if outcome in BEGUN), "")


def none_ready(found: Waiting, faults: Mapping[str, str], *, pattern: str) -> str:
    """Say why nothing is released: nothing waits, or what is missing of each candidate."""
    if faults:
        return "; ".join(f"{version}: {fault}" for version, fault in faults.items())
    also = f" ({', '.join(found.unordered[:5])} cannot be ordered as versions)" if found.unordered else ""
    return f"nothing waits: no tag `{pattern}` is newer than what runs in production{also}"


def _ordered(version: str) -> Version:
    try:
        return Version(version.partition("+config.")[0])
    except InvalidVersion:
        fix = "Schedule a version by its name, with `--version`."
        raise BadInput(f"{version[:80]!r} runs in production and cannot be ordered as a version", field="candidate", fix=fix) from None
