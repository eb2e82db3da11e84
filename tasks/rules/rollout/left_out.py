"""Hosts that people left out of a release, for people: a version that does not serve on every host is never said to without them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tasks.rules.approval.script_failure import is_skip
from tasks.rules.plan.targets import PRODUCTION
from tasks.rules.record.entries import Entry


def left_out_in_words(entries: Sequence[Entry]) -> str:
    """Say which hosts a release goes on without, and by whom; "" if it goes on with all."""
    return "; ".join(
        f"{entry.evidence['left_out']} is left out in {entry.environment} by {_people([entry])}" for entry in entries if is_skip(entry)
    )


def serves_in_words(entries: Sequence[Entry], *, environments: Collection[str] | None = None) -> str:
    """Say on how many hosts a version serves where people left some out, and who did; "" if none was.

    Args:
        entries: The record.
        environments: Where it serves; None is everywhere.
    """
    skips = [entry for entry in entries if is_skip(entry) and (environments is None or entry.environment in environments)]
    found: list[str] = []
    for place in dict.fromkeys(entry.environment for entry in skips):
        own = [entry for entry in skips if entry.environment == place]
        hosts = list(dict.fromkeys(str(entry.evidence["left_out"]) for entry in own))
        whole, verb = int(own[-1].evidence.get("of_hosts") or 0), "was" if len(hosts) == 1 else "were"
        where = "" if place == PRODUCTION else f"{place}: "
        said = f"{where}{own[-1].evidence.get('version')} serves on {whole - len(hosts)} of {whole} hosts"
        found.append(f"{said}; {', '.join(hosts)} {verb} left out by {_people(own)}")
    return ". ".join(found)


def with_hosts(words: str, entries: Sequence[Entry], *, outcome: str, stays: Collection[str]) -> str:
    """Say how a release ended together with the hosts that its version does not serve on.

    Args:
        words: Why it ended so.
        entries: The record.
        outcome: How it ended.
        stays: The targets that keep the version, if it was deployed in part.
    """
    said = serves_in_words(entries, environments=None if outcome == "deployed" else stays)
    return f"{said}. {words}" if said and not words.startswith(said) else words


def _people(entries: Sequence[Entry]) -> str:
    names = [str(name) for entry in entries for name in entry.evidence.get("by", ())]
    return ", ".join(dict.fromkeys(names)) or "people"
