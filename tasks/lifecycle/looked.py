"""What the looks at what a release deployed found: `looked/RUN.kept` beside the approval key, for the metrics.

It stays when a newer release takes the place of what is observed. Nothing here imports Prefect, so the command line can use it quickly.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from blocks.errors import Refused
from blocks.key_folder.kept_files import kept_names, read_all_kept, read_kept, write_kept
from tasks.rules.metrics.facts import Looks

FOLDER, WHAT = "looked", "which counts the looks at what a release deployed"


def keep_looks(release: str, looks: Mapping[str, Looks]) -> None:
    """Keep the counts of a release by environment; those of an environment that is observed no more stay.

    Raises:
        Refused: The key or its folder cannot be used.
    """
    before = None
    with suppress(Refused):
        before = read_kept(FOLDER, release, what=WHAT)
    counted = {name: one.model_dump() for name, one in looks.items() if one != Looks()}
    if counted:
        write_kept(FOLDER, release, {**(before or {}), **counted}, what=WHAT)


def looks_of(releases: Collection[str]) -> dict[str, dict[str, Looks]]:
    """Read the counts of releases, by run and environment; what cannot be read, or was not looked at, is left out."""
    found: dict[str, dict[str, Looks]] = {}
    for run, kept in read_all_kept(FOLDER, sorted({*releases} & {*kept_names(FOLDER)}), what=WHAT):
        with suppress(ValueError):
            found[run] = {name: Looks.model_validate(one) for name, one in kept.items()}
    return found
