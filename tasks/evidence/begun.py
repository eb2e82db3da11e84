"""What a release acts by from its first change on, beside the key: its plan, and what the blocks that act and judge were set to.

The storage's copy of the plan can be removed, and blocks can be edited through the API. Neither may change how a release goes on, or how
it is rolled back.
"""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict, ValidationError

from blocks.errors import Refused
from blocks.key_folder.kept_files import read_kept, remove_kept, write_kept
from tasks.record.journal import say
from tasks.rules.evidence.inputs import TakenPlan

FOLDER = "begun"
WHAT = "what a release acts by"


class Begun(BaseModel):
    """What one release acts by.

    Fields:
        plans: Its plan as it was taken, by scope.
        settings: By round: the fingerprint of the settings of each platform, by environment, and of the Prometheus block.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    plans: dict[str, TakenPlan] = {}
    settings: dict[int, dict[str, str]] = {}


async def read_begun(run: str) -> Begun:
    """Read what a release acts by; empty if it changed nothing yet.

    Args:
        run: Its flow run id.

    Raises:
        Refused: The key or its folder cannot be used, or the file was changed.
    """
    found = await asyncio.to_thread(read_kept, FOLDER, run, what=WHAT)
    try:
        return Begun.model_validate(found or {})
    except ValidationError as error:
        raise Refused(f"{WHAT} cannot be read: {error.error_count()} field(s) are wrong, as of another version of Shipway") from None


async def keep_begun(run: str, begun: Begun) -> None:
    """Keep it, before the first change.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    await asyncio.to_thread(write_kept, FOLDER, run, begun.model_dump(mode="json"), what=WHAT)


async def forget_begun(run: str) -> None:
    """Remove it at the release's end; a file that stays does no harm."""
    try:
        await asyncio.to_thread(remove_kept, FOLDER, run)
    except OSError as error:
        say(f"{WHAT} of {run} could not be removed: {error.strerror}")
