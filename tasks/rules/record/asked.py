"""What a run was asked to do: its record says it from the first line on, and a run's parameters can be changed on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.rules.record.entries import Entry
from tasks.rules.record.masking import hide_in

OF_ROLLBACK = ("plan", "version", "environment", "bad", "restored", "plan_as_it_is")
PARAMETERS = (*OF_ROLLBACK, "not_before", "not_later_than", "kind", "because_of")


def changed_parameters(opened: Entry, given: Mapping[str, Any]) -> list[str]:
    """List the parameters that are not as they were when the record was opened.

    Args:
        opened: The first entry of the record.
        given: The parameters as they are now, by name.
    """
    known, now = hide_in(opened.evidence), hide_in(dict(given))  # a secret may have been learned since
    return [name for name in PARAMETERS if name in known and known[name] != now.get(name)]


def as_opened(opened: Entry | None, *, plan: str, version: str) -> tuple[str, str]:
    """Give plan and version as the record was opened with them; those given where it says nothing else, or cannot be read."""
    if opened is None:
        return plan, version
    changed = changed_parameters(opened, {"plan": plan, "version": version})
    kept = {name: str(opened.evidence[name]) for name in changed if name in {"plan", "version"}}
    return kept.get("plan", plan), kept.get("version", version)
