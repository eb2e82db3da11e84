"""What is under release or rolled back when a rollback on demand begins: that is what it is about, if no version is named."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from blocks.platform import Position
from flows.lifecycle.context import Phase
from flows.rollout.under_way import DECISION
from tasks.evidence.releases_there import releases_there
from tasks.lifecycle.kept_runs import RUN
from tasks.record.journal import read_entries
from tasks.rules.record.entries import outcome_of, select
from tasks.rules.rollout.waves import has_acted

UNDER = "under release"


@dataclass(frozen=True)
class Under:
    """What is under release or rolled back.

    Fields:
        version: The version; "" if nothing is.
        release: The release's run; "" if that is not known.
        names: By which name another rollback knows the version, by environment, see `tasks.rules.rollout.bad_name`.
    """

    version: str = ""
    release: str = ""
    names: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


async def what_is_under_way(phase: Phase, environments: Sequence[str], positions: Mapping[str, Position]) -> Under:
    """Find the release, or the rollback, whose version is meant: who owns an environment, else an open release."""
    owners = {
        owner: [(None, name) for name in environments] for one in positions.values() if (owner := one["owner"]) and RUN.fullmatch(owner)
    }
    found = await _version_of(owners)
    return found if found.version else await _leaving(owners) or await note_version_under_release(phase, environments)


async def note_version_under_release(phase: Phase, environments: Sequence[str]) -> Under:
    """Name the version that a release under way rolled out here: that one is meant, even if it is gone when the release has stopped."""
    noted = await phase.read("rollback", name=UNDER)
    if noted is not None:
        return Under(str(noted.evidence["version"]), str(noted.evidence.get("release", "")))
    found = await _version_of(await releases_there(phase.plan, environments, besides=phase.owner))
    if found.version:
        evidence = {"version": found.version, "release": found.release}
        await phase.append(f"{found.version} is under release", kind="rollback", name=UNDER, evidence=evidence)
    return found


async def unreached_by(release: str, environments: Collection[str], *, version: str) -> list[str]:
    """Name the environments in which a release of a version did nothing, by its record; none if there is none."""
    entries = await read_entries(release) if release else []
    opened = next(iter(select(entries, kind="opened")), None)
    if opened is None or opened.evidence.get("flow") == "rollback" or opened.evidence.get("version") != version:
        return []
    return [name for name in environments if not has_acted(entries, name, version=version)]


async def _version_of(releases: Mapping[str, Iterable[tuple[int | None, str]]]) -> Under:
    """Name the version of the first of these releases whose record is open and has an effect here; what names the runs only names them.

    Args:
        releases: By run, the rounds (None is any) and environments whose effects are here.
    """
    for release, here in releases.items():
        entries = await read_entries(release)
        opened = next(iter(select(entries, kind="opened")), None)
        is_open = opened is not None and outcome_of(entries) == "open" and opened.evidence.get("flow") != "rollback"
        if is_open and any(select(entries, kind="effect", environment=environment, round=number) for number, environment in here):
            return Under(str(opened.evidence.get("version", "")) if opened else "", release)
    return Under()


async def _leaving(owners: Iterable[str]) -> Under | None:
    """Name the version that a rollback which owns an environment, and is not over, decided to leave; None if none does."""
    for owner in owners:
        entries = await read_entries(owner)
        opened, decided = (
            next(iter(found), None) for found in (select(entries, kind="opened"), select(entries, kind="rollback", name=DECISION))
        )
        if opened and decided and outcome_of(entries) == "open" and opened.evidence.get("flow") == "rollback" and decided.evidence["bad"]:
            return Under(str(decided.evidence["bad"]), names=decided.evidence.get("names", {}))
    return None
