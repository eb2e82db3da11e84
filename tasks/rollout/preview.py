"""Preview: what a release would change on a platform, before the first change."""

from __future__ import annotations

from typing import Any

from blocks.errors import ShipwayError, Temporary
from blocks.outside_text import error_text
from blocks.platform import Platform, Previewing
from tasks.rules.rollout.preview import bounded_preview


async def preview_environment(platform: Platform, version: str) -> dict[str, Any] | None:
    """Preview one platform.

    Args:
        platform: The environment.
        version: The version to release.

    Returns:
        `changes`, `drift` and `notes`, lists of lines; `refused`: why the platform would refuse it, or "". None if it has no preview.
    """
    if not isinstance(platform, Previewing):
        return None
    try:
        found = await platform.preview(version)
    except Temporary as error:
        return bounded_preview(notes=[f"the changes are not known: {error}"])
    except ShipwayError as error:
        return bounded_preview(refused=error_text(error))
    return bounded_preview(changes=found["changes"], drift=found["drift"], notes=found.get("notes", []))
