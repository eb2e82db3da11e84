"""GitOps engine protocol: what deploys from Git (Argo CD, Flux), and what it says about that.

An engine is a Prefect block with these methods. Each effect reads, acts on the difference and reads back, so it may be repeated. An
instance holds no state. The one who asks names the full hash of a commit; short ones and branches are never sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Observed:
    """What the engine says about the part of the cluster that it deploys from Git.

    Fields:
        revision: The full commit that it compared last, with its present spec; "" if it could not render it, or if that is not known.
        synced: Whether what runs is what that revision says.
        operation: The revision of the sync operation that runs; None if none runs.
        automatic: Whether it syncs by itself.
        held: Whether Shipway switched its automatic sync off (`hold`), and the switch reads back.
        fault: Why it cannot get there, in its own words: rendering, hook, degraded resource, permission, gone, other project; "" if nothing
            is wrong.
        temporary: Whether the fault may pass by itself (repository unreachable, "Unknown"); False if only a change helps.
        waiting: Why it waits though nothing is wrong, as "sync window until 2026-11-29 06:00 UTC"; "".
        lines: Two or three lines for people.
    """

    revision: str
    synced: bool
    operation: str | None
    automatic: bool
    held: bool
    fault: str
    temporary: bool
    waiting: str
    lines: tuple[str, ...]


@runtime_checkable
class Engine(Protocol):
    """What deploys one part of a cluster from Git."""

    async def look(self) -> Observed:
        """Read what the engine says now; a gone or refused Application is a fault, not an error.

        Raises:
            Unreachable: The API does not answer.
        """
        ...

    async def refresh(self) -> None:
        """Ask it to look at Git, and return once it has; the caller repeats this until the revision moves, as a request may be dropped.

        Raises:
            Temporary: It did not look in time.
        """
        ...

    async def sync(self, commit: str, *, note: str) -> None:
        """Start the sync of a commit, if the engine does not sync by itself; an operation that runs for this commit is adopted.

        Args:
            commit: The full hash.
            note: The release's id, which is kept with the operation.

        Raises:
            Refused: The engine does not permit it, or syncs by itself.
            Temporary: An operation of another commit runs.
        """
        ...

    async def stop(self) -> None:
        """Terminate the operation that runs, and return once none does.

        Raises:
            Temporary: It did not end in time.
        """
        ...

    async def hold(self, owner: str) -> None:
        """Switch the automatic sync off, until `release_hold`; how it was is kept with the engine.

        Args:
            owner: The release's id.

        Raises:
            Refused: It would not stand: names who would undo it. Or another owner holds it.
            WorldMoved: The switch does not read back.
        """
        ...

    async def release_hold(self, owner: str) -> None:
        """Set the automatic sync back exactly as it was; a no-op if this owner holds nothing."""
        ...

    async def holdable(self) -> str:
        """Return "" if a hold would stand, else why not."""
        ...

    async def identity(self) -> str:
        """Return a text that is the same for every block that points to the same Application, and for no other."""
        ...


@runtime_checkable
class Watched(Protocol):
    """Optional part of an engine: waits for a change instead of asking again and again."""

    async def changed(self, seen: Observed, *, timeout_seconds: float) -> Observed:
        """Return what `look` says as soon as it is not what was seen, or after the time."""
        ...
