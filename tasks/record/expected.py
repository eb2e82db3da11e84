"""When a release is expected to end, by the times that are kept beside the key; whatever goes wrong, no release depends on it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from blocks.outside_text import error_text
from tasks.lifecycle.clock import now
from tasks.record.artifacts import artifact_key, publish_markdown
from tasks.record.journal import read_entries, say
from tasks.record.kept_times import times_of
from tasks.rules.plan.plan import Plan
from tasks.rules.record.axis import duration
from tasks.rules.record.entries import Entry, select
from tasks.rules.record.markdown import plain
from tasks.rules.record.view import summary_of
from tasks.rules.rollout.expected import FEW, Expected, expected_end, expected_in_words
from tasks.rules.rollout.progress import progress_in_words

PUBLISH_SECONDS = 5  # the release waits meanwhile


async def in_words(entries: Sequence[Entry], *, plan: Plan, waits: bool = False) -> str:
    """Say when a release is expected to end; "" if that cannot be said now.

    Args:
        entries: Its record so far.
        plan: Its plan: only releases of this service to these blocks count.
        waits: Whether it begins to wait now.
    """
    try:
        found = await _expected(entries, plan, waits=waits)
        return expected_in_words(found) if found else ""
    except OverflowError as error:  # of absurd times
        say(f"when this release will end could not be said: {error_text(error)}")
        return ""


async def publish_progress(run: str, *, plan: Plan) -> None:
    """Publish how far a release is and when it is expected to end, as the artifact `progress-<service>`.

    Args:
        run: Its flow run id.
        plan: Its plan.
    """
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            entries = await read_entries(run)
            found = await _expected(entries, plan)
            if found is not None:
                text = page_of(found, service=plan.service, progress=progress_in_words(entries))
                await publish_markdown(text, key=artifact_key("progress", plan.service), description=f"Release {run}")
    except Exception as error:  # noqa: BLE001 - it is only shown
        say(f"how far this release is could not be published: {error_text(error)}")


async def publish_end(run: str, *, service: str) -> None:
    """Publish how a release ended in the place of how far it is, so that `progress-<service>` does not stay at its last step.

    Args:
        run: Its flow run id; for one that moved nothing, and for other flows, nothing is published.
        service: Its service.

    Raises:
        ShipwayError, TimeoutError: It could not be published; the record says the same.
    """
    async with asyncio.timeout(PUBLISH_SECONDS):
        entries = await read_entries(run)
        opened = next(iter(select(entries, kind="opened")), None)
        if opened is None or opened.evidence.get("flow") != "release" or not select(entries, kind="effect"):
            return
        seen = summary_of(entries)
        lines = [f"# {plain(service)}: {plain(seen.version)} {seen.outcome_words}", "", *map(plain, seen.why), ""]
        ended = f"Ended at {seen.closed_at}" if seen.closed_at else "Ended"
        lines.append(f"{ended}. The record is the artifact `{artifact_key('release', service)}`.")
        await publish_markdown("\n".join(lines) + "\n", key=artifact_key("progress", service), description=f"Release {run}")


def page_of(found: Expected, *, service: str, progress: str) -> str:
    """Write progress and estimate as Markdown."""
    rows = [f"| {plain(phase)} | {duration(middle)} | {duration(most)} |" for phase, middle, most in found.left.phases]
    longest = "Nine of ten within" if found.left.found >= FEW else "Longest"
    table = [f"| Phase ahead | Median | {longest} |", "|---|---|---|", *rows] if rows else []
    said = expected_in_words(found)
    head = [f"# {plain(service)}: {plain(progress or 'under way')}", "", f"{plain(said[:1].upper() + said[1:])}.", ""]
    return "\n".join([*head, *table, "", f"As of {found.at:%Y-%m-%d %H:%M:%S} UTC."]) + "\n"


async def _expected(entries: Sequence[Entry], plan: Plan, *, waits: bool = False) -> Expected | None:
    try:
        return expected_end(entries, await asyncio.to_thread(times_of, plan), at=now(), waits=waits)
    except Exception as error:  # noqa: BLE001 - as of a record by another version, whose steps have other fields
        say(f"when this release will end could not be estimated: {error_text(error)}")
        return None
