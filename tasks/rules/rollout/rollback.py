"""How an environment is rolled back, from what it runs now; and whether a release moved it at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tasks.rules.rollout.version_name import VersionName, is_same, may_be, named_there


@dataclass(frozen=True, slots=True)
class RollbackChoice:
    """What a rollback will do.

    Fields:
        kind: `nothing` moved, `abort` the canary while the baseline is warm, `redeploy` a version, the version `stays` as the first one
            there, or `impossible`.
        version: The version that serves afterwards; None if that is unknown.
        reason: Why this way, for the record.
    """

    kind: Literal["nothing", "abort", "redeploy", "stays", "impossible"]
    version: str | None
    reason: str


def choose_rollback(
    *,
    baseline: str | None,
    canary: str | None,
    previous: str | None,
    bad: str | None,
    to: str,
    fallback: str | None = None,
    is_first: bool = False,
    others: Collection[str] = (),
    configuration: str = "",
    replaced: str = "",
) -> RollbackChoice:
    """Choose the quickest way to a version that is not the bad one.

    Args:
        baseline: Version that serves now, or None.
        canary: Version being brought in, or None.
        previous: Version that served before the baseline, or None.
        bad: The version to get rid of; None means whatever is newest: the canary, unless that is the version asked for, else the baseline.
        to: `previous`, or the version that was asked for.
        fallback: The plan's fixed version, if nothing warm is left; None takes the one before.
        is_first: Whether a release is rolled back that found nothing running here: then there is nothing to return to.
        others: Versions that are not meant by the name of the bad one, as a release of the configuration alone replaced them.
        configuration: What a name without the hash of a configuration means here; "" if that is not known.
        replaced: The version in whose place others put the baseline, or "".

    Returns:
        The way; `impossible` where no version to return to is known, with what a person can do.
    """
    bad = bad and named_there(bad, (canary, baseline), others=others, present=configuration)
    to = to if canary is None or (bad and VersionName.of(bad).source == VersionName.of(to).source) else named_there(to, (canary, baseline))
    wanted = None if to == "previous" else to
    away = bad or version_meant(baseline=baseline, canary=canary, to=to)
    if canary is not None and baseline is None and wanted is None:
        return RollbackChoice("abort", None, f"nothing ran before {canary}: it is removed, and nothing is left")
    if canary is not None and baseline is not None and baseline != bad and wanted in {None, baseline}:
        return RollbackChoice("abort", baseline, f"{baseline} is the baseline beside {canary}, and gets all requests again")
    if wanted is None and baseline is not None and baseline != away:
        return RollbackChoice("nothing", baseline, f"{baseline} serves, and {away} does not")
    target = wanted or (fallback if not may_be(fallback, away) else None) or previous
    if is_first and canary is None and target is None:
        return RollbackChoice("stays", away, f"nothing ran here before {away}, so there is no version to return to")
    if wanted is not None and is_same(wanted, away, present=configuration):
        return RollbackChoice("impossible", None, f"{wanted} is the version to get rid of; name another one with the field `version`")
    if target is None or is_same(target, away, present=configuration):
        by_others = replaced and f"others put {baseline} in the place of {replaced}, so "
        missing = f"{by_others}no earlier version is known here"
        return RollbackChoice("impossible", None, f"{missing}; name one with the field `version` of the rollback, or fix {away} forward")
    if is_same(target, baseline, present=configuration) and canary is None:
        return RollbackChoice("nothing", baseline, f"{baseline} serves already")
    if target == canary:
        return RollbackChoice("redeploy", target, f"{target} was started beside {away} already, by a rollback that did not end; it goes on")
    return RollbackChoice("redeploy", target, f"{away} is all that runs; {target} ran before it and is started again")


def version_meant(*, baseline: str | None, canary: str | None, to: str) -> str | None:
    """Name the version that is to go if a rollback names none: the newest, but never the one that was asked for.

    Args:
        baseline: Version that serves now, or None.
        canary: Version being brought in, or None.
        to: `previous`, or the version that was asked for; a canary of that version was left by a rollback to it.
    """
    return (baseline if canary == to and baseline is not None else canary) or baseline


def is_moved(
    position: Mapping[str, Any], *, owner: str, version: str, before: str | None, was_there: bool, has_acted: bool = False
) -> bool:
    """Say whether a release may have moved an environment: it owns it, and its record says so, or the version did not serve there before.

    What the record says counts first: by its name a version whose configuration alone changed may have served before.

    Args:
        position: What the environment runs: `owner`, `canary`.
        owner: Flow run id of the release.
        version: The version under release.
        before: The version that ran there when the release was reviewed.
        was_there: Whether the release found the version there, left by an earlier one, and so took no step.
        has_acted: Whether its record says that it brought the version there, see `has_acted`.
    """
    if position["owner"] != owner:
        return False
    if has_acted or was_there:
        return has_acted
    return position["canary"] is not None or (before != version and not _stands_still(position, before))


def _stands_still(position: Mapping[str, Any], before: str | None) -> bool:
    """Say whether the version that ran before serves on, and got its plain name as its configuration came back."""
    found, earlier = VersionName.of(position.get("baseline") or "", present=position.get("configuration", "")), VersionName.of(before or "")
    return bool(earlier.config) and found == earlier
