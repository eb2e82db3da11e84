"""Rules of hosts that people left out of a version: whether that still counts, and what is said of such a host."""

from __future__ import annotations

from blocks.script.state import Notes
from blocks.script.words import Known


def left_out_of(notes: Notes) -> str:
    """Name the version that a host is left out of, by its notes and those of all hosts; "" if it is left out of none.

    Of a canary it counts for the release alone whose people left it out, and in no rollback, which restores the host. Of the baseline it
    counts until a release or a rollback deployed there.
    """
    found = notes.get("left_out")
    if found is None:
        return ""
    version, is_its_release = found["version"], found["owner"] == notes["owner"] and not notes.get("rollback", False)
    counts = is_its_release if version == notes["canary"] else version == notes["baseline"]
    return version if counts else ""


def is_left_now(notes: Notes) -> bool:
    """Say whether a host is left out of the canary, or of what serves if there is none: then nothing that it answers counts."""
    version = left_out_of(notes)
    return bool(version) and version == version_wanted(notes)


def version_wanted(known: Known) -> str | None:
    """Name the version that hosts are to run: the canary, or what serves if there is none."""
    return known["baseline"] if known["canary"] is None else known["canary"]
