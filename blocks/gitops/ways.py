"""Ways to an Argo CD Application: the resource by the Kubernetes API, or Argo CD's own API. Both read and write the same JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from blocks.gitops.owners import Owner

Json = dict[str, Any]


class Way(Protocol):
    """Reads and changes one Application. An error says what its caller should do: `Unreachable`, `Refused` and `BadInput` for rights."""

    async def read(self) -> Json | None:
        """Read the Application, or None if it does not exist."""
        ...

    async def windows(self, application: Json) -> list[Json]:
        """Read the sync windows of its project that are this Application's."""
        ...

    async def owner(self, owner: Owner) -> Json | None:
        """Read an owner, or None if it does not exist."""
        ...

    async def change(self, application: Json, steps: Sequence[Mapping[str, Any]]) -> None:
        """Change spec or annotations by JSON Patch (RFC 6902), as the Application was read.

        Raises:
            Changed: It was changed since.
        """
        ...

    async def refresh(self, application: Json, *, timeout_seconds: float) -> None:
        """Ask Argo CD to look at Git, and return once a look that began afterwards has ended.

        Raises:
            Temporary: It did not look in time.
        """
        ...

    async def start(self, application: Json, operation: Mapping[str, Any]) -> None:
        """Request an operation."""
        ...

    async def terminate(self, application: Json) -> None:
        """Tell the operation that runs to end, without waiting for it."""
        ...

    async def wait(self, application: Json | None, *, timeout_seconds: float) -> None:
        """Return once the Application is not as it was read, or after the time."""
        ...
