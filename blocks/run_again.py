"""Optional part of a platform: a script of its that failed may be run again, or its host be left out, if the plan or people say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, Self, runtime_checkable


class Allowed(NamedTuple):
    """How often a script that moves a release forward may be run, and which hosts the release goes on without.

    Fields:
        retries: How often each that exited with a failure is run again, by the plan.
        by_people: By the name of what failed, as `ScriptFailed` has it: after how many failed runs people let it be run once more.
        left_out: By the name of a host that people left out, as `ScriptFailed` has it: of which version.
    """

    retries: int = 0
    by_people: Mapping[str, int] = {}
    left_out: Mapping[str, str] = {}


@runtime_checkable
class RunsAgain(Protocol):
    """Runs scripts, and raises `ScriptFailed` for one that may be run again."""

    def running_again(self, allowed: Allowed) -> Self:
        """Return this platform, which runs what failed again as far as this allows, and acts on no host that is left out."""
        ...
