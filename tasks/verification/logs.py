"""Logs of the revisions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task

from blocks.platform import Platform
from blocks.secret_text import hide
from tasks.lifecycle.retries import OBSERVE_PLATFORM
from tasks.rules.verification.log_lines import ErrorSearch, NewErrors


@task(name="search logs", **OBSERVE_PLATFORM)
async def search_logs(
    platform: Platform, *, since: float, version: str, previous: str | None, pattern: str, known: Sequence[str] = ()
) -> dict[str, Any]:
    """Look through all that two versions logged since a moment for error lines that only the new one has.

    Secrets are hidden before lines are compared and shortened: of half a secret nothing would be found.

    Args:
        platform: The environment.
        since: From when, in seconds since the epoch.
        version: The version under release.
        previous: The version before it.
        pattern: Regular expression of an error line.
        known: Kinds of error lines that the version before had earlier.

    Returns:
        `found`, the fields of `NewErrors`, and `missing`, the lines of the new version that could not be read, or "".
    """
    search = ErrorSearch(pattern, canary=version, baseline=previous, known=known, clean=hide)
    missing = await platform.logs(since, lambda line: search.take(line["version"], line["text"]))
    return {"found": NewErrors(*search.found())._asdict(), "missing": missing.get(version) or missing.get("", "")}
