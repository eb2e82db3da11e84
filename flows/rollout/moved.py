"""Whether a release moved an environment: by its platform, which knows the owner, and by the record, which knows what ran before."""

from __future__ import annotations

from collections.abc import Mapping

from flows.lifecycle.context import Phase, platform_of
from tasks.record.journal import read_entries, read_entry
from tasks.rules.record.entries import select
from tasks.rules.rollout.left import is_of_another
from tasks.rules.rollout.rollback import is_moved
from tasks.rules.rollout.waves import has_acted


async def was_moved(phase: Phase, environment: str, *, version: str) -> bool | None:
    """Ask once whether a release moved an environment; None if there is no answer: its rollback asks again, with patience."""
    try:
        position = await (await platform_of(phase.plan, environment)).current()
    except Exception:  # noqa: BLE001 - those beside it do not wait to know
        return None
    return await is_moved_now(phase, environment, position, version=version)


async def is_moved_now(phase: Phase, environment: str, position: Mapping[str, object], *, version: str) -> bool:
    """Say whether a release moved an environment, which is as this position says now.

    A canary of another version is not its own unless its record says that it prepared its version there: one that ended before that must
    not abort what a rollback left half-way, as the bad version would have all requests again.
    """
    before, entries = (await versions_before(phase)).get(environment), await read_entries(phase.owner)
    was_there = bool(select(entries, kind="note", environment=environment, name="already"))
    acted = has_acted(entries, environment, version=version)
    if is_of_another(position, version=version) and not acted:
        return False
    return is_moved(position, owner=phase.owner, version=version, before=before, was_there=was_there, has_acted=acted)


async def versions_before(phase: Phase) -> dict[str, str | None]:
    """Give what each environment ran when the release was reviewed; empty if it never was."""
    review = await read_entry(phase.owner, "review")
    return dict(review.evidence["current"]) if review else {}
