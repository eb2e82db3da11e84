"""What rollbacks left in an environment, kept beside the key by service, version and place, until a release promotes that version there.

Under the empty version lies what the last one left.
That a file is there says enough of a version, also if it cannot be read any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from blocks.errors import Refused
from blocks.key_folder.heads import KeyFolderFault
from blocks.key_folder.kept_files import kept_names, kept_path, read_kept, remove_kept
from blocks.outside_text import error_text
from tasks.lifecycle.clock import now
from tasks.lifecycle.kept_runs import RUN, has_open_head, write
from tasks.record.journal import say
from tasks.record.kept_index import name_of
from tasks.rules.rollout.deployed import places_of
from tasks.rules.rollout.left import Left
from tasks.rules.rollout.migrations import Here
from tasks.rules.rollout.version_name import may_be, names_of

FOLDER = "left"
WHAT = "which says what a rollback left"


async def keep_left(
    service: str, *, here: Here, version: str, serves: str, run: str, brought: Sequence[str] = (), configuration: str = ""
) -> None:
    """Keep that a rollback leaves a version, before it does; a key folder that cannot be used keeps no rollback back.

    Args:
        service: The service.
        here: Where.
        version: The version.
        serves: The one that serves instead.
        run: The rollback's run.
        brought: As in `Left`.
        configuration: As in `Left`.
    """
    value = _written(Left(version, serves, run, now(), brought=tuple(brought), configuration=configuration))
    try:
        for place in places_of(here):
            for name in ["", *names_of(version, besides=serves)]:
                await write(FOLDER, name_of(service, name, place), value, what=WHAT)
    except KeyFolderFault as error:
        say(f"that {version} is left could not be kept, so a later rollback may return to it: {error_text(error)}")


async def note_over(service: str, *, here: Here, run: str) -> None:
    """Keep when a rollback was over, if it was the last one there: what it brought may be bad itself an hour later."""
    over = now()
    await _change(service, here, lambda left: left._replace(over=over) if left.run == run else left)


async def note_release(service: str, *, here: Here, version: str) -> None:
    """Keep that a release begins to prepare a version that rollbacks brought back: a canary of it is the release's then."""

    def released(left: Left) -> Left:
        is_brought = any(version in names_of(one) for one in left.all_brought)
        return left._replace(is_released=True) if is_brought else left

    await _change(service, here, released)


async def _change(service: str, here: Here, changed: Callable[[Left], Left]) -> None:
    try:
        for name in (name_of(service, "", place) for place in places_of(here)):
            found = await asyncio.to_thread(_read, name)
            if found is not None and found.at and changed(found) != found:
                await write(FOLDER, name, _written(changed(found)), what=WHAT)
    except KeyFolderFault as error:
        say(f"what was kept of the last rollback could not be changed: {error_text(error)}")


async def find_left(service: str, *, here: Here, version: str = "", present: str = "") -> Left | None:
    """Find what says that a version was left in an environment; without a version, what the last rollback left there.

    A version is known by its plain name as well, as its configuration may have changed since; but not the configuration that was brought.

    Args:
        service: The service.
        here: Where.
        version: The version; "" for what the last rollback left.
        present: The hash of the configuration that a plain name means there now; "" if it is not known.
    """
    names = names_of(version) if version else [""]
    found = [(name, await asyncio.to_thread(_read, name_of(service, name, place))) for place in places_of(here) for name in names]
    known = [one for name, one in found if one is not None and (_is_of(one, version, name=name, present=present) if version else one.at)]
    last = max(known, key=lambda one: one.at.timestamp() if one.at else 0.0, default=None)
    return last and last._replace(is_open=RUN.fullmatch(last.run) is not None and await asyncio.to_thread(has_open_head, last.run))


async def find_last(service: str, *, here: Here, baseline: str | None) -> Left | None:
    """Find what the last rollback left there; of several versions the baseline. If that cannot be read, what the one left that left it."""
    last = await find_left(service, here=here)
    if baseline is None or (last is not None and last.version == baseline):
        return last
    named = await find_left(service, here=here, version=baseline)
    if named is None or not named.at:
        return last
    if last is None:
        return named
    return last._replace(version=named.version) if named.run == last.run else last


async def is_any_left() -> bool:
    """Say whether a rollback left anything anywhere, so that it must be looked for."""
    return bool(await asyncio.to_thread(kept_names, FOLDER))


async def files_of_left(service: str, *, here: Here, version: str) -> list[str]:
    """Name the files that say that a version was left in an environment; without them a rollback returns to it."""
    kept = await asyncio.to_thread(kept_names, FOLDER)
    names = dict.fromkeys(name_of(service, name, place) for place in places_of(here) for name in names_of(version))
    return [str(kept_path(FOLDER, name)) for name in names if name in kept]


async def forget_left(service: str, *, here: Here, versions: Iterable[str]) -> None:
    """Forget what was left where a release promotes: its version was approved again, and it serves instead of what served then.

    Args:
        service: The service.
        here: Where.
        versions: By which names the version is called.
    """
    names = {"", *(name for version in versions for name in names_of(version))}
    for name in (name_of(service, name, place) for place in places_of(here) for name in names):
        with suppress(OSError):
            await asyncio.to_thread(remove_kept, FOLDER, name)


async def unkeep_left(service: str, *, here: Here, left: Left) -> None:
    """Take back that a rollback left a version, as that serves on: it may be returned to, unless another rollback left it as well.

    What lies under the empty version stays: who asks again is about the same version, while what was started is beside it.
    """
    for name in (name_of(service, name, place) for place in places_of(here) for name in names_of(left.version)):
        found = await asyncio.to_thread(_read, name)
        if found is not None and found.run == left.run:
            with suppress(OSError):
                await asyncio.to_thread(remove_kept, FOLDER, name)


def _is_of(left: Left, version: str, *, name: str, present: str = "") -> bool:
    """Say whether what lies under a name is about this configuration of the version; what cannot be read is about each."""
    if name == version:
        return not left.is_renamed(version, present=present)
    return not left.version or (may_be(left.version, version) and not may_be(left.serves, version))


async def forget_that_it_was_left(service: str, *, here: Here, version: str) -> None:
    """Forget of one version that it was left, as a person lets it serve; what the last rollback left stays."""
    for place in places_of(here):
        for name in names_of(version):
            kept = name_of(service, name, place)
            found = await asyncio.to_thread(_read, kept)
            if name == version or (found is not None and _is_of(found, version, name=name)):
                with suppress(OSError):
                    await asyncio.to_thread(remove_kept, FOLDER, kept)


def _read(name: str) -> Left | None:
    try:
        found = read_kept(FOLDER, name, what=WHAT)
        if found is not None:
            over, brought = found.get("over"), tuple(map(str, found.get("brought", ())))
            times = (datetime.fromisoformat(str(found["at"])), datetime.fromisoformat(str(over)) if over else None)
            texts = str(found["version"]), str(found["serves"]), str(found["run"])
            configuration = str(found.get("configuration", ""))
            return Left(*texts, *times, brought=brought, is_released=bool(found.get("is_released")), configuration=configuration)
    except (Refused, KeyError, ValueError, TypeError):
        pass
    return Left("", "", "") if name in kept_names(FOLDER, beginning=name) else None


def _written(left: Left) -> dict[str, Any]:
    times = {name: moment.isoformat() for name, moment in (("at", left.at), ("over", left.over)) if moment}
    texts = {"version": left.version, "serves": left.serves, "run": left.run, "configuration": left.configuration}
    return {**texts, **times, "brought": [*left.brought], "is_released": left.is_released}
