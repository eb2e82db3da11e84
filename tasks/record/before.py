"""Over which version each one was promoted in an environment, kept beside the key: platforms forget it after a rollback to that one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from blocks.errors import Refused
from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import read_kept
from blocks.outside_text import error_text
from tasks.lifecycle.kept_runs import write
from tasks.record.journal import say
from tasks.record.kept_index import name_of
from tasks.rules.rollout.deployed import places_of
from tasks.rules.rollout.migrations import Here
from tasks.rules.rollout.version_name import version_before, with_configuration

FOLDER = "before"
WHAT = "which says what ran before each version"
MOST = 20  # versions in one place


async def keep_before(service: str, *, here: Here, version: str, before: str | None, present: str = "") -> None:
    """Keep which version a release replaced when it promoted this one; a key folder that cannot be used stops no release.

    If none is known, as after a rollback to the version, what was kept of it stays. Each configuration of a version has its own.

    Args:
        service: The service.
        here: Where.
        version: The version.
        before: What it replaced.
        present: The hash of the configuration that a plain name means there; "" if it is not known.
    """
    if before is None:
        return
    version = with_configuration(version, present)
    try:
        for place in places_of(here):
            known = {name: one for name, one in (await _read(service, place)).items() if name != version}
            known |= {version: before}
            await write(FOLDER, name_of(service, "", place), {"before": [[*pair] for pair in known.items()][-MOST:]}, what=WHAT)
    except KeyFolderFault as error:
        say(f"that {before} ran before {version} could not be kept: {error_text(error)}")


async def find_before(service: str, *, here: Here, version: str, present: str = "") -> str | None:
    """Find the version that ran before this one was promoted there; None if that is not known.

    Args:
        service: The service.
        here: Where.
        version: The version.
        present: The hash of the configuration that a plain name means there; "" if it is not known.
    """
    for place in places_of(here):
        if (found := version_before(await _read(service, place), version, present=present)) is not None:
            return found
    return None


async def _read(service: str, place: str) -> dict[str, str]:
    with suppress(Refused, KeyError, ValueError, TypeError):
        found = await asyncio.to_thread(read_kept, FOLDER, name_of(service, "", place), what=WHAT)
        return {str(version): str(before) for version, before in found["before"]} if found else {}
    return {}
