"""Logs of the revisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task

from blocks.late import Late
from blocks.platform import LogLine, Platform
from blocks.secret_text import hide
from tasks.lifecycle.retries import OBSERVE_PLATFORM
from tasks.rules.verification.log_lines import ErrorSearch, NewErrors


@task(name="search logs", **OBSERVE_PLATFORM)
async def search_logs(
    platform: Platform,
    *,
    since: float,
    version: str,
    previous: str | None,
    pattern: str,
    known: Sequence[str] = (),
    until: float | None = None,
) -> dict[str, Any]:
    """Look through what two versions logged for error lines that only the new one has.

    The new version's log is read since a moment, that of the version before from its own beginning: what a version logs only when it
    starts would else count as new. Secrets are hidden before lines are compared and shortened: of half a secret nothing would be found.

    Args:
        platform: The environment.
        since: From when the new version's log is read, in seconds since the epoch.
        version: The version under release.
        previous: The version before it.
        pattern: Regular expression of an error line.
        known: Kinds of error lines that the version before had earlier, as `NewErrors.known` has them.
        until: Until when the new version's lines count, by their own times; those of that moment do not, nor any before `since`.

    Returns:
        `found`, the fields of `NewErrors`, and `missing`, the lines of the new version that could not be read, or "".
    """
    search = ErrorSearch(pattern, canary=version, baseline=previous, known=known, clean=hide)

    async def read(wanted: str, begin: float, end: float | None = None) -> str:
        def take(line: LogLine) -> bool:
            if end is not None and not begin <= line["at"] < end:
                return False
            return line["version"] != wanted or search.take(wanted, line["text"])

        missing = await platform.logs(begin, take)
        return missing.get(wanted) or missing.get("", "")

    missing = await read(version, since, until)
    missing_before = await read(previous, 0.0) if previous and previous != version else ""
    found = NewErrors(*search.found())
    found = found._replace(in_part="; ".join(one for one in (found.in_part, missing_before) if one))
    if isinstance(missing, Late):  # the version itself decides how much it logs, so this is not a warning
        found, missing = found._replace(fault=found.fault or missing), ""
    return {"found": found._asdict(), "missing": missing}
